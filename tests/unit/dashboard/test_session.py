"""The token and the sessions made with it."""

from __future__ import annotations

import time

import pytest

from sockudo_publisher.dashboard.session import SESSION_S, Sessions, is_secure

pytestmark = pytest.mark.unit

TOKEN = "0123456789abcdef-token"


def test_only_the_token_is_the_token() -> None:
    """Neither its beginning nor an empty text."""
    sessions = Sessions(TOKEN)
    assert sessions.is_token(TOKEN)
    for other in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\ud800"):
        assert not sessions.is_token(other)


def test_session_is_known_to_every_process_with_the_token() -> None:
    """And to no other."""
    made = Sessions(TOKEN).make()
    assert Sessions(TOKEN).is_session(made)
    assert not Sessions(TOKEN + "x").is_session(made)
    assert TOKEN not in made


def test_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a working day."""
    sessions, now = Sessions(TOKEN), time.time()
    made = sessions.make()
    monkeypatch.setattr(time, "time", lambda: now + SESSION_S - 2)
    assert sessions.is_session(made)
    monkeypatch.setattr(time, "time", lambda: now + SESSION_S + 1)
    assert not sessions.is_session(made)


def test_forged_session_is_refused() -> None:
    """A later end, another signature, and what is no session."""
    sessions = Sessions(TOKEN)
    end, _, signature = sessions.make().partition(".")
    forged = [
        f"{int(end) + 1}.{signature}",
        f"{end}.{signature[:-1]}",
        f"{end}.",
        end,
        "",
        ".",
        "x.y",
        f"{end}.ü",
        "9" * 40,
    ]
    assert not any(sessions.is_session(one) for one in [*forged, f"²{end}.{signature}"])


def test_without_a_token_nothing_is_valid() -> None:
    """The empty token is no token."""
    sessions = Sessions(None)
    assert not sessions.needs_token
    assert not sessions.is_token("")
    assert not sessions.is_session(sessions.make())


def test_token_is_in_no_repr() -> None:
    """Error trackers show the variables of frames."""
    sessions = Sessions(TOKEN)
    assert TOKEN not in repr(sessions) + repr(vars(sessions))


@pytest.mark.parametrize(
    ("headers", "url", "found"),
    [
        ({}, "http://h/", False),
        ({}, "https://h/", True),
        ({"origin": "https://h"}, "http://h/", True),
        ({"origin": "http://h"}, "http://h/", False),
        ({"x-forwarded-proto": "https"}, "http://h/", True),
        ({"x-forwarded-proto": "HTTPS, http"}, "http://h/", True),
        ({"x-forwarded-proto": "http, https"}, "http://h/", False),
        ({"origin": "null", "x-forwarded-proto": ""}, "http://h/", False),
    ],
)
def test_cookie_is_for_tls_where_one_says_so(headers: dict[str, str], url: str, found: bool) -> None:
    """The first proxy is the one that the browser speaks to."""
    assert is_secure(headers, url) is found

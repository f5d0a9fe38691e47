"""The look-alike's own signature check, against the client's signing: two implementations of one rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.http.signing import AUTH_PARAMETERS, Signer
from sockudo_publisher.dev.devserver.config import AppConfig
from sockudo_publisher.dev.devserver.refusal import Refusal
from sockudo_publisher.dev.devserver.request_auth import authenticated_app, may_subscribe

pytestmark = pytest.mark.unit

APP = AppConfig("app", "the key", "sécret")
NOW = 1_700_000_000.0

# A lone surrogate has no UTF-8; names are ASCII, as all of the API's are.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True).filter(lambda name: name not in AUTH_PARAMETERS)


def check(query: str, *, method: str = "POST", path: str = "/apps/app/events", body: bytes = b"{}") -> AppConfig:
    return authenticated_app(
        {APP.key: APP}.get, method=method, path=path, app_id="app", query=query, body=body, now=NOW
    )


@given(st.binary(max_size=50), st.dictionaries(NAMES, TEXT, max_size=4))
def test_what_the_client_signs_is_accepted(body, parameters):
    """Any body and any parameters."""
    query = Signer(APP.key, APP.secret).query("POST", "/apps/app/events", now=NOW, body=body, parameters=parameters)
    assert check(query, body=body) is APP


@given(st.integers(0, 200), st.sampled_from("0123456789abcdefgh&=%"))
def test_a_changed_query_is_refused(position, character):
    """One character anywhere, unless it changes nothing."""
    query = Signer(APP.key, APP.secret).query("POST", "/apps/app/events", now=NOW, body=b"{}")
    position %= len(query)
    changed = query[:position] + character + query[position + 1 :]
    if changed != query:
        with pytest.raises(Refusal):
            check(changed)


def test_a_request_without_a_body_is_signed_without_its_md5():
    """GET; an md5 there is refused."""
    signer = Signer(APP.key, APP.secret)
    assert check(signer.query("GET", "/apps/app/events", now=NOW), method="GET", body=b"") is APP
    with_md5 = signer.query("GET", "/apps/app/events", now=NOW, body=b"")
    with pytest.raises(Refusal, match="must not be present in query parameters for GET"):
        check(with_md5, method="GET", body=b"")


def test_a_channel_s_signature_is_for_one_socket_and_one_channel():
    """And one key."""
    signature = Signer(APP.key, APP.secret).sign("1.2:private-c")
    assert may_subscribe(APP, "1.2", "private-c", f"{APP.key}:{signature}")
    assert not may_subscribe(APP, "1.3", "private-c", f"{APP.key}:{signature}")
    assert not may_subscribe(APP, "1.2", "private-d", f"{APP.key}:{signature}")
    assert not may_subscribe(APP, "1.2", "private-c", f"other:{signature}")


def test_a_refusal_shows_no_secret():
    """Nor do the server's settings."""
    with pytest.raises(Refusal) as refusal:
        check(Signer(APP.key, "wrong").query("POST", "/apps/app/events", now=NOW, body=b"{}"))
    assert APP.secret not in f"{refusal.value.body()!r} {APP!r}"

"""The endpoints of each framework, over HTTP: what they answer to browsers, to Sockudo and to the hostile."""

from __future__ import annotations

import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from sockudo_publisher.testing import sign_webhook
from tests.support.web_apps import send

from .conftest import Running

pytestmark = pytest.mark.integration

ADA = {"Authorization": "Bearer token-of-ada"}
FORM = "application/x-www-form-urlencoded"


def ask(running: Running, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    status, content, answered = send(running.url + "/pusher" + path, body, {"Content-Type": FORM, **headers})
    if status == 200 and path != "/webhook":
        assert answered["Cache-Control"] == "no-store"
    return status, content


def form(channel: str) -> bytes:
    return urlencode({"socket_id": "1.2", "channel_name": channel}).encode()


def test_channels_of_each_kind(running: Running) -> None:
    """Private, encrypted and presence."""
    member = {"user_id": "ada", "user_info": {"name": "Ada"}}
    assert ask(running, "/auth", form("private-js"), **ADA) == (200, running.client.authenticate("private-js", "1.2"))
    encrypted = running.client.authenticate("private-encrypted-js", "1.2")
    assert ask(running, "/auth", form("private-encrypted-js"), **ADA) == (200, encrypted)
    presence = running.client.authenticate("presence-js", "1.2", member)
    assert ask(running, "/auth", form("presence-js"), **ADA) == (200, presence)


def test_several_channels_in_one_request(running: Running) -> None:
    """The form of pusher-js-auth."""
    body = urlencode({"socket_id": "1.2", "channel_name[0]": "private-js", "channel_name[1]": "private-no"}).encode()
    data = running.client.authenticate("private-js", "1.2")
    expected = {"private-js": {"status": 200, "data": data}, "private-no": {"status": 403}}
    assert ask(running, "/auth", body, **ADA) == (200, expected)


def test_sign_in(running: Running) -> None:
    """The session's user, whatever the form says."""
    user = {"id": "ada", "user_info": {"name": "Ada"}}
    expected = running.client.authenticate_user("1.2", user)
    assert ask(running, "/user-auth", b"socket_id=1.2&id=bob", **ADA) == (200, expected)


MALFORMED = 400, 422


#: Path, body, headers and the answer's status; two where FastAPI's, the second, is another one.
REFUSED: list[tuple[str, bytes, dict[str, str], int | tuple[int, int]]] = [
    ("/auth", form("private-js"), {}, 401),
    ("/auth", form("private-js"), {"Authorization": "Bearer x"}, 401),
    ("/auth", form("private-other"), ADA, 403),
    ("/auth", form("private-broken.1"), ADA, 403),
    ("/auth", form("private-a.b.c"), ADA, 403),
    ("/auth", form("public"), ADA, MALFORMED),
    ("/auth", b"", ADA, MALFORMED),
    ("/auth", b"\xff", ADA, MALFORMED),
    ("/auth", b"socket_id=1.2&channel_name=private-js&channel_name=private-x", ADA, MALFORMED),
    (
        "/auth",
        b'{"socket_id": "1.2", "channel_name": "private-js"}',
        {**ADA, "Content-Type": "application/json"},
        MALFORMED,
    ),
    ("/auth", b"x" * 10_000_000, ADA, 413),
    ("/user-auth", b"", ADA, MALFORMED),
    ("/user-auth", b"socket_id=1.2", {}, 401),
    ("/user-auth", b"x" * 10_000_000, ADA, 413),
    ("/webhook", b"{}", {}, 401),
    ("/webhook", b"x" * 10_000_000, {}, 413),
    ("/nothing", b"", ADA, 404),
]


def test_refusals_are_4xx(running: Running) -> None:
    """In the framework's own terms: FastAPI answers a malformed form as it answers its own."""
    for path, body, headers, status in REFUSED:
        answered, content = ask(running, path, body, **headers)
        what = (path, body[:60], headers, content)
        assert answered == (status[running.framework == "fastapi"] if isinstance(status, tuple) else status), what
        if answered == 422:
            (error,) = content["detail"]
            assert error["loc"][0] == "body", what
            assert error["msg"], what
        elif answered != 404:
            assert list(content) == ["detail" if running.framework == "fastapi" else "error"], what


def test_get_is_405(running: Running) -> None:
    """A link in a page cannot ask."""
    assert send(running.url + "/pusher/auth?socket_id=1.2&channel_name=private-js", headers=ADA)[0] == 405


def webhook(*names: str, secret: str = "js-secret") -> tuple[dict[str, str], bytes]:
    events = [{"name": name, "channel": "private-js", "user_id": "ada"} for name in names]
    headers, body = sign_webhook(events, key="js-key", secret=secret)
    return dict(headers), body


def test_webhooks_reach_their_handlers(running: Running) -> None:
    """As typed events, in order; an event without a handler is fine."""
    headers, body = webhook("channel_occupied", "member_added", "cache_miss")
    headers["Content-Type"] = "application/json"
    assert ask(running, "/webhook", body, **headers) == (200, {})
    assert [(event.name, event.channel, event.user_id) for event in running.world.webhooks] == [
        ("channel_occupied", "private-js", "ada"),
        ("member_added", "private-js", "ada"),
    ]


def test_forged_webhooks_reach_no_handler(running: Running) -> None:
    """Another secret, a changed body, a signed body that is none."""
    headers, body = webhook("channel_occupied", secret="guessed")
    assert ask(running, "/webhook", body, **headers)[0] == 401
    headers, body = webhook("channel_occupied")
    assert ask(running, "/webhook", body.replace(b"private-js", b"private-jt"), **headers)[0] == 401
    for text, status in ((b"[1]", 400), (b"no json", 400)):
        signature = hmac.digest(b"js-secret", text, "sha256").hex()
        headers = {"X-Pusher-Key": "js-key", "X-Pusher-Signature": signature}
        assert ask(running, "/webhook", text, **headers)[0] == status
    assert running.world.webhooks == []


def test_a_failing_handler_asks_for_a_repetition(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """500: Sockudo sends the webhook again; the other handlers were called."""
    running.world.failing = True
    headers, body = webhook("channel_occupied", "member_added")
    assert ask(running, "/webhook", body, **headers)[0] == 500
    assert [event.name for event in running.world.webhooks] == ["member_added"]
    assert "error=RuntimeError event=channel_occupied channel=private-js" in caplog.text
    running.world.failing = False
    assert ask(running, "/webhook", body, **headers)[0] == 200


def test_openapi_describes_the_endpoints(running: Running) -> None:
    """Forms, models of answers and refusals."""
    if running.framework != "fastapi":
        assert send(running.url + "/openapi.json")[0] == 404
        return
    document = send(running.url + "/openapi.json")[1]
    auth = document["paths"]["/pusher/auth"]["post"]
    assert set(auth["responses"]) == {"200", "401", "403", "413", "422"}
    schema = auth["requestBody"]["content"][FORM]["schema"]
    assert {"socket_id", "channel_name"} <= set(schema["properties"])
    assert "AuthorizedChannel" in json.dumps(auth["responses"]["200"])
    assert set(document["paths"]) == {"/pusher/auth", "/pusher/user-auth", "/pusher/webhook"}
    assert "security" in auth

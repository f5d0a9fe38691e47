"""A server, or a proxy before it, that repeats the request in its answers: nothing of it leaves the call."""

from __future__ import annotations

import json
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.errors import CallError, InvalidWebhook, SockudoHTTPError, ValidationError

pytestmark = pytest.mark.integration

PAYLOAD = "s3cr3t-payload"
#: Parts of a request that must not come back: payload, key, signature.
FORBIDDEN = (PAYLOAD, "key-of-mine", "auth_signature", "auth_key")


class Echo(HTTPServer):
    """Answers what ``make`` says: status, reason phrase, headers, body; of the path and the body of the request."""

    make: Callable[[str, str], tuple[int, str, dict[str, str], bytes]]


class Handler(BaseHTTPRequestHandler):
    server: Echo

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        status, reason, headers, content = self.server.make(self.path, body)
        self.send_response(status, reason)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client_of(echo: Echo, **options: object) -> Sockudo:
    return Sockudo("app", "key-of-mine", "secret", port=echo.server_port, retries=None, **options)


def as_json(status: int, **more: object) -> Callable[[str, str], tuple[int, str, dict[str, str], bytes]]:
    def make(path: str, body: str) -> tuple[int, str, dict[str, str], bytes]:
        document = {name: value if value is not ... else f"{path} {body}" for name, value in more.items()}
        return status, "Bad", {"Content-Type": "application/json"}, json.dumps(document).encode()

    return make


def as_page(status: int, **headers: str) -> Callable[[str, str], tuple[int, str, dict[str, str], bytes]]:
    def make(path: str, body: str) -> tuple[int, str, dict[str, str], bytes]:
        shown = {name.replace("_", "-"): quote(f"{path}{body}") for name in headers}
        return status, quote(body), {"Content-Type": "text/html", **shown}, f"<pre>{path}\n{body}</pre>".encode()

    return make


ANSWERS = {
    "error": as_json(400, error=..., code="invalid_input"),
    "code": as_json(400, error="Event name is required", code=...),
    "message": as_json(429, error="Too Many Requests", message=...),
    "other fields": as_json(500, request=..., detail=...),
    "known text, then more": lambda path, body: (400, "", {}, f"Invalid API signature {path} {body}".encode()),
    "quoted by known text": lambda path, body: (
        *(400, "", {"Content-Type": "application/json"}),
        json.dumps({"error": f"Event name '{body}' exceeds maximum length of 200", "code": "limit_exceeded"}).encode(),
    ),
    "reader of the framework": lambda path, body: (
        *(422, "", {"Content-Type": "text/plain"}),
        f"Failed to deserialize the JSON body into the target type: {body}: {path}".encode(),
    ),
    "page": as_page(502),
    "redirect": as_page(302, Location=""),
    "headers": as_page(503, Retry_After="", X_Echo=""),
    "media type": lambda path, body: (500, "", {"Content-Type": f"text/{quote(body)}"}, b"x"),
    "success that is no JSON": as_page(200),
    "207": as_page(207),
    "half a document": lambda path, body: (200, "", {"Content-Type": "application/json"}, body.encode()[:-1]),
    "not UTF-8": lambda path, body: (400, "", {}, b"\xff" + body.encode()),
}


CALLS = {
    "trigger": lambda client: client.trigger("c", "e", {"card": PAYLOAD}, message_id="m"),
    "batch": lambda client: client.trigger_batch([("c", "e", PAYLOAD), ("c", "e", 2)]),
    "query": lambda client: client.channel_info(PAYLOAD),
}


def everything_of(error: BaseException | None) -> str:
    """Texts, attributes and the errors that it carries along."""
    if error is None:
        return ""
    own = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(getattr(error, "doc", ""))]
    own += [repr(getattr(error, "object", "")), "".join(traceback.format_exception(error))]
    return "\n".join([*own, everything_of(error.__cause__), everything_of(error.__context__)])


@pytest.mark.parametrize("make", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_of_the_request_comes_back(
    echo: Echo,
    make: Callable[[str, str], tuple[int, str, dict[str, str], bytes]],
    call: Callable[[Sockudo], object],
) -> None:
    """In the error's texts, attributes, pickle, and in the errors that it carries along."""
    echo.make = make
    client = client_of(echo)
    with pytest.raises(CallError) as caught:
        call(client)
    told = everything_of(caught.value) + repr(pickle.loads(pickle.dumps(caught.value)))
    assert not [one for one in FORBIDDEN if one in told], told
    if isinstance(caught.value, SockudoHTTPError):
        assert str(caught.value).startswith(f"HTTP {caught.value.status}")


def test_status_code_and_known_text_are_kept(echo: Echo) -> None:
    """What an operator needs; of a name that they quote nothing."""
    echo.make = ANSWERS["quoted by known text"]
    with pytest.raises(SockudoHTTPError) as caught:
        client_of(echo).trigger("c", "e", PAYLOAD)
    assert (caught.value.status, caught.value.code) == (400, "limit_exceeded")
    assert caught.value.message == "Event name '…' exceeds maximum length of 200"
    echo.make = ANSWERS["page"]
    with pytest.raises(SockudoHTTPError, match=r"^HTTP 502: text not shown \(text/html, \d+ bytes; SOCKUDO_SHOW"):
        client_of(echo).trigger("c", "e", PAYLOAD)


def test_any_text_is_shown_to_those_who_ask(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an option or its variable; the signature never is."""
    echo.make = ANSWERS["page"]
    monkeypatch.setenv("SOCKUDO_URL", f"http://key-of-mine:secret@127.0.0.1:{echo.server_port}/apps/app")
    monkeypatch.setenv("SOCKUDO_SHOW_ANSWERS", "yes")
    for client in (client_of(echo, show_answers=True), Sockudo.from_env(retries=None)):
        with pytest.raises(SockudoHTTPError, match=PAYLOAD) as caught:
            client.trigger("c", "e", PAYLOAD)
        assert "key-of-mine" not in str(caught.value)
    with pytest.raises(SockudoHTTPError) as caught:
        Sockudo.from_env(retries=None, show_answers=False).trigger("c", "e", PAYLOAD)
    assert PAYLOAD not in str(caught.value)


REFUSED_HERE = {
    "data of another encoding": lambda client: client.trigger("c", "e", PAYLOAD.encode() + b"\xff"),
    "data with half a pair": lambda client: client.trigger("c", "e", PAYLOAD + "\ud800"),
    "JSON with half a pair": lambda client: client.trigger("c", "e", {"a": PAYLOAD + "\ud800"}),
    "no JSON": lambda client: client.trigger("c", "e", {"a": PAYLOAD, "b": object()}),
    "tags": lambda client: client.trigger("c", "e", 1, tags={"a": PAYLOAD + "\ud800"}),
    "form": lambda client: client.authorize_private_channel(PAYLOAD.encode() + b"\xff"),
}


@pytest.mark.parametrize("call", REFUSED_HERE.values(), ids=REFUSED_HERE)
def test_refused_input_is_not_carried_along(echo: Echo, call: Callable[[Sockudo], object]) -> None:
    """The standard library's errors hold the whole text."""
    with pytest.raises(ValidationError) as caught:
        call(client_of(echo))
    assert PAYLOAD not in repr(everything_carried(caught.value))


@pytest.mark.parametrize("body", [PAYLOAD.encode(), PAYLOAD.encode() + b"\xff", f'{{"a": "{PAYLOAD}"'.encode()])
def test_webhook_that_is_no_json_is_not_carried_along(echo: Echo, body: bytes) -> None:
    """Its body was signed, and holds data."""
    import hashlib
    import hmac

    signature = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    with pytest.raises(InvalidWebhook) as caught:
        client_of(echo).webhook({"X-Pusher-Key": "key-of-mine", "X-Pusher-Signature": signature}, body)
    assert PAYLOAD not in repr(everything_carried(caught.value))


def everything_carried(error: BaseException | None) -> list[str]:
    """What the error and those behind it hold, without the lines of this test."""
    if error is None:
        return []
    own = [str(error), repr(vars(error)), repr(getattr(error, "doc", "")), repr(getattr(error, "object", ""))]
    return [*own, *everything_carried(error.__cause__), *everything_carried(error.__context__)]

"""Paths, query strings and frames that a client may send: each has an answer, however wrong it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.dev.devserver.config import AppConfig, Features
from sockudo_publisher.dev.devserver.incoming import FrameError, decode_frame
from sockudo_publisher.dev.devserver.query_string import protocol_of, whole_number
from sockudo_publisher.dev.devserver.refusal import Refusal
from sockudo_publisher.dev.devserver.routes import WrongMethod, route_of
from sockudo_publisher.dev.devserver.session import Session
from sockudo_publisher.dev.devserver.state import AppState

pytestmark = pytest.mark.unit


def status_of(function: Callable[..., object], *args: object) -> int:
    """The status of the refusal, or 200. Its body can be written."""
    try:
        function(*args)
    except Refusal as refusal:
        refusal.body()
        return refusal.status
    return 200


@pytest.mark.parametrize(
    ("query", "protocol"),
    [("", 7), ("protocol=7", 7), ("protocol=007", 7), ("protocol=%37", 7), ("protocol=%2B7", 7), ("protocol=255", 255)],
)
def test_a_protocol_is_a_byte(query: str, protocol: int) -> None:
    """7 where it is not named."""
    assert protocol_of(query) == protocol


PROTOCOLS = {
    "no number": ("protocol=x", "protocol: invalid digit found in string"),
    "empty": ("protocol=", "protocol: cannot parse integer from empty string"),
    "large": ("protocol=256", "protocol: number too large to fit in target type"),
    "very large": ("protocol=" + "9" * 30, "protocol: number too large to fit in target type"),
    "of any length": ("protocol=" + "9" * 100_000, "protocol: number too large to fit in target type"),
    "negative": ("protocol=-1", "protocol: invalid digit found in string"),
    "a sum": ("protocol=+7", "protocol: invalid digit found in string"),
    "other digits": ("protocol=%D9%A7", "protocol: invalid digit found in string"),
    "twice": ("protocol=7&protocol=7", "duplicate field `protocol`"),
    "a flag": ("echo_messages=maybe", "echo_messages: provided string was not `true` or `false`"),
}


@pytest.mark.parametrize(("query", "text"), PROTOCOLS.values(), ids=PROTOCOLS)
def test_what_is_no_protocol_is_400(query: str, text: str) -> None:
    """With the server's text, and never another error."""
    with pytest.raises(Refusal) as refusal:
        protocol_of(query)
    assert (refusal.value.status, refusal.value.text) == (400, f"Failed to deserialize query string: {text}")


def test_signed_numbers_have_bounds() -> None:
    """Of 64 bits."""
    assert whole_number("n", str(-(2**63)), is_signed=True) == -(2**63)
    for text, problem in ((str(-(2**63) - 1), "small"), (str(2**63), "large"), ("-" + "9" * 99_999, "small")):
        with pytest.raises(Refusal, match=problem):
            whole_number("n", text, is_signed=True)


@given(st.text(max_size=200))
def test_any_query_is_answered(query: str) -> None:
    """With a number or a refusal."""
    assert status_of(protocol_of, query) in (200, 400)


@given(st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]), st.text(max_size=60))
def test_any_path_is_answered(method: str, path: str) -> None:
    """With a handler, or with 400, 404, 405 or 501."""
    for text in (path, f"/apps/{path}", f"/apps/a/channels/{path}", f"/apps/a/channels/{path}/history"):
        assert status_of(route_of, method, text) in (200, 400, 404, 405, 501)


ABSENT = [
    ("POST", "/apps/a/revocations"),
    ("GET", "/apps/a/channels/c/messages/1"),
    ("POST", "/apps/a/channels/c/messages/1/update"),
    ("DELETE", "/apps/a/channels/c/messages/1/annotations/2"),
    ("POST", "/apps/a/push/publish"),
    ("GET", "/apps/a/push/deviceRegistrations/1"),
]


@pytest.mark.parametrize(("method", "path"), ABSENT)
def test_what_only_the_real_server_has_is_501(method: str, path: str) -> None:
    """With a sentence that says where it is."""
    with pytest.raises(Refusal) as refusal:
        route_of(method, path)
    assert (refusal.value.status, refusal.value.code) == (501, "not_implemented")
    assert "use a real Sockudo" in refusal.value.text


PART = st.text(st.characters(codec="ascii", exclude_characters="/?#%", min_codepoint=33), min_size=1, max_size=20)
REAL_ALONE = [
    ("POST", "/apps/{}/revocations"),
    *(("GET", "/apps/{}/channels/{}/messages/{}" + suffix) for suffix in ("", "/versions", "/annotations")),
    *(("POST", "/apps/{}/channels/{}/messages/{}" + suffix) for suffix in ("/update", "/delete", "/append")),
    ("POST", "/apps/{}/channels/{}/messages/{}/annotations"),
    ("DELETE", "/apps/{}/channels/{}/messages/{}/annotations/{}"),
    *((method, "/apps/{}/push/{}" + more) for method in ("GET", "POST", "PUT", "DELETE") for more in ("", "/{}")),
]


@given(st.sampled_from(REAL_ALONE), st.lists(PART, min_size=4, max_size=4), st.sampled_from(["", "/"]))
def test_each_endpoint_that_is_not_here_is_501(route: tuple[str, str], parts: list[str], end: str) -> None:
    """Whatever the names in its path are; its answer is JSON with a sentence."""
    with pytest.raises(Refusal) as refusal:
        route_of(route[0], route[1].format(*parts) + end)
    answer = json.loads(refusal.value.body())
    assert (answer["status"], answer["code"]) == (501, "not_implemented")
    assert answer["error"].startswith("The embedded Sockudo has no ")


def test_another_method_names_those_there_are() -> None:
    """As the real server does."""
    with pytest.raises(WrongMethod) as refusal:
        route_of("DELETE", "/apps/a/channels")
    assert refusal.value.allowed == "GET,HEAD"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
EVENTS = ["pusher:subscribe", "pusher:unsubscribe", "pusher:signin", "pusher:ping", "client-x", "ai-input", "x", ""]
NAMES = ["c", "private-c", "presence-c", "cache-c", "presence-cache-c", "a b", "*", "[meta]x", "", "#", "ns:x"]


@given(st.sampled_from(EVENTS), st.none() | st.sampled_from(NAMES), JSON, st.sampled_from(NAMES))
def test_any_frame_leaves_the_connection_usable(event: str, channel: object, data: object, inner: str) -> None:
    """It is answered, ignored, or an error; a ping behind it is answered."""
    session = Session(AppState(AppConfig("a", "k", "s", features=Features(True, True, True))))
    for value in (data, {"channel": inner, "auth": data, "channel_data": data}, json.dumps(data)):
        session.receive(json.dumps({"event": event, "channel": channel, "data": value}))
    session.receive('{"event":"pusher:ping"}')
    assert session._waiting[-1] == '{"event":"pusher:pong"}'
    assert session.closing is None


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_any_text_is_a_frame_or_an_error(text: str | bytes) -> None:
    """No other exception leaves the decoder."""
    with suppress(FrameError):
        assert isinstance(decode_frame(text).event, str)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"event":"\\ud800"}',
        '{"event":"x","data":1e999}',
        '{"event":"x","data":NaN}',
        "9" * 5000,
        '{"event":"a","event":"b"}',
        '{"event":5}',
        '{"event":"x","tags":{"a":1}}',
        '{"event":"x","channel":[]}',
    ],
)
def test_a_frame_that_the_real_server_refuses(text: str) -> None:
    """Too deep, half a character, no number, a name twice, another type."""
    with pytest.raises(FrameError, match="Decode failed"):
        decode_frame(text)


def test_a_name_twice_deeper_is_none_of_ours() -> None:
    """Only the frame's own names are fields."""
    assert decode_frame('{"event":"x","data":{"event":1,"event":2}}').data == {"event": 2}

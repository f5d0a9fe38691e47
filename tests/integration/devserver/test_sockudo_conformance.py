"""What a Sockudo answers: the same tests on the real server and on the look-alike, so that it cannot drift.

A fact that the real server shows belongs here first, and then into `devserver`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest

from sockudo_publisher.dev.embedded import DevServer, SockudoApp, SockudoServer, find_sockudo
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused
from tests.support.http_api import HttpAnswer, HttpApi, signature
from tests.support.proxy import Cut, Proxy
from tests.support.stack import Server

pytestmark = pytest.mark.integration

#: Seconds that ids are remembered here.
DEDUP_TTL_S = 3
APP = SockudoApp(
    id="conformance",
    key="conformance-key",
    limits={"max_event_batch_size": 5, "max_event_payload_in_kb": 1, "max_event_channels_at_once": 3},
)
SECOND_APP = SockudoApp(id="second", key="second-key", secret="second-secret")

CONFLICT = "idempotency key was already used with a different payload"


@pytest.fixture(scope="module", params=["devserver", "sockudo"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each of the two, with an app of tight limits."""
    directory = tmp_path_factory.mktemp(request.param)
    apps = [APP, SECOND_APP]
    if request.param == "devserver":
        with DevServer(directory, apps, dedup_ttl_s=DEDUP_TTL_S) as devserver:
            yield devserver
        return
    if find_sockudo() is None:
        request.getfixturevalue("sockudo")  # skips, or fails in CI
    with SockudoServer(directory, apps, dedup_ttl_s=DEDUP_TTL_S) as sockudo:
        yield sockudo


@pytest.fixture
def api(server: Server) -> HttpApi:
    return HttpApi(server)


@pytest.fixture
def name() -> str:
    """A text that no other test has: a channel, an id."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def listener(server: Server, name: str) -> Iterator[Subscriber]:
    """A subscriber of the channel `name`."""
    with Subscriber(server.ws_url(), name, secret=APP.secret) as subscriber:
        yield subscriber


def assert_refused(answer: HttpAnswer, status: int, code: str, error: str) -> None:
    """The JSON of an error, and nothing else in it."""
    assert (answer.status, answer.json) == (status, {"error": error, "code": code, "status": status})
    assert answer.media_type == "application/json"
    assert answer.headers["connection"] == "close"


def test_health_of_server_and_app_is_not_signed(api: HttpApi) -> None:
    """`/up` says OK, in the body and in a header; an unknown app is 404."""
    for path, status, word in (("/up", 200, "OK"), (f"/up/{APP.id}", 200, "OK"), ("/up/nobody", 404, "NOT_FOUND")):
        answer = api.plain("GET", path)
        assert (answer.status, answer.body, answer.headers["x-health-check"]) == (status, word.encode(), word)


@pytest.mark.parametrize("path", ["/", "/nothing", "/apps/conformance/nothing"])
def test_an_unknown_path_is_404_in_plain_text(api: HttpApi, path: str) -> None:
    """Not JSON, signed or not."""
    answer = api.request("POST", path, b"{}")
    assert (answer.status, answer.body, answer.media_type) == (404, b"404 NOT FOUND", "text/plain")


def test_another_method_is_405_without_a_body(api: HttpApi) -> None:
    """Before the signature is looked at."""
    answer = api.plain("GET", f"/apps/{APP.id}/events")
    assert (answer.status, answer.body, answer.headers["connection"]) == (405, b"", "close")


MD5_MISSING = "body_md5 is required and must be non-empty in query parameters for POST requests with a non-empty body"
EXPIRED = "Timestamp expired or too far in the future"
AUTH: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "unknown key": (
        {"parameters": {"auth_key": "nobody"}},
        404,
        "app_not_found",
        "Application key not found or invalid: Invalid app key",
    ),
    "no key": (
        {"without": ["auth_key"]},
        404,
        "app_not_found",
        "Application key not found or invalid: Invalid app key",
    ),
    "no query": ({"query": ""}, 400, "invalid_input", "Missing authentication query parameters"),
    "key of another app": (
        {"parameters": {"auth_key": SECOND_APP.key}, "secret": SECOND_APP.secret},
        401,
        "auth_failed",
        "Authenticated app does not match route app_id",
    ),
    "wrong secret": ({"secret": "wrong"}, 401, "auth_failed", "Invalid API signature"),
    "wrong signature": ({"parameters": {"auth_signature": "0" * 64}}, 401, "auth_failed", "Invalid API signature"),
    "no signature": ({"without": ["auth_signature"]}, 401, "auth_failed", "Invalid API signature"),
    "signature not ASCII": ({"parameters": {"auth_signature": "ä" * 64}}, 401, "auth_failed", "Invalid API signature"),
    "no timestamp": ({"without": ["auth_timestamp"]}, 401, "auth_failed", "auth_timestamp is missing"),
    "timestamp in words": (
        {"parameters": {"auth_timestamp": "now"}},
        401,
        "auth_failed",
        "Invalid auth_timestamp format",
    ),
    "no md5": ({"without": ["body_md5"]}, 401, "auth_failed", MD5_MISSING),
    "empty md5": ({"parameters": {"body_md5": ""}}, 401, "auth_failed", MD5_MISSING),
    "wrong md5": ({"parameters": {"body_md5": "0" * 32}}, 401, "auth_failed", "body_md5 mismatch"),
}


@pytest.mark.parametrize(("how", "status", "code", "error"), AUTH.values(), ids=AUTH)
def test_who_did_not_sign_is_refused(api: HttpApi, how: dict[str, Any], status: int, code: str, error: str) -> None:
    """404 for an unknown key, 400 without a query, 401 for the rest."""
    assert_refused(api.post("/events", {"channel": "c", "name": "e", "data": "d"}, **how), status, code, error)


@pytest.mark.parametrize(("offset_s", "status"), [(-604, 401), (604, 401), (-596, 200), (596, 200)])
def test_a_clock_may_differ_by_ten_minutes(api: HttpApi, offset_s: int, status: int) -> None:
    """Either way."""
    how = {"parameters": {"auth_timestamp": str(int(time.time()) + offset_s)}}
    answer = api.post("/events", {"channel": "c", "name": "e", "data": "d"}, **how)
    assert answer.status == status
    if status == 401:
        assert answer.json["error"] == EXPIRED


@pytest.mark.parametrize(
    "parameters",
    [{"x": "a b&c=ü+"}, {"Upper": "Case"}, {"empty": ""}, {"auth_version": "2.0"}],
    ids=["to be escaped", "upper case", "empty", "version"],
)
def test_further_parameters_are_signed_decoded_and_by_lower_case_name(api: HttpApi, parameters: dict[str, str]) -> None:
    """And the version is not looked at."""
    answer = api.post("/events", {"channel": "c", "name": "e", "data": "d"}, parameters=parameters)
    assert (answer.status, answer.json) == (200, {"ok": True})


def test_a_signature_holds_for_its_parameters_alone(api: HttpApi) -> None:
    """With one more, or one changed, it is another text."""
    body = b'{"channel":"c","name":"e","data":"d"}'
    signed = {"auth_key": APP.key, "auth_timestamp": str(int(time.time())), "body_md5": hashlib.md5(body).hexdigest()}
    query = urlencode({**signed, "auth_signature": signature(APP.secret, "POST", f"/apps/{APP.id}/events", signed)})
    assert api.post("/events", body, query=query).status == 200
    assert api.post("/events", body, query=f"{query}&more=1").json["error"] == "Invalid API signature"
    assert api.post("/batch_events", body, query=query).json["error"] == "Invalid API signature"


def test_one_trailing_slash_is_no_part_of_the_path(api: HttpApi) -> None:
    """Neither for the route nor for the signature."""
    path = f"/apps/{APP.id}/events"
    body = b'{"channel":"c","name":"e","data":"d"}'
    assert api.request("POST", path + "/", body, sign_path=path).status == 200
    assert api.request("POST", path + "/", body).status == 401


BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "Failed to parse the request body as JSON: "),
    "half of an object": (b'{"name":', 400, "Failed to parse the request body as JSON: "),
    "something behind it": (b"{}x", 400, "Failed to parse the request body as JSON: "),
    "not UTF-8": (b'{"name":"\xff"}', 400, "Failed to parse the request body as JSON: "),
    "NaN": (b'{"data":NaN}', 400, "Failed to parse the request body as JSON: "),
    "half a surrogate pair": (b'{"name":"\\ud800"}', 400, "Failed to parse the request body as JSON: "),
    "a string": (b'"x"', 422, "Failed to deserialize the JSON body into the target type: "),
    "a channel of another type": (b'{"channel":1}', 422, "Failed to deserialize the JSON body into the target type: "),
    "channels of another type": (
        b'{"channels":"c"}',
        422,
        "Failed to deserialize the JSON body into the target type: ",
    ),
    "a name of another type": (b'{"name":1}', 422, "Failed to deserialize the JSON body into the target type: "),
    "a message_id of another type": (b'{"message_id":1}', 422, "Failed to deserialize the JSON body into the target"),
    "a socket_id of another type": (b'{"socket_id":1}', 422, "Failed to deserialize the JSON body into the target"),
    "info of another type": (b'{"info":["user_count"]}', 422, "Failed to deserialize the JSON body into the target"),
    "delta of another type": (b'{"delta":1}', 422, "Failed to deserialize the JSON body into the target type: "),
    "a tag of another type": (b'{"tags":{"a":1}}', 422, "Failed to deserialize the JSON body into the target type: "),
    "extras of another type": (b'{"extras":5}', 422, "Failed to deserialize the JSON body into the target type: "),
    "headers of another type": (
        b'{"extras":{"headers":5}}',
        422,
        "Failed to deserialize the JSON body into the target",
    ),
}


@pytest.mark.parametrize(("body", "status", "start"), BODIES.values(), ids=BODIES)
def test_what_cannot_be_decoded_is_refused_in_plain_text(api: HttpApi, body: bytes, status: int, start: str) -> None:
    """400 for what is no JSON, 422 for JSON of other types."""
    answer = api.post("/events", body)
    assert (answer.status, answer.media_type, answer.headers["connection"]) == (status, "text/plain", "close")
    assert answer.body.decode().startswith(start)


BATCH_BODIES = {
    "no batch": b"{}",
    "an object": b'{"batch":{}}',
    "null": b'{"batch":null}',
    "an item that is a string": b'{"batch":["x"]}',
}


@pytest.mark.parametrize("body", BATCH_BODIES.values(), ids=BATCH_BODIES)
def test_a_batch_of_another_type_is_422_in_plain_text(api: HttpApi, body: bytes) -> None:
    """As for one event."""
    answer = api.post("/batch_events", body)
    assert (answer.status, answer.media_type) == (422, "text/plain")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/vnd.x+json", 200),
        ("text/plain", 415),
        (None, 415),
    ],
)
def test_a_body_must_be_called_json(api: HttpApi, content_type: str | None, status: int) -> None:
    """415 in plain text for anything else."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = api.post("/events", {"channel": "c", "name": "e", "data": "d"}, headers=headers)
    assert answer.status == status
    if status == 415:
        assert answer.body == b"Expected request with `Content-Type: application/json`"


def test_a_body_over_ten_mebibytes_is_413_in_plain_text(api: HttpApi) -> None:
    """The transport's own limit, whatever is in it."""
    answer = api.post("/events", b" " * (10 * 1024 * 1024 + 1))
    assert (answer.status, answer.media_type) == (413, "text/plain")


INVALID: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "no name": ({"name": None}, 400, "invalid_input", "Event name is required"),
    "long name": (
        {"name": "n" * 201},
        400,
        "limit_exceeded",
        f"Event name '{'n' * 201}' exceeds maximum length of 200",
    ),
    "large data": (
        {"data": "x" * 1025},
        413,
        "payload_too_large",
        "Event payload size (1025 bytes) for event 'e' exceeds limit (1KB)",
    ),
    "large in bytes": (
        {"data": "ü" * 513},
        413,
        "payload_too_large",
        "Event payload size (1026 bytes) for event 'e' exceeds limit (1KB)",
    ),
    "no channel": (
        {"channel": None},
        400,
        "missing_channel_info",
        "Request must contain 'channels' (list) or 'channel' (string)",
    ),
    "an empty list beside a channel": (
        {"channels": []},
        400,
        "missing_channel_info",
        "Request must contain 'channels' (list) or 'channel' (string)",
    ),
    "many channels": (
        {"channels": ["a", "b", "c", "d"]},
        400,
        "limit_exceeded",
        "Number of channels (4) exceeds limit (3)",
    ),
    "space in channel": (
        {"channel": "a b"},
        400,
        "invalid_input",
        "Channel name contains invalid characters: 'a b' (invalid chars: [' '])",
    ),
    "long channel": ({"channel": "c" * 201}, 400, "invalid_input", "Channel name too long. Max length is 200"),
    "namespace": ({"channel": "a:b"}, 400, "invalid_input", "Unknown channel namespace 'a'"),
    "user-limited channel": (
        {"channel": "a#b"},
        400,
        "invalid_input",
        "Channel 'a#b' uses user-limited syntax but the namespace does not allow it",
    ),
    "empty message_id": ({"message_id": ""}, 400, "invalid_input", "idempotency key must not be empty"),
    "long message_id": ({"message_id": "m" * 129}, 400, "invalid_input", "idempotency key exceeds 128 bytes"),
    "long in bytes": ({"message_id": "é" * 65}, 400, "invalid_input", "idempotency key exceeds 128 bytes"),
}


@pytest.mark.parametrize("path", ["/events", "/batch_events"])
@pytest.mark.parametrize(("fields", "status", "code", "error"), INVALID.values(), ids=INVALID)
def test_an_event_against_the_rules_is_refused(
    api: HttpApi, path: str, fields: dict[str, Any], status: int, code: str, error: str
) -> None:
    """With the same words alone and in a batch."""
    event = {"channel": "c", "name": "e", "data": "d", **fields}
    assert_refused(api.post(path, event if path == "/events" else {"batch": [event]}), status, code, error)


VALID: dict[str, dict[str, Any]] = {
    "name of 200": {"name": "n" * 200},
    "empty name": {"name": ""},
    "data of the limit": {"data": "x" * 1024},
    "no data": {"data": None},
    "channel of 200": {"channel": "c" * 200},
    "empty channel": {"channel": ""},
    "all of the alphabet": {"channel": "aZ09-_=@.,;"},
    "channel of a user": {"channel": "#server-to-user-1"},
    "any socket_id": {"socket_id": "nobody"},
    "unknown field": {"whatever": 1},
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_what_the_rules_do_not_forbid_is_accepted(api: HttpApi, fields: dict[str, Any]) -> None:
    """The plain answer."""
    answer = api.event(**{"channel": "c", "name": "e", "data": "d", **fields})
    assert (answer.status, answer.json, answer.headers["connection"]) == (200, {"ok": True}, "close")


DATA: dict[str, tuple[dict[str, Any], str]] = {
    "text": ({"data": 'ü\u2028"/</\x7f\x01 😀'}, 'ü\u2028"/</\x7f\x01 😀'),
    "empty": ({"data": ""}, ""),
    "absent": ({}, "null"),
    "null": ({"data": None}, "null"),
    "true": ({"data": True}, "true"),
    "number": ({"data": 2.5}, "2.5"),
    "list": ({"data": []}, "[]"),
    "object, its keys sorted": ({"data": {"b": 1, "a": [1, None, "ü"]}}, '{"a":[1,null,"ü"],"b":1}'),
}


@pytest.mark.parametrize(("fields", "text"), DATA.values(), ids=DATA)
def test_data_arrives_as_text(api: HttpApi, listener: Subscriber, name: str, fields: dict[str, Any], text: str) -> None:
    """A string as it is, all else as JSON."""
    assert api.event(channel=name, name="e", **fields).status == 200
    assert listener.take(1) == [text]


def test_a_subscriber_gets_event_channel_and_data_and_nothing_else(
    api: HttpApi, listener: Subscriber, name: str
) -> None:
    """Whatever else was published with it."""
    api.event(channel=name, name="é", data="d", tags={"a": "b"}, message_id=name, extras={"x": 1}, info="user_count")
    listener.wait_for_count(1)
    assert json.loads(listener.events()[0].raw) == {"event": "é", "channel": name, "data": "d"}


def test_the_answer_tells_what_info_asks_for(api: HttpApi, listener: Subscriber, name: str) -> None:
    """A receipt always; counts where they apply."""
    answer = api.event(channel=name, name="e", data="d", message_id=name, info="subscription_count,user_count")
    assert answer.json == {"channels": {name: {"acknowledgement_id": name, "subscription_count": 1}}}
    answer = api.event(channel=f"presence-{name}", name="e", data="d", message_id=name, info="user_count")
    assert answer.json == {"channels": {f"presence-{name}": {"acknowledgement_id": name, "user_count": 0}}}
    receipt = api.event(channel=name, name="e", data="d", info="").json["channels"][name]
    assert set(receipt) == {"acknowledgement_id"}


def test_a_named_socket_is_left_out(server: Server, api: HttpApi, listener: Subscriber, name: str) -> None:
    """The others get it."""
    with Subscriber(server.ws_url(), name) as other:
        api.event(channel=name, name="e", data="for others", socket_id=listener.socket_id)
        api.event(channel=name, name="e", data="for all", socket_id="1.1")
        assert other.take(2) == ["for others", "for all"]
        assert listener.take(1) == ["for all"]


def test_an_event_goes_to_each_of_its_channels(server: Server, api: HttpApi, name: str) -> None:
    """A channel that is named twice gets it twice, unless the event has an id."""
    first, second = f"{name}-1", f"{name}-2"
    with Subscriber(server.ws_url(), first, second) as subscriber:
        answer = api.event(channels=[first, second, first], name="e", data="plain", channel="not this one")
        assert answer.json == {"ok": True}
        answer = api.event(channels=[first, second, first], name="e", data="once", message_id=name)
        assert answer.json == {"channels": {channel: {"acknowledgement_id": name} for channel in (first, second)}}
        subscriber.wait_for_count(5)
        subscriber.ping()
        assert {channel: sorted(data) for channel, data in subscriber.by_channel().items()} == {
            first: ["once", "plain", "plain"],
            second: ["once", "plain"],
        }


def test_one_bad_channel_does_not_keep_the_others_from_it(api: HttpApi, listener: Subscriber, name: str) -> None:
    """The answer is the refusal, and the event is out."""
    assert api.event(channels=["a b", name], name="e", data="d").status == 400
    assert listener.take(1) == ["d"]


def test_a_replay_gets_the_first_receipt_and_reaches_nobody(api: HttpApi, listener: Subscriber, name: str) -> None:
    """By /events and by /batch_events, together with others or alone."""
    event = {"channel": name, "name": "e", "data": "d", "message_id": name}
    receipt = {"acknowledgement_id": name}
    assert api.event(**event).json == {"channels": {name: receipt}}
    assert api.event(**event).json == {"channels": {name: receipt}}
    assert api.batch({"channel": name, "name": "e", "data": "last"}, event, event).json == {
        "batch": [{}, receipt, receipt]
    }
    listener.wait_for_count(2)
    listener.ping()
    assert listener.data() == ["d", "last"]


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "idempotency_key": ({"idempotency_key": "k"}, {}),
    "socket_id": ({"socket_id": "1.1"}, {}),
    "info": ({"info": "user_count"}, {}),
    "delta": ({"delta": False}, {}),
    "unknown field": ({"whatever": 1}, {}),
    "order of tags": ({"tags": {"a": "1", "b": "2"}}, {"tags": {"b": "2", "a": "1"}}),
    "order in an object": ({"data": {"a": 1, "b": 2}}, {"data": {"b": 2, "a": 1}}),
    "object and its text": ({"data": {"b": 1, "a": 1}}, {"data": '{"a":1,"b":1}'}),
    "null and its text": ({"data": None}, {"data": "null"}),
    "null tags": ({"tags": None}, {}),
    "null extras": ({"extras": None}, {}),
    "one header": ({"extras": {"headers": {"a": "1"}}}, {"extras": {"headers": {"a": "1"}}}),
}
OTHER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data": ({}, {"data": "other"}),
    "spaces in an object's text": ({"data": {"a": 1}}, {"data": '{"a": 1}'}),
    "name": ({}, {"name": "other"}),
    "a tag": ({"tags": {"a": "1"}}, {"tags": {"a": "2"}}),
    "no tags": ({"tags": {"a": "1"}}, {}),
    "empty tags": ({"tags": {}}, {}),
    "empty extras": ({"extras": {}}, {}),
    "type of a header": ({"extras": {"headers": {"a": 1}}}, {"extras": {"headers": {"a": "1"}}}),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME)
def test_what_may_change_in_a_resend(
    api: HttpApi, listener: Subscriber, name: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """It is the same payload: the receipt again, and no second delivery."""
    event = {"channel": name, "name": "e", "data": "d", "message_id": name}
    for fields in (first, second):
        # A key of its own each time: the same one would be answered by another layer.
        keys = {key: f"{value}-{name}" if key == "idempotency_key" else value for key, value in fields.items()}
        answer = api.event(**{**event, **keys})
        assert (answer.status, answer.json["channels"][name]["acknowledgement_id"]) == (200, name)
    listener.wait_for_count(1)
    listener.ping()
    assert listener.count == 1


@pytest.mark.parametrize(("first", "second"), OTHER.values(), ids=OTHER)
def test_what_may_not_change_in_a_resend(
    api: HttpApi, listener: Subscriber, name: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """It is another payload: a conflict, and no delivery."""
    event = {"channel": name, "name": "e", "data": "d", "message_id": name}
    assert api.event(**{**event, **first}).status == 200
    assert_refused(api.event(**{**event, **second}), 400, "invalid_input", CONFLICT)
    assert_refused(api.batch({**event, **second}), 400, "invalid_input", CONFLICT)
    listener.wait_for_count(1)
    listener.ping()
    assert listener.count == 1


def test_an_id_belongs_to_its_channel_and_app(server: Server, api: HttpApi, name: str) -> None:
    """On another channel, or for another app, it is another event."""
    with (
        Subscriber(server.ws_url(), name, f"{name}-2") as mine,
        Subscriber(server.ws_url(SECOND_APP.key), name) as theirs,
    ):
        for channel in (name, f"{name}-2"):
            assert api.event(channel=channel, name="e", data=channel, message_id=name).status == 200
        second = HttpApi(server, SECOND_APP)
        assert second.event(channel=name, name="e", data="theirs", message_id=name).status == 200
        assert mine.take(2) == [name, f"{name}-2"]
        assert theirs.take(1) == ["theirs"]


def test_an_id_in_extras_counts_where_there_is_no_other(api: HttpApi, name: str) -> None:
    """In camel case; a message_id beside it is stronger."""
    event = {"channel": name, "name": "e", "extras": {"idempotencyKey": name}}
    assert api.event(**event, data="1").json == {"ok": True}
    assert_refused(api.event(**event, data="2"), 400, "invalid_input", CONFLICT)
    assert api.event(**event, data="3", message_id=f"{name}-2").status == 200


def test_an_id_is_forgotten_after_its_time(api: HttpApi, listener: Subscriber, name: str) -> None:
    """Counted from the publish, however often it is asked meanwhile."""
    event = {"channel": name, "name": "e", "data": "d", "message_id": name}
    start = time.monotonic()
    while listener.count < 2:
        assert api.event(**event).status == 200
        assert time.monotonic() < start + 5 * DEDUP_TTL_S
        time.sleep(0.1)
    first, second = (at for at, _ in listener.raw())
    assert second - first >= DEDUP_TTL_S - 0.2


def test_a_refused_event_may_be_mended_under_its_id(api: HttpApi, listener: Subscriber, name: str) -> None:
    """What was not published leaves no record."""
    event = {"channel": name, "name": "e", "message_id": name}
    assert api.event(**event, data="x" * 1025).status == 413
    assert api.event(**event, data="mended").status == 200
    assert listener.take(1) == ["mended"]


def test_a_batch_is_published_in_order_up_to_the_item_that_fails(api: HttpApi, listener: Subscriber, name: str) -> None:
    """And the whole batch, sent again with that item mended, delivers the rest once."""
    items = [{"channel": name, "name": "e", "data": str(n), "message_id": f"{name}-{n}"} for n in range(5)]
    bad = {**items[2], "channel": "a b"}
    answer = api.batch(*items[:2], bad, *items[3:])
    assert (answer.status, answer.json["code"]) == (400, "invalid_input")
    assert listener.take(2) == ["0", "1"]
    assert api.batch(*items).json == {"batch": [{"acknowledgement_id": item["message_id"]} for item in items]}
    assert listener.take(5) == ["0", "1", "2", "3", "4"]


def test_a_batch_answers_by_item_only_if_some_item_asks(api: HttpApi, name: str) -> None:
    """By its id or by info; the others are empty objects."""
    item = {"channel": name, "name": "e", "data": "d"}
    assert api.batch().json == {}
    assert api.batch(item, item).json == {}
    assert api.batch(item, {**item, "message_id": name}).json == {"batch": [{}, {"acknowledgement_id": name}]}
    # Of several channels, the first; of both, the one that was not published to.
    several = {"channels": [f"{name}-1", f"{name}-2"], "name": "e", "data": "d", "message_id": name}
    assert api.batch(several).json == {"batch": [{"acknowledgement_id": name}]}
    assert api.batch({**several, "channel": f"{name}-3"}).json == {"batch": [{}]}


def test_too_large_a_batch_is_refused_as_a_whole(api: HttpApi, listener: Subscriber, name: str) -> None:
    """Nothing of it is published."""
    item = {"channel": name, "name": "e", "data": "d"}
    assert_refused(api.batch(*[item] * 6), 400, "limit_exceeded", "Batch size (6) exceeds limit (5)")
    api.batch({**item, "data": "after"})
    assert listener.take(1) == ["after"]


def test_a_request_cut_before_its_end_publishes_nothing(server: Server, listener: Subscriber, name: str) -> None:
    """A body that is not whole is no event; the resend is a first one."""
    api = HttpApi(server)
    event = {"channel": name, "name": "e", "data": "d" * 500, "message_id": name}
    with Proxy(server.port, Cut(request_bytes=600)) as proxy:
        with pytest.raises((OSError, http.client.HTTPException)):
            HttpApi(server, port=proxy.port).event(**event)
        assert proxy.fired == 1
    assert api.event(**event).json == {"channels": {name: {"acknowledgement_id": name}}}
    assert len(listener.take(1)) == 1


# WebSockets


def test_a_connection_is_greeted_with_its_socket_id(server: Server) -> None:
    """Data is text that holds JSON."""
    with Subscriber(server.ws_url()) as subscriber:
        greeting = subscriber.protocol_frames[0]
        assert set(greeting) == {"event", "data"}
        assert json.loads(greeting["data"]) == {"socket_id": subscriber.socket_id, "activity_timeout": 120}
        whole, _, fraction = subscriber.socket_id.partition(".")
        assert whole.isdigit()
        assert fraction.isdigit()


@pytest.mark.parametrize("query", ["", "?protocol=7", "?protocol=5&client=js&version=8", "?client=js"])
def test_any_protocol_number_is_taken_for_7(server: Server, query: str) -> None:
    """But 2, which is Sockudo's own."""
    with Subscriber(server.ws_url().partition("?")[0] + query) as subscriber:
        assert subscriber.protocol_frames[0]["event"] == "pusher:connection_established"


@pytest.mark.parametrize("protocol", ["x", "300", "-1", ""])
def test_a_protocol_that_is_no_number_is_400(server: Server, protocol: str) -> None:
    """Before the connection is made."""
    with pytest.raises(SubscriptionRefused) as refusal:
        Subscriber(server.ws_url().replace("protocol=7", f"protocol={protocol}"))
    assert "HTTP/1.1 400" in str(refusal.value)


def test_an_unknown_key_is_not_greeted(server: Server) -> None:
    """The connection ends."""
    with pytest.raises(SubscriptionRefused, match="connection lost"):
        Subscriber(server.ws_url("nobody"))


def test_public_and_private_channels_are_subscribed(server: Server, api: HttpApi, name: str) -> None:
    """A private one with the signature of socket and channel."""
    private = f"private-{name}"
    with Subscriber(server.ws_url(), name, private, secret=APP.secret) as subscriber:
        assert subscriber.protocol_frames[1:] == [
            {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"}
            for channel in (name, private)
        ]
        api.event(channel=private, name="e", data="secret")
        assert subscriber.take(1) == ["secret"]


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (None, "Authentication error: Authentication signature required for this channel"),
        ("conformance-key:" + "0" * 64, "Authentication error: Channel requires authentication"),
        ("nobody:" + "0" * 64, "Authentication error: Channel requires authentication"),
        ("conformance-key:ä", "Authentication error: Channel requires authentication"),
        ("", "Authentication error: Channel requires authentication"),
        ("nonsense", "Authentication error: Channel requires authentication"),
    ],
)
def test_a_private_channel_is_refused_without_its_signature(
    server: Server, api: HttpApi, name: str, auth: str | None, message: str
) -> None:
    """And its events do not arrive; the connection stays."""
    private = f"private-{name}"
    with Subscriber(server.ws_url(), name) as subscriber:
        with pytest.raises(SubscriptionRefused):
            subscriber.subscribe(private, auth=auth)
        assert subscriber.errors() == [{"code": 4009, "message": message}]
        api.event(channel=private, name="e", data="secret")
        api.event(channel=name, name="e", data="public")
        assert subscriber.take(1) == ["public"]


def test_the_signature_of_another_socket_does_not_do(server: Server, name: str) -> None:
    """It is made for one socket."""
    private = f"private-{name}"
    with Subscriber(server.ws_url(), secret=APP.secret) as one, Subscriber(server.ws_url()) as other:
        with pytest.raises(SubscriptionRefused):
            other.subscribe(private, auth=one.sign(private))
        one.subscribe(private)


FRAMES: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "no JSON": ("nonsense", [(4000, "Invalid message format: Decode failed: ")]),
    "no object": ("[]", [(4000, "Invalid message format: Decode failed: ")]),
    "no event": ('{"x":1}', [(4000, "Invalid event name: Event name is required")]),
    "no channel": ('{"event":"pusher:subscribe","data":{}}', [(4000, "Invalid message format: Missing channel field")]),
    "no data": ('{"event":"pusher:subscribe"}', [(4000, "Invalid message format: ")]),
    "data that is no JSON": ('{"event":"pusher:subscribe","data":"x"}', [(4000, "Invalid message format: ")]),
    "a bad channel": (
        '{"event":"pusher:subscribe","data":{"channel":"a b"}}',
        [(4300, "Channel error: Channel name contains invalid characters: 'a b' (invalid chars: [' '])")],
    ),
    "a client event": (
        '{"event":"client-x","channel":"c","data":{}}',
        [(4301, "Client event error: Client events are not enabled for this app")],
    ),
    "an unknown event": ('{"event":"pusher:whatever","data":{}}', []),
    "a pong": ('{"event":"pusher:pong","data":{}}', []),
    "unsubscribe of nothing": ('{"event":"pusher:unsubscribe","data":{"channel":"nothing"}}', []),
}


@pytest.mark.parametrize(("frame", "errors"), FRAMES.values(), ids=FRAMES)
def test_a_frame_against_the_rules_is_answered_and_the_connection_stays(
    server: Server, frame: str, errors: list[tuple[int, str]]
) -> None:
    """With a code and a message, or not at all."""
    with Subscriber(server.ws_url()) as subscriber:
        subscriber.send_text(frame)
        subscriber.ping()
        answered = subscriber.errors()
        assert [error["code"] for error in answered] == [code for code, _ in errors]
        for error, (_, start) in zip(answered, errors, strict=True):
            assert error["message"].startswith(start)


def test_a_subscription_may_be_sent_as_text_and_twice(server: Server, api: HttpApi, name: str) -> None:
    """Confirmed each time, delivered once."""
    with Subscriber(server.ws_url()) as subscriber:
        for data in ({"channel": name}, json.dumps({"channel": name})):
            subscriber.send({"event": "pusher:subscribe", "data": data})
            subscriber.ping()
        confirmed = [frame["channel"] for frame in subscriber.protocol_frames if "channel" in frame]
        assert confirmed == [name, name]
        assert (
            api.event(channel=name, name="e", data="d", info="subscription_count").json["channels"][name][
                "subscription_count"
            ]
            == 1
        )
        subscriber.wait_for_count(1)
        subscriber.ping()
        assert subscriber.count == 1


def test_after_unsubscribe_nothing_arrives(server: Server, api: HttpApi, name: str) -> None:
    """There is no answer to it."""
    with Subscriber(server.ws_url(), name, f"{name}-2") as subscriber:
        subscriber.unsubscribe(name)
        api.event(channel=name, name="e", data="too late")
        api.event(channel=f"{name}-2", name="e", data="in time")
        assert subscriber.take(1) == ["in time"]


def test_a_closed_connection_is_counted_no_more(server: Server, api: HttpApi, name: str) -> None:
    """Its channels are given up."""

    def count() -> int:
        answer = api.event(channel=name, name="e", data="d", info="subscription_count")
        return int(answer.json["channels"][name]["subscription_count"])

    with closing(Subscriber(server.ws_url(), name)):
        assert count() == 1
    deadline = time.monotonic() + 5
    while count():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ping_is_answered_with_pong_that_has_no_data(server: Server) -> None:
    """Whether the ping has some or not."""
    with Subscriber(server.ws_url()) as subscriber:
        subscriber.ping()
        assert subscriber.protocol_frames[-1] == {"event": "pusher:pong"}


def test_events_reach_a_subscriber_in_the_order_of_their_requests(
    server: Server, listener: Subscriber, name: str
) -> None:
    """Of one channel, over many batches."""
    api = HttpApi(server)
    for start in range(0, 250, 5):
        items = [
            {"channel": name, "name": "e", "data": str(n), "message_id": f"{name}-{n}"} for n in range(start, start + 5)
        ]
        assert api.batch(*items).status == 200
    assert listener.take(250) == [str(n) for n in range(250)]

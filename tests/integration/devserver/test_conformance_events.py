"""What a Sockudo answers to an event or a batch, and what subscribers receive. On both servers."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.devserver.conformance import assert_refused
from tests.support.http_api import HttpApi
from tests.support.proxy import Cut, Proxy
from tests.support.stack import Server

pytestmark = pytest.mark.integration


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
    "any socket_id": {"socket_id": "unknown"},
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


def test_a_subscriber_gets_event_channel_and_data_only(api: HttpApi, listener: Subscriber, name: str) -> None:
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


def test_events_reach_a_subscriber_in_the_order_of_requests(server: Server, listener: Subscriber, name: str) -> None:
    """Of one channel, over many batches."""
    api = HttpApi(server)
    for start in range(0, 250, 5):
        items = [
            {"channel": name, "name": "e", "data": str(n), "message_id": f"{name}-{n}"} for n in range(start, start + 5)
        ]
        assert api.batch(*items).status == 200
    assert listener.take(250) == [str(n) for n in range(250)]

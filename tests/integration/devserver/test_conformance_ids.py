"""What a Sockudo does with the id of an event that it has seen. On both servers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.devserver.conformance import CONFLICT, DEDUP_TTL_S, SECOND_APP, assert_refused
from tests.support.http_api import HttpApi
from tests.support.stack import Server

pytestmark = pytest.mark.integration


def test_a_replay_gets_the_first_receipt_and_no_subscriber(api: HttpApi, listener: Subscriber, name: str) -> None:
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

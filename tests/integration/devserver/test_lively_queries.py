"""Channels, histories and webhooks. On both servers."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.devserver.lively import Client, Hook, assert_refused
from tests.support.http_api import HttpAnswer, HttpApi

pytestmark = pytest.mark.integration

NewClient = Callable[[], Client]


def wait_until(condition: Callable[[], bool]) -> None:
    assert wait_for(condition, 60.0)


def get(calls: HttpApi, path: str, **parameters: str) -> HttpAnswer:
    return calls.request("GET", f"/apps/lively{path}", parameters=parameters)


def test_channels_are_listed_by_prefix(client: NewClient, calls: HttpApi, name: str) -> None:
    """With what `info` asks for; a channel without any of it is left out."""
    public, private, presence = f"{name}-c", f"private-{name}", f"presence-{name}"
    one = client()
    for channel in (public, private):
        one.join(channel)
    one.join(presence, {"user_id": "a"})
    # The real server repeats a listing for two seconds: each of these is asked for once.
    assert get(calls, "/channels", filter_by_prefix=name).json == {"channels": {public: {}}}
    asked = {"filter_by_prefix": private, "info": "subscription_count"}
    assert get(calls, "/channels", **asked).json == {"channels": {private: {"subscription_count": 1}}}
    asked = {"filter_by_prefix": presence, "info": "user_count"}
    assert get(calls, "/channels", **asked).json == {"channels": {presence: {"user_count": 1}}}
    assert get(calls, "/channels", filter_by_prefix=name, info="nonsense").json == {"channels": {}}
    text = "user_count is only available for presence channels. Use filter_by_prefix=presence-"
    assert_refused(get(calls, "/channels", filter_by_prefix=name, info="user_count"), 400, "invalid_input", text)


ABOUT: dict[str, tuple[str, dict[str, str], Any]] = {
    "unknown": ("/channels/none", {}, {"occupied": False}),
    "counted": ("/channels/none", {"info": "x,subscription_count"}, {"occupied": False, "subscription_count": 0}),
    "presence": ("/channels/presence-none", {"info": "user_count"}, {"occupied": False, "user_count": 0}),
    "users": ("/channels/presence-none/users", {}, {"users": []}),
    "no users": ("/channels/none/users", {}, "Only presence channels support this endpoint"),
    "no user count": ("/channels/none", {"info": "user_count"}, "user_count is only available for presence channels"),
    "a bad name": (
        "/channels/a%20b",
        {},
        "Channel name contains invalid characters: 'a b' (invalid chars: [' '])",
    ),
    "a slash in it": (
        "/channels/a%2Fb",
        {},
        "Channel name contains invalid characters: 'a/b' (invalid chars: ['/'])",
    ),
    "no name": ("/channels//users", {}, "Only presence channels support this endpoint"),
}


@pytest.mark.parametrize(("path", "parameters", "expected"), ABOUT.values(), ids=ABOUT)
def test_a_channel_is_asked_about(calls: HttpApi, path: str, parameters: dict[str, str], expected: Any) -> None:
    """Occupied or not; or why not."""
    answer = get(calls, path, **parameters)
    if isinstance(expected, str):
        assert_refused(answer, 400, "invalid_input", expected)
    else:
        assert (answer.status, answer.json) == (200, expected)


def test_a_name_that_is_not_utf_8_is_400(calls: HttpApi) -> None:
    """Never a 500."""
    answer = get(calls, "/channels/%FF")
    assert (answer.status, answer.body) == (400, b"Invalid URL: Invalid UTF-8 in `channelName`")


@pytest.mark.parametrize("timestamp", ["9" * 40, "9" * 5000, "1.5", "٣", "1_000", "", "x"])
def test_a_timestamp_that_is_no_number_is_401(calls: HttpApi, timestamp: str) -> None:
    """However long it is."""
    answer = get(calls, "/channels", auth_timestamp=timestamp)
    text = "auth_timestamp is missing" if not timestamp else "Invalid auth_timestamp format"
    assert_refused(answer, 401, "auth_failed", text)


def test_history_gives_messages_in_pages(calls: HttpApi, name: str) -> None:
    """Newest first or oldest first, with a cursor; ephemeral ones are not kept."""
    calls.event(channel=name, name="e1", data="d1", message_id="m1", tags={"a": "1"}, extras={"own": {"z": 1}})
    calls.event(channel=name, name="gone", data="d", extras={"ephemeral": True})
    calls.batch({"channel": name, "name": "e2", "data": {"b": 1}, "message_id": "m2"})
    calls.event(channel=name, name="e3", data="d3", message_id="m3")
    page = get(calls, f"/channels/{name}/history", limit="2").json
    assert [item["message_id"] for item in page["items"]] == ["m3", "m2"]
    assert (page["direction"], page["limit"], page["has_more"]) == ("newest_first", 2, True)
    rest = get(calls, f"/channels/{name}/history", limit="2", cursor=page["next_cursor"]).json
    (first,) = rest["items"]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    stream_id = page["continuity"]["stream_id"]
    assert {key: value for key, value in first.items() if not key.endswith(("_bytes", "_ms"))} == {
        "stream_id": stream_id,
        "serial": 1,
        "message_id": "m1",
        "event_name": "e1",
        "operation_kind": "append",
        "message": {
            "event": "e1",
            "channel": name,
            "data": "d1",
            "message_id": "m1",
            "tags": {"a": "1"},
            "extras": {"own": {"z": 1}},
            "serial": 1,
            "stream_id": stream_id,
        },
    }
    oldest = get(calls, f"/channels/{name}/history", direction="Forwards", end_serial="2").json
    assert [item["event_name"] for item in oldest["items"]] == ["e1", "e2"]
    state = get(calls, f"/channels/{name}/history/state").json
    assert state["stream"]["next_serial"] == 4
    assert set(state["stream"]["state"]) == set(page["stream_state"])
    assert set(state["stream"]["retained"]) == set(page["continuity"]) - {"complete", "truncated_by_retention"}


HISTORY_QUERIES: dict[str, tuple[dict[str, str], str]] = {
    "no limit": ({"limit": "0"}, "History limit must be greater than 0"),
    "a direction": (
        {"direction": "x"},
        "Invalid direction 'x'. Accepted values: newest_first, oldest_first, backwards, forwards",
    ),
    "serials": ({"start_serial": "3", "end_serial": "1"}, "start_serial must be less than or equal to end_serial"),
    "times": ({"start_time_ms": "3", "end": "1"}, "start_time_ms must be less than or equal to end_time_ms"),
    "a long cursor": ({"cursor": "x" * 17000}, "History cursor exceeds 16 KiB"),
}


@pytest.mark.parametrize(("parameters", "text"), HISTORY_QUERIES.values(), ids=HISTORY_QUERIES)
def test_a_query_of_history_is_checked(calls: HttpApi, parameters: dict[str, str], text: str) -> None:
    """In the server's words."""
    assert_refused(get(calls, "/channels/h/history", **parameters), 400, "invalid_input", text)


NUMBERS = {
    "no digit": ("x", "limit: invalid digit found in string"),
    "negative": ("-1", "limit: invalid digit found in string"),
    "too large": ("9" * 30, "limit: number too large to fit in target type"),
    "far too large": ("9" * 6000, "limit: number too large to fit in target type"),
    "empty": ("", "limit: cannot parse integer from empty string"),
}


@pytest.mark.parametrize(("limit", "text"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_of_a_query_is_checked(calls: HttpApi, limit: str, text: str) -> None:
    """Of any length."""
    answer = get(calls, "/channels/h/history", limit=limit)
    assert (answer.status, answer.body.decode()) == (400, f"Failed to deserialize query string: {text}")


def test_a_cursor_is_for_one_query(calls: HttpApi, name: str) -> None:
    """Of one channel, direction and bounds; not after a reset."""
    for number in range(3):
        calls.event(channel=name, name="e", data=str(number))
    path = f"/channels/{name}/history"
    cursor = get(calls, path, limit="1").json["next_cursor"]
    for parameters, text in (
        ({"direction": "oldest_first"}, "History cursor direction does not match the request"),
        ({"start_serial": "1"}, "History cursor bounds do not match the request"),
    ):
        assert_refused(get(calls, path, cursor=cursor, **parameters), 400, "invalid_input", text)
    other = get(calls, f"/channels/{name}-2/history", cursor=cursor)
    assert_refused(other, 400, "invalid_input", "History cursor channel does not match the request")
    order = {"confirm_channel": name, "confirm_operation": "reset", "reason": "r"}
    reset = calls.post(f"{path}/reset", order).json
    assert (reset["ok"], reset["purged_messages"], reset["stream"]["next_serial"]) == (True, 3, 1)
    expired = get(calls, path, cursor=cursor)
    assert_refused(expired, 400, "invalid_input", "Expired history cursor: channel stream changed")


def test_history_is_purged(calls: HttpApi, name: str) -> None:
    """What is before a serial; the order is confirmed in all its parts."""
    for number in range(3):
        calls.event(channel=name, name="e", data=str(number))
    path, order = f"/channels/{name}/history/purge", {"confirm_channel": name, "confirm_operation": "purge"}
    for fields, text in (
        ({"mode": "all", "reason": " "}, "reason must not be empty"),
        ({"mode": "all", "reason": "r", "before_serial": 2}, "Purge mode 'all' does not accept bounds"),
        ({"mode": "before_serial", "reason": "r"}, "Purge mode 'before_serial' requires before_serial only"),
        ({"mode": "all", "reason": "r", "confirm_operation": "x"}, "confirm_operation must be 'purge'"),
        ({"mode": "all", "reason": "r", "confirm_channel": "x"}, "confirm_channel must exactly match the channel path"),
    ):
        assert_refused(calls.post(path, {**order, **fields}), 400, "invalid_input", text)
    for fields in ({"mode": "no", "reason": "r"}, {"mode": "all"}, {"mode": "all", "reason": 5}):
        assert calls.post(path, {**order, **fields}).status == 422
    purged = calls.post(path, {**order, "mode": "before_serial", "before_serial": 3, "reason": "r"}).json
    assert (purged["purged_messages"], purged["stream"]["retained"]["oldest_available_serial"]) == (2, 3)


def test_history_of_members(client: NewClient, calls: HttpApi, name: str) -> None:
    """Who came and went, and who was there at a time."""
    channel = f"presence-{name}"
    client().join(channel, {"user_id": "ada", "user_info": {"n": 1}})
    bob = client()
    bob.join(channel, {"user_id": "bob"})
    bob.say({"event": "pusher:unsubscribe", "data": {"channel": channel}})
    path = f"/channels/{channel}/presence/history"
    wait_until(lambda: len(get(calls, path).json["items"]) == 3)
    items = get(calls, path, direction="oldest_first").json["items"]
    assert [(item["event"], item["cause"], item["user_id"]) for item in items] == [
        ("member_added", "join", "ada"),
        ("member_added", "join", "bob"),
        ("member_removed", "disconnect", "bob"),
    ]
    assert items[0]["presence_event"]["user_info"] == {"n": 1}
    now = get(calls, f"{path}/snapshot").json
    assert [member["user_id"] for member in now["members"]] == ["ada"]
    before = get(calls, f"{path}/snapshot", at_serial="2").json
    assert sorted(member["user_id"] for member in before["members"]) == ["ada", "bob"]
    text = "Only presence channels support this endpoint"
    assert_refused(get(calls, "/channels/public/presence/history"), 400, "invalid_input", text)


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["name"] for event in events]


def test_webhooks_tell_who_comes_and_goes(client: NewClient, hook: Hook, name: str) -> None:
    """Signed; what is left is reported three seconds later."""
    channel, presence, one, two = f"private-{name}", f"presence-{name}", client(), client()
    one.join(channel)
    two.join(channel)
    one.say({"event": "client-e", "channel": channel, "data": {"a": 1}})
    wait_until(lambda: "client_event" in names(hook.about(channel)))
    assert hook.about(channel) == [
        {"name": "channel_occupied", "channel": channel},
        {"name": "subscription_count", "channel": channel, "subscription_count": 1},
        {"name": "subscription_count", "channel": channel, "subscription_count": 2},
        {
            "name": "client_event",
            "channel": channel,
            "event": "client-e",
            "data": {"a": 1},
            "socket_id": one.socket_id,
        },
    ]
    one.join(presence, {"user_id": "ada"})
    two.join(f"cache-{name}")
    # Before they leave: a server on a busy machine sends what it has to tell side by side.
    wait_until(lambda: {"member_added", "channel_occupied"} <= set(names(hook.about(presence))))
    wait_until(lambda: len(hook.about(f"cache-{name}")) == 3)
    left_at = time.monotonic()
    one.close()
    two.close()
    wait_until(lambda: {"member_removed", "channel_vacated"} <= set(names(hook.about(presence))))
    assert time.monotonic() - left_at >= 2.5
    assert names(hook.about(presence))[:2] == ["member_added", "channel_occupied"]
    assert names(hook.about(f"cache-{name}"))[:3] == ["channel_occupied", "subscription_count", "cache_miss"]
    for body, headers in hook.bodies:
        assert headers["x-pusher-key"] == "lively-key"
        expected = hmac.new(b"lively-secret", body, hashlib.sha256).hexdigest()
        assert headers["x-pusher-signature"] == expected
        assert set(json.loads(body)) == {"time_ms", "events"}


def test_a_refused_webhook_is_sent_again(client: NewClient, hook: Hook, name: str) -> None:
    """The same bytes after a 503; a 400 is final."""
    hook.statuses = [503]
    client().join(name)
    wait_until(lambda: names(hook.about(name)) == ["channel_occupied", "subscription_count"] * 2)
    mine = [body for body, _ in hook.bodies if name.encode() in body]
    assert mine[0] == mine[1]
    hook.statuses = [400]
    client().join(f"{name}-2")
    wait_until(lambda: bool(hook.about(f"{name}-2")))
    client().join(f"{name}-3")
    wait_until(lambda: bool(hook.about(f"{name}-3")))
    assert names(hook.about(f"{name}-2")) == ["channel_occupied", "subscription_count"]

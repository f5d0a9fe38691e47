"""Channel history and presence history: pages, cursors, bounds, resets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

CALLS = "17-calls-of-history"
SOURCE = "13-history"


def filled(node: Node, name: str, count: int = 15) -> None:
    node.batch(*[{"channel": name, "name": "e", "data": str(n), "message_id": f"{name}-{n}"} for n in range(count)])


def data(page: dict[str, Any]) -> list[str]:
    return [item["message"]["data"] for item in page["items"]]


@fact("history.off", "Without history the calls answer 422 `feature_disabled`", promise=Promise.CLIENT, source=CALLS)
def test_switched_off(plain: Node, name: str):
    return {
        "history": plain.get(f"/channels/{name}/history").line,
        "state": plain.get(f"/channels/{name}/history/state").line,
        "presence": plain.get(f"/channels/presence-{name}/presence/history").line,
    }


@fact(
    "history.item", "An item has what was published, its `message_id` and a serial", promise=Promise.KEPT, source=SOURCE
)
def test_item(history: Node, name: str):
    history.event(channel=name, name="e", data="d", message_id=name, tags={"a": "b"}, extras={"x": 1})
    (item,) = history.get(f"/channels/{name}/history").json["items"]
    stream = item["stream_id"]
    text = json.dumps(item, sort_keys=True).replace(stream, "STREAM")
    return {
        **json.loads(text),
        "published_at_ms": "a time" if item["published_at_ms"] > 1e12 else "?",
        "payload_size_bytes": "positive" if item["payload_size_bytes"] > 0 else "?",
    }


@fact(
    "history.order",
    "Newest first unless `oldest_first` is wanted; both have a second name",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_order(history: Node, name: str):
    filled(history, name, 3)
    return {
        str(direction): data(
            history.get(f"/channels/{name}/history", **({"direction": direction} if direction else {})).json
        )
        for direction in ("", "newest_first", "oldest_first", "backwards", "forwards")
    }


@fact(
    "history.pages",
    "Pages follow one another by `next_cursor` without gap or repeat",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_pages(history: Node, name: str):
    filled(history, name, 15)
    found, cursor, sizes = [], {}, []
    while True:
        page = history.get(f"/channels/{name}/history", limit="6", direction="oldest_first", **cursor).json
        found += data(page)
        sizes.append(len(page["items"]))
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    return {"sizes": sizes, "complete and in order": found == [str(n) for n in range(15)]}


@fact(
    "history.limit",
    "A limit above `max_page_size` is lowered without an error; 0 is an error",
    promise=Promise.CLIENT,
    source=CALLS,
)
def test_limit(history: Node, name: str):
    filled(history, name, 15)
    page = history.get(f"/channels/{name}/history", limit="1000").json
    return {
        "limit": page["limit"],
        "items": len(page["items"]),
        "0": history.get(f"/channels/{name}/history", limit="0").line,
    }


@fact(
    "history.cursor",
    "A cursor is for the direction, the bounds and the channel of its query alone: else 400",
    promise=Promise.CLIENT,
    source=CALLS,
)
def test_foreign_cursor(history: Node, name: str):
    filled(history, name, 5)
    filled(history, f"{name}-2", 5)
    path = f"/channels/{name}/history"
    cursor = history.get(path, limit="2").json["next_cursor"]
    return {
        "the same": history.get(path, cursor=cursor).code,
        "another limit": history.get(path, cursor=cursor, limit="1").code,
        "another direction": history.get(path, cursor=cursor, direction="oldest_first").line,
        "other bounds": history.get(path, cursor=cursor, start_serial="2").line,
        "another channel": history.get(f"/channels/{name}-2/history", cursor=cursor).line,
        "nonsense": history.get(path, cursor="nonsense").code,
    }


@fact("history.bounds", "Bounds of serials are inclusive", promise=Promise.CLIENT, source=SOURCE)
def test_bounds(history: Node, name: str):
    filled(history, name, 9)
    page = history.get(f"/channels/{name}/history", start_serial="3", end_serial="5").json
    return data(page)


@fact("history.direction", "Another direction is 400", promise=Promise.CLIENT, source=CALLS)
def test_direction(history: Node, name: str):
    return history.get(f"/channels/{name}/history", direction="sideways").line


@fact("history.empty", "A channel without history is an empty page", promise=Promise.CLIENT, source=SOURCE)
def test_empty(history: Node, name: str):
    page = history.get(f"/channels/{name}/history").json
    return {"items": page["items"], "has_more": page["has_more"], "fields": sorted(page)}


@fact(
    "history.at_once",
    "It is complete as soon as a publish is answered; items behind a failed one are absent",
    promise=Promise.KEPT,
    source="under-faults",
)
def test_complete_at_once(history: Node, name: str):
    items = [{"channel": name, "name": "e", "data": str(n)} for n in range(4)]
    history.batch(*items[:2], {**items[2], "channel": "a b"}, items[3])
    return data(history.get(f"/channels/{name}/history", direction="oldest_first").json)


@fact("history.replay", "A replay adds no item", promise=Promise.ONCE, source="35-message_id")
def test_replay_adds_nothing(history: Node, name: str):
    for _ in range(3):
        history.event(channel=name, name="e", data="d", message_id=name)
    return {"items": len(history.get(f"/channels/{name}/history").json["items"])}


@fact("history.ephemeral", "Events with `ephemeral` are delivered and not kept", promise=Promise.KEPT, source=SOURCE)
def test_ephemeral(history: Node, name: str):
    with history.socket() as socket:
        socket.subscribe(name)
        history.event(channel=name, name="e", data="not kept", extras={"ephemeral": True})
        history.event(channel=name, name="e", data="kept")
        return {"delivered": socket.wait_for_texts(2), "kept": data(history.get(f"/channels/{name}/history").json)}


@fact("history.state", "The state of a stream", promise=Promise.CLIENT, source=CALLS)
def test_state(history: Node, name: str):
    filled(history, name, 3)
    state = history.get(f"/channels/{name}/history/state").json
    return {"fields": sorted(state), "stream": sorted(state["stream"]), "next_serial": state["stream"]["next_serial"]}


@fact(
    "history.reset",
    "A reset needs the channel, the operation and a reason, and empties the stream",
    promise=Promise.CLIENT,
    source=CALLS,
)
def test_reset(history: Node, name: str):
    filled(history, name, 3)
    path = f"/channels/{name}/history/reset"
    right = {"confirm_channel": name, "confirm_operation": "reset", "reason": "test"}
    return {
        "another channel": history.post(path, {**right, "confirm_channel": "other"}).line,
        "another operation": history.post(path, {**right, "confirm_operation": "purge"}).line,
        "no reason": history.post(path, {**right, "reason": ""}).line,
        "right": sorted(history.post(path, right).json),
        "then": len(history.get(f"/channels/{name}/history").json["items"]),
    }


@fact("history.purge", "A purge removes items before a serial", promise=Promise.CLIENT, source=CALLS)
def test_purge(history: Node, name: str):
    filled(history, name, 5)
    right = {"confirm_channel": name, "confirm_operation": "purge", "reason": "test"}
    answer = history.post(f"/channels/{name}/history/purge", {**right, "mode": "before_serial", "before_serial": 3})
    return {
        "purged": answer.json.get("purged_messages"),
        "left": data(history.get(f"/channels/{name}/history").json),
        "no mode": history.post(f"/channels/{name}/history/purge", right).code,
    }


@fact(
    "presence_history.items",
    "Presence history has each joining and leaving, with its cause",
    promise=Promise.CLIENT,
    source=CALLS,
)
def test_presence_items(history: Node, name: str):
    channel = f"presence-{name}"
    with history.socket() as one:
        one.subscribe(channel, member={"user_id": "1"})
        with history.socket() as two:
            two.subscribe(channel, member={"user_id": "2"})
        one.until("pusher_internal:member_removed")
        one.send(":unsubscribe", {"channel": channel})
        one.settle()
        page = _page_of(history, channel, 4)
    # Leaving is recorded in the background: the last two have no order.
    return sorted(f"{item['event']} {item['user_id']}: {item['cause']}" for item in page["items"])


def _page_of(node: Node, channel: str, count: int) -> dict[str, Any]:
    """The page, when it has that number of items: leaving is recorded behind its notice."""
    deadline = time.monotonic() + 60
    while True:
        page: dict[str, Any] = node.get(f"/channels/{channel}/presence/history", direction="oldest_first").json
        if len(page["items"]) >= count or time.monotonic() > deadline:
            return page
        time.sleep(0.1)


@fact("presence_history.snapshot", "A snapshot has the members at a serial", promise=Promise.CLIENT, source=CALLS)
def test_snapshot(history: Node, name: str):
    channel = f"presence-{name}"
    with history.socket() as one, history.socket() as two:
        one.subscribe(channel, member={"user_id": "1"})
        two.subscribe(channel, member={"user_id": "2"})
        _page_of(history, channel, 2)
        path = f"/channels/{channel}/presence/history/snapshot"
        now, first = history.get(path).json, history.get(path, at_serial="1").json
        return {
            "now": sorted(one["user_id"] for one in now["members"]),
            "at the first": [one["user_id"] for one in first["members"]],
            "fields": sorted(now),
        }


@fact("presence_history.other_channels", "It is for presence channels alone", promise=Promise.CLIENT, source=CALLS)
def test_other_channels(history: Node, name: str):
    return history.get(f"/channels/{name}/presence/history").line

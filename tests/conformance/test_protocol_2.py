"""Protocol 2, Sockudo's own: positions, filters, rewind, recovery. The embedded server has none of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.socket import Socket
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

SOURCE = "11-websockets"
V2 = "protocol=2"


def joined(node: Node, channel: str, **more: Any) -> tuple[Socket, Any]:
    """A connection that is subscribed: its state is complete when a later ping is answered."""
    socket = node.socket(V2)
    confirmed = socket.subscribe(channel, **more)
    socket.settle()
    return socket, confirmed


def delivered(socket: Socket) -> list[str]:
    return [frame["data"] for frame in socket.settle() if ":" not in frame["event"]]


def position(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame, its stream named, and the server's own id."""
    named = {**frame, "stream_id": "STREAM"} if frame.get("stream_id") else frame
    return {**named, "message_id": "ID"} if ":" in str(frame.get("event")) else named


@fact("v2.greeting", "The greeting of protocol 2", promise=Promise.CLIENT, source=SOURCE, real_only=True)
def test_greeting(native: Node):
    with native.socket(V2) as socket:
        data = socket.data_of(socket.greeting)
        return {
            "event": socket.greeting["event"],
            "data": sorted(data),
            "activity_timeout": data.get("activity_timeout"),
        }


@fact(
    "v2.prefix",
    "Its own events begin with `sockudo:` and `sockudo_internal:`",
    promise=Promise.CLIENT,
    source=SOURCE,
    real_only=True,
)
def test_prefix(native: Node, name: str):
    with native.socket(V2) as socket:
        confirmed = socket.subscribe(name)
        return {"event": socket.frames[-1]["event"], "data": sorted(confirmed)}


@fact(
    "v2.frame",
    "An event has its `message_id`, `serial`, `stream_id`, `tags` and `extras`",
    promise=Promise.ONCE,
    source=SOURCE,
    real_only=True,
)
def test_frame(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        extras = {"mine": 1, "headers": {"a": "1"}, "idempotencyKey": "k"}
        native.event(channel=name, name="e", data="d", message_id=name, tags={"t": "1"}, extras=extras)
        return position(socket.until("e"))


@fact(
    "v2.serial",
    "Serials of a channel follow one another, over batches and requests",
    promise=Promise.ORDER,
    source=SOURCE,
    real_only=True,
)
def test_serials(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        for start in range(0, 12, 4):
            native.batch(*[{"channel": name, "name": "e", "data": str(n)} for n in range(start, start + 4)])
        native.event(channel=f"{name}-2", name="e", data="another channel")
        native.event(channel=name, name="e", data="12")
        frames = [socket.until("e") for _ in range(13)]
        serials = [frame["serial"] for frame in frames]
        return {"serials": serials, "streams": len({frame["stream_id"] for frame in frames})}


@fact(
    "v2.no_message_id",
    "An event without a `message_id` gets a random one",
    promise=Promise.ONCE,
    source="35-message_id",
    real_only=True,
)
def test_random_id(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        for _ in range(2):
            native.event(channel=name, name="e", data="d", extras={"idempotencyKey": name})
        ids = {frame["message_id"] for frame in socket.settle() if frame["event"] == "e"}
        return {"deliveries under one idempotencyKey, with recovery on": len(ids)}


@fact(
    "v2.replay",
    "A replay is not delivered to subscribers of protocol 2 either",
    promise=Promise.ONCE,
    source="35-message_id",
    real_only=True,
)
def test_replay(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        for _ in range(2):
            native.event(channel=name, name="e", data="d", message_id=name)
        native.event(channel=name, name="e", data="after")
        return delivered(socket)


@fact(
    "v2.mixed", "Subscribers of both protocols share a channel", promise=Promise.CLIENT, source=SOURCE, real_only=True
)
def test_both_protocols(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket, native.socket() as old:
        old.subscribe(name)
        native.event(channel=name, name="e", data="d", message_id=name)
        return {"protocol 7": sorted(old.until("e")), "protocol 2": sorted(socket.until("e"))}


FILTERS: dict[str, Any] = {
    "eq": {"key": "kind", "cmp": "eq", "val": "goal"},
    "neq": {"key": "kind", "cmp": "neq", "val": "goal"},
    "in": {"key": "kind", "cmp": "in", "vals": ["goal", "card"]},
    "starts with": {"key": "kind", "cmp": "sw", "val": "ca"},
    "exists": {"key": "kind", "cmp": "ex"},
    "greater": {"key": "minute", "cmp": "gte", "val": "45"},
    "and": {
        "op": "and",
        "nodes": [{"key": "kind", "cmp": "eq", "val": "goal"}, {"key": "minute", "cmp": "lt", "val": "45"}],
    },
    "not": {"op": "not", "nodes": [{"key": "kind", "cmp": "eq", "val": "goal"}]},
}


@fact(
    "v2.filter",
    "A subscription with a filter gets the events whose tags match",
    promise=Promise.CLIENT,
    source=SOURCE,
    real_only=True,
)
def test_filters(native: Node, name: str):
    events = {"goal 10": {"kind": "goal", "minute": "10"}, "card 50": {"kind": "card", "minute": "50"}, "none": None}
    found = {}
    for number, (case, condition) in enumerate(FILTERS.items()):
        channel = f"{name}-{number}"
        socket, _ = joined(native, channel, filter=condition)
        with socket:
            for data, tags in events.items():
                native.event(channel=channel, name="e", data=data, **({"tags": tags} if tags else {}))
            found[case] = delivered(socket)
    return found


@fact("v2.event_names", "A filter may name events", promise=Promise.CLIENT, source=SOURCE, real_only=True)
def test_event_names(native: Node, name: str):
    socket, _ = joined(native, name, filter={"events": ["wanted"]})
    with socket:
        for event in ("wanted", "other"):
            native.event(channel=name, name=event, data=event)
        return delivered(socket)


@fact(
    "v2.bad_filter", "A filter that cannot be read is an error", promise=Promise.CLIENT, source=SOURCE, real_only=True
)
def test_bad_filter(native: Node, name: str):
    with native.socket(V2) as socket:
        return str(socket.subscribe(name, filter={"key": "a", "cmp": "nonsense", "val": "b"}))


@fact(
    "v2.filter_of_7",
    "Protocol 7 has no filters: everything is delivered",
    promise=Promise.CLIENT,
    source=SOURCE,
    real_only=True,
)
def test_filter_of_protocol_7(native: Node, name: str):
    with native.socket() as socket:
        socket.subscribe(name, filter=FILTERS["eq"])
        native.event(channel=name, name="e", data="d", tags={"kind": "card"})
        return socket.texts()


def published(node: Node, channel: str, count: int) -> None:
    node.batch(*[{"channel": channel, "name": "e", "data": str(n)} for n in range(count)])


@fact(
    "v2.rewind",
    "`rewind` delivers the last events before the live ones, and says when it is done",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_rewind(native: Node, name: str):
    published(native, name, 5)
    with native.socket(V2) as socket:
        socket.subscribe(name, rewind=3)
        native.event(channel=name, name="e", data="live")
        done = socket.until("sockudo:rewind_complete")
        socket.settle()
        events = [frame["data"] for frame in socket.frames if frame["event"] == "e"]
        complete = socket.data_of(done)
        del complete["live_count"]  # of those that came meanwhile: none, or the one
        return {"delivered": events, "complete": complete}


@fact("v2.rewind_seconds", "It may be in seconds", promise=Promise.KEPT, source=SOURCE, real_only=True)
def test_rewind_in_seconds(native: Node, name: str):
    published(native, name, 3)
    with native.socket(V2) as socket:
        socket.subscribe(name, rewind={"seconds": 600})
        socket.until("sockudo:rewind_complete")
        return [frame["data"] for frame in socket.frames if frame["event"] == "e"]


@fact("v2.rewind_of_7", "Protocol 7 has no `rewind`", promise=Promise.KEPT, source=SOURCE, real_only=True)
def test_rewind_of_protocol_7(native: Node, name: str):
    published(native, name, 3)
    with native.socket() as socket:
        socket.subscribe(name, rewind=3)
        return [frame["event"] for frame in socket.settle() if ":" not in frame["event"]]


@fact(
    "v2.attach",
    "A confirmation has the position from which a subscriber can recover",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_attach(native: Node, name: str):
    published(native, name, 3)
    with native.socket(V2) as socket:
        socket.subscribe(name)
        frame = position(socket.frames[-1])
        return {**frame, "data": socket.data_of(frame)}


def resume(node: Node, channel: str, at: dict[str, Any]) -> Socket:
    """A new connection that asks for what it has missed."""
    socket = node.socket(V2)
    socket.send(":resume", {"channel_positions": {channel: at}})
    return socket


@fact(
    "v2.recovery",
    "A connection that comes back with its position gets what it has missed, in order",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_recovery(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        native.event(channel=name, name="e", data="seen")
        seen = socket.until("e")
    published(native, name, 3)
    with resume(native, name, {"stream_id": seen["stream_id"], "serial": seen["serial"]}) as again:
        done = again.data_of(again.until("sockudo:resume_success"))
        text = json.dumps(done).replace(seen["stream_id"], "STREAM")
        found = json.loads(text)
        for one in found["recovered"]:
            one.get("position", {}).pop("last_message_id", None)
        return {"delivered": [frame["data"] for frame in again.frames if frame["event"] == "e"], "answer": found}


@fact(
    "v2.recovery_nothing",
    "With nothing missed it succeeds with nothing",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_recovery_of_nothing(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        native.event(channel=name, name="e", data="seen")
        seen = socket.until("e")
    with resume(native, name, {"stream_id": seen["stream_id"], "serial": seen["serial"]}) as again:
        done = again.data_of(again.until("sockudo:resume_success"))
        return {"replayed": [one["replayed"] for one in done["recovered"]], "failed": done["failed"]}


@fact(
    "v2.recovery_failed",
    "A position of another stream, or ahead of it, fails with its reason",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_recovery_that_fails(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        native.event(channel=name, name="e", data="seen")
        seen = socket.until("e")
    cases = {
        "another stream": {"stream_id": "other", "serial": 1},
        "ahead": {"stream_id": seen["stream_id"], "serial": seen["serial"] + 100},
    }
    found = {}
    for case, at in cases.items():
        with resume(native, name, at) as again:
            failed = again.data_of(again.until("sockudo:resume_failed"))
            found[case] = f"{failed['code']}: {failed['reason']}"
    with native.socket(V2) as empty:
        empty.send(":resume", {"channel_positions": {}})
        found["no position"] = empty.errors()
    return found


@fact(
    "v2.recovery_off",
    "A server without `connection_recovery` answers 4301",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_recovery_switched_off(plain: Node, name: str):
    with resume(plain, name, {"stream_id": "s", "serial": 1}) as socket:
        return socket.errors()


@fact(
    "v2.serial_off",
    "Without history and recovery an event has no serial",
    promise=Promise.ORDER,
    source=SOURCE,
    real_only=True,
)
def test_without_history(plain: Node, name: str):
    socket, _ = joined(plain, name)
    with socket:
        plain.event(channel=name, name="e", data="d", message_id=name)
        return sorted(socket.until("e"))


@fact(
    "v2.history",
    "A subscriber may query the history of its channel",
    promise=Promise.KEPT,
    source=SOURCE,
    real_only=True,
)
def test_history_by_socket(native: Node, name: str):
    published(native, name, 3)
    with native.socket(V2) as socket:
        socket.subscribe(name)
        socket.send(":channel_history", json.dumps({"channel": name, "limit": 2}))
        page = socket.data_of(socket.until("sockudo:channel_history"))
        return {"items": [item["message"]["data"] for item in page["items"]], "has_more": page["has_more"]}


@fact(
    "v2.ephemeral",
    "An event with `ephemeral` is delivered without a serial, and cannot be recovered",
    promise=Promise.KEPT,
    source="36-extras",
    real_only=True,
)
def test_ephemeral(native: Node, name: str):
    socket, _ = joined(native, name)
    with socket:
        native.event(channel=name, name="e", data="d", extras={"ephemeral": True})
        return sorted(socket.until("e"))


@fact(
    "v2.echo",
    "`socket_id` leaves its socket out, whatever `extras.echo` says",
    promise=Promise.CLIENT,
    source="36-extras",
    real_only=True,
)
def test_echo(native: Node, name: str):
    one, _ = joined(native, name)
    other, _ = joined(native, name)
    with one, other:
        for echo in (False, True, None):
            native.event(channel=name, name="e", data=str(echo), socket_id=one.id, extras={"echo": echo})
        return {"named socket": delivered(one), "other": delivered(other)}

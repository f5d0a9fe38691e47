"""`extras` and `tags` of an event."""

from __future__ import annotations

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

SOURCE = "36-extras"


def answer(node: Node, **fields) -> str:
    return node.post("/events", {"channel": "c", "name": "e", "data": "d", **fields}).line


@fact("extras.push", "`push` is always refused", promise=Promise.CHECKED, source=SOURCE)
def test_push(plain: Node):
    return answer(plain, extras={"push": {"title": "x"}}).partition(":")[0]


@fact("extras.types", "Its own names have types; null means absent", promise=Promise.CHECKED, source=SOURCE)
def test_types(plain: Node):
    cases = {
        "headers: text, numbers, booleans": {"headers": {"a": "1"}},
        "headers: a list": {"headers": {"a": []}},
        "headers: null in it": {"headers": {"a": None}},
        "headers: null": {"headers": None},
        "ephemeral: text": {"ephemeral": "yes"},
        "ephemeral: null": {"ephemeral": None},
        "echo: number": {"echo": 1},
        "idempotencyKey: number": {"idempotencyKey": 1},
        "ai: text": {"ai": "x"},
        "other names: any JSON": {"mine": [1, {"a": None}]},
        "no extras at all": None,
    }
    return {case: answer(plain, extras=extras).partition(":")[0].partition(" {")[0] for case, extras in cases.items()}


@fact(
    "extras.ai_events",
    "Events and `extras` of AI Transport need it on the channel",
    promise=Promise.CHECKED,
    source=SOURCE,
)
def test_ai(plain: Node):
    names = (
        "ai-input",
        "ai-output",
        "ai-run-start",
        "ai-run-end",
        "ai-cancel",
        "ai-step-start",
        "ai-turn-start",
        "ai-other",
    )
    return {
        **{name: answer(plain, name=name) for name in names},
        "extras.ai": answer(plain, extras={"ai": {"transport": {"a": "b"}}}),
    }


@fact("extras.protocol_7", "Subscribers of protocol 7 get none of it", promise=Promise.CLIENT, source=SOURCE)
def test_protocol_7(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        plain.event(channel=name, name="e", data="d", extras={"mine": 1, "headers": {"a": "1"}}, tags={"a": "b"})
        return sorted(socket.until("e"))


@fact(
    "extras.event_names",
    "Names that look like the protocol's own are published as they are",
    promise=Promise.CLIENT,
    source="42-rules-of-an-event-in-their-order",
)
def test_event_names(plain: Node, name: str):
    names = ("pusher:x", "pusher_internal:x", "client-x", "sockudo:x")
    with plain.socket() as socket:
        socket.subscribe(name)
        socket.take()
        for one in names:
            plain.event(channel=name, name=one, data="d")
        return [frame["event"] for frame in socket.settle()]


@fact("tags.types", "Tags are texts by name", promise=Promise.CHECKED, source="13-one-event")
def test_tags(plain: Node):
    cases = {"text": {"a": "1"}, "number": {"a": 1}, "null": {"a": None}, "list": [], "empty": {}}
    return {case: answer(plain, tags=tags).partition(":")[0].partition(" {")[0] for case, tags in cases.items()}

"""`idempotency_key`, the other deduplication: of the whole app, with traps. Queued events never have one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.setups import SHORT_TTL_S
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

EVENTS = "33-idempotency_key-of-an-event"
BATCH = "34-idempotency_key-in-a-batch"


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {"channel": name, "name": "e", "data": "d", **fields}


@fact(
    "key.repeat",
    "A repeat is answered with the first answer; the payload is not compared",
    promise=Promise.CLIENT,
    source=EVENTS,
)
def test_repeat(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        answers = [plain.post("/events", event(name, data=data, idempotency_key=name)).line for data in ("1", "2")]
        plain.event(channel=name, name="e", data="after")
        return {"answers": answers, "delivered": socket.wait_for_texts(2)}


@fact("key.header", "The header `X-Idempotency-Key` is the same key", promise=Promise.CLIENT, source=EVENTS)
def test_header(plain: Node, name: str):
    headers = {"Content-Type": "application/json", "X-Idempotency-Key": name}
    with plain.socket() as socket:
        socket.subscribe(name)
        plain.post("/events", event(name, data="1"), headers=headers)
        plain.post("/events", event(name, data="2", idempotency_key=name))
        plain.event(channel=name, name="e", data="after")
        return {"delivered": socket.wait_for_texts(2)}


@fact(
    "key.app_wide",
    "A key belongs to the app: on another channel it swallows another event",
    promise=Promise.CLIENT,
    source=EVENTS,
)
def test_key_of_the_app(plain: Node, name: str):
    other = f"{name}-2"
    with plain.socket() as socket:
        socket.subscribe(other)
        plain.post("/events", event(name, idempotency_key=name))
        answer = plain.post("/events", event(other, data="swallowed", idempotency_key=name))
        plain.event(channel=other, name="e", data="after")
        return {"answer": answer.line, "delivered": socket.wait_for_texts(1)}


@fact(
    "key.poisoned",
    "A key is claimed before the event is checked, and no failure releases it: 503 until its time is over",
    promise=Promise.CLIENT,
    source=EVENTS,
)
def test_poisoned_key(short: Node, name: str):
    with short.socket() as socket:
        socket.subscribe(name)
        answers = [
            short.post("/events", event(name, channel="a b", idempotency_key=name)).code,
            short.post("/events", event(name, idempotency_key=name)).line,
        ]
        deadline = time.monotonic() + 60
        while (last := short.post("/events", event(name, idempotency_key=name))).status == 503:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return {"answers": [*answers, last.line], "delivered": socket.wait_for_texts(1)}


@fact(
    "key.batch_repeat",
    "In a batch an item whose key exists is skipped with success",
    promise=Promise.CLIENT,
    source=BATCH,
)
def test_repeat_in_a_batch(plain: Node, name: str):
    item = event(name, idempotency_key=name)
    with plain.socket() as socket:
        socket.subscribe(name)
        answers = [plain.batch(item).line, plain.batch({**item, "data": "2"}, event(name, data="3")).line]
        return {"answers": answers, "delivered": socket.wait_for_texts(2)}


@fact(
    "key.batch_loses",
    "A batch with keys that is sent again after a failure loses the item that had failed, with 200",
    promise=Promise.KEPT,
    source=BATCH,
    quick=True,
)
def test_batch_loses_the_failed_item(plain: Node, name: str):
    items = [event(name, data=str(n), idempotency_key=f"{name}-{n}") for n in range(3)]
    with plain.socket() as socket:
        socket.subscribe(name)
        first = plain.batch(items[0], {**items[1], "channel": "a b"}, items[2])
        again = plain.batch(*items)
        plain.event(channel=name, name="e", data="after")
        return {"first": first.code, "again": again.line, "delivered": socket.wait_for_texts(3)}


@fact(
    "key.batch_then_event",
    "A key that a batch used first is answered with the bare `1` by `/events`",
    promise=Promise.CLIENT,
    source=BATCH,
)
def test_key_of_a_batch_by_events(plain: Node, name: str):
    item = event(name, idempotency_key=name)
    return [plain.batch(item).line, plain.post("/events", item).line]


@fact(
    "key.same_twice",
    "The same key on two items of a batch: the second is skipped",
    promise=Promise.CLIENT,
    source=BATCH,
)
def test_same_key_twice(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        answer = plain.batch(*[event(name, data=str(n), idempotency_key=name) for n in range(2)])
        plain.event(channel=name, name="e", data="after")
        return {"answer": answer.line, "delivered": socket.wait_for_texts(2)}


@fact(
    "key.skipped_item",
    "A skipped item with a `message_id` has an empty receipt: the one sign of it",
    promise=Promise.CLIENT,
    source=BATCH,
)
def test_receipt_of_a_skipped_item(plain: Node, name: str):
    plain.batch(event(name, idempotency_key=name))
    return plain.batch(event(name, idempotency_key=name, message_id=name), event(name, message_id=f"{name}-2")).line


@fact("key.ttl", "A key is remembered for its time", promise=Promise.CLIENT, source="32-the-memory")
def test_key_is_forgotten(short: Node, name: str):
    with short.socket() as socket:
        socket.subscribe(name)
        start = time.monotonic()
        arrivals = 0
        while arrivals < 2:
            assert short.post("/events", event(name, idempotency_key=name)).status == 200
            before, arrivals = arrivals, arrivals + len(socket.texts())
            if arrivals and not before:
                start = time.monotonic()
            assert time.monotonic() < start + 60
            time.sleep(0.1)
        return {"at least its time": time.monotonic() - start > SHORT_TTL_S - 0.5}

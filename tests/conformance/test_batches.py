"""A batch: its answers, and what is out when an item fails."""

from __future__ import annotations

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

SOURCE = "14-a-batch"
BAD = "44-a-batch-with-a-bad-event"


def items(channel: str, count: int) -> list[dict[str, str]]:
    return [{"channel": channel, "name": "e", "data": str(n), "message_id": f"{channel}-{n}"} for n in range(count)]


@fact(
    "batch.answer",
    "A batch answers item by item only if an item has `info` or a `message_id`",
    promise=Promise.OUTCOME,
    source=SOURCE,
)
def test_answer(plain: Node, name: str):
    item = {"channel": name, "name": "e", "data": "d"}
    return {
        "no items": plain.batch().line,
        "two without": plain.batch(item, item).line,
        "one with an id": plain.batch(item, {**item, "message_id": name}).line,
        "one with info": plain.batch({**item, "info": "subscription_count", "message_id": f"{name}-2"}, item).line,
    }


@fact("batch.receipts", "Receipts are in the order of the items", promise=Promise.ONCE, source=SOURCE, quick=True)
def test_receipts(plain: Node, name: str):
    return plain.batch(*items(name, 3)).line


@fact(
    "batch.several_channels",
    "An item of several channels answers for one of them",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_item_of_several_channels(plain: Node, name: str):
    item = {"channels": [f"{name}-1", f"{name}-2"], "name": "e", "data": "d", "message_id": name}
    return {"channels": plain.batch(item).line, "and a channel": plain.batch({**item, "channel": f"{name}-3"}).line}


@fact(
    "batch.first_failure",
    "The first item that fails ends the batch with its error; items before it are delivered, later ones not tried",
    promise=Promise.OUTCOME,
    source=BAD,
    quick=True,
)
def test_first_failure(plain: Node, name: str):
    batch = items(name, 4)
    batch[2]["channel"] = "a b"
    with plain.socket() as socket:
        socket.subscribe(name)
        answer = plain.batch(*batch)
        plain.event(channel=name, name="e", data="after")
        return {"answer": answer.line, "delivered": socket.wait_for_texts(3)}


@fact(
    "batch.corrected",
    "The batch, sent again with that item corrected, delivers the rest once",
    promise=Promise.ONCE,
    source=BAD,
    quick=True,
)
def test_corrected(plain: Node, name: str):
    batch = items(name, 4)
    with plain.socket() as socket:
        socket.subscribe(name)
        first = plain.batch(*batch[:2], {**batch[2], "channel": "a b"}, batch[3])
        again = plain.batch(*batch)
        return {"first": first.code, "again": again.line, "delivered": socket.wait_for_texts(4)}


@fact(
    "batch.regrouped",
    "Resent events may be grouped otherwise, alone or with others",
    promise=Promise.ONCE,
    source="35-message_id",
)
def test_regrouped(plain: Node, name: str):
    batch = items(name, 4)
    with plain.socket() as socket:
        socket.subscribe(name)
        plain.batch(*batch[:3])
        answers = [plain.batch(batch[2], batch[3], batch[0]).status, plain.post("/events", batch[1]).status]
        plain.event(channel=name, name="e", data="after")
        return {"answers": answers, "delivered": socket.wait_for_texts(5)}


@fact(
    "batch.same_id_twice",
    "The same event twice in one batch is delivered once, with two receipts",
    promise=Promise.ONCE,
    source="35-message_id",
)
def test_same_id_twice(plain: Node, name: str):
    (item,) = items(name, 1)
    with plain.socket() as socket:
        socket.subscribe(name)
        answer = plain.batch(item, item)
        plain.event(channel=name, name="e", data="after")
        return {"answer": answer.line, "delivered": socket.wait_for_texts(2)}


@fact(
    "batch.header_on_events",
    "`X-Idempotency-Key` on `/batch_events` is one claim on the whole batch",
    promise=Promise.CLIENT,
    source="34-idempotency_key-in-a-batch",
)
def test_header_on_a_batch(plain: Node, name: str):
    headers = {"Content-Type": "application/json", "X-Idempotency-Key": name}

    def send(data: str) -> str:
        return plain.post(
            "/batch_events", {"batch": [{"channel": name, "name": "e", "data": data}]}, headers=headers
        ).line

    with plain.socket() as socket:
        socket.subscribe(name)
        answers = [send("1"), send("another batch")]
        plain.event(channel=name, name="e", data="after")
        return {"answers": answers, "delivered": socket.wait_for_texts(2)}

"""`message_id`, the identity of queued events: what a repeat does, what counts as the same event."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.http import Answer
from tests.conformance.setups import FORGETFUL, SHORT_TTL_S
from tests.conformance.targets import SECOND, Node, Target

pytestmark = pytest.mark.integration

SOURCE = "35-message_id"
CONFLICT = "400 invalid_input: idempotency key was already used with a different payload"


def event(unique: str, **fields: Any) -> dict[str, Any]:
    return {"channel": unique, "name": "e", "data": "d", "message_id": unique, **fields}


@fact(
    "id.replay",
    "A repeat is answered with the first receipt and is not delivered",
    promise=Promise.ONCE,
    source=SOURCE,
    quick=True,
)
def test_replay(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        answers = [
            plain.post("/events", event(name)).line,
            plain.post("/events", event(name)).line,
            plain.batch(event(name)).line,
        ]
        plain.event(channel=name, name="e", data="after")
        return {"answers": answers, "delivered": socket.wait_for_texts(2)}


@fact(
    "id.conflict",
    "Another payload under the id is 400, and is not delivered",
    promise=Promise.ONCE,
    source=SOURCE,
    quick=True,
)
def test_conflict(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        plain.post("/events", event(name))
        answers = [plain.post("/events", event(name, data="other")).line, plain.batch(event(name, data="other")).line]
        plain.event(channel=name, name="e", data="after")
        return {"answers": answers, "delivered": socket.wait_for_texts(2)}


@fact("id.scope", "An id belongs to its channel and its app", promise=Promise.ONCE, source=SOURCE)
def test_scope(plain: Node, name: str):
    second = plain.of(SECOND)
    other = f"{name}-2"
    with plain.socket() as mine, second.socket() as theirs:
        mine.subscribe(name)
        mine.subscribe(other)
        theirs.subscribe(name)
        plain.post("/events", event(name, data="1"))
        plain.post("/events", event(name, data="2", channel=other))
        second.post("/events", event(name, data="3"))
        return {"first app": mine.wait_for_texts(2), "second app": theirs.wait_for_texts(1)}


@fact(
    "id.several_channels",
    "An event of several channels may be completed under its id",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_several_channels(plain: Node, name: str):
    other = f"{name}-2"
    with plain.socket() as socket:
        socket.subscribe(name)
        socket.subscribe(other)
        plain.post("/events", event(name))
        answer = plain.post("/events", {"channels": [name, other], "name": "e", "data": "d", "message_id": name})
        frames = [frame["channel"] for frame in socket.settle() if frame["event"] == "e"]
        return {"answer": answer.line, "delivered": sorted(frames)}


SAME = {
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
OTHER = {
    "data": ({}, {"data": "other"}),
    "spaces in its text": ({"data": {"a": 1}}, {"data": '{"a": 1}'}),
    "name": ({}, {"name": "other"}),
    "a tag": ({"tags": {"a": "1"}}, {"tags": {"a": "2"}}),
    "no tags": ({"tags": {"a": "1"}}, {}),
    "empty tags": ({"tags": {}}, {}),
    "empty extras": ({"extras": {}}, {}),
    "a header's type": ({"extras": {"headers": {"a": 1}}}, {"extras": {"headers": {"a": "1"}}}),
    "its own key in extras": ({"extras": {"idempotencyKey": "a"}}, {"extras": {"idempotencyKey": "b"}}),
}


def resend(node: Node, name: str, cases: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, str]:
    """What the second of each pair is answered, and how many events were delivered; a batch must answer alike."""
    found = {}
    with node.socket() as socket:
        for number, (case, (first, second)) in enumerate(cases.items()):
            event_id = f"{name}-{number}"
            socket.subscribe(event_id)
            # A key of its own for each pair: the same one would be answered by the other layer.
            own = {key: f"{value}-{event_id}" if key == "idempotency_key" else value for key, value in first.items()}
            assert outcome(node.post("/events", event(event_id, **own)), event_id) == "receipt"
            alone = outcome(node.post("/events", event(event_id, **second)), event_id)
            in_batch = outcome(node.batch(event(event_id, **second)), event_id)
            assert alone == in_batch
            found[case] = f"{alone}, {len(socket.wait_for_texts(1))} delivered"
    return found


def outcome(answer: Answer, event_id: str) -> str:
    """`receipt`, `conflict`, or the answer."""
    if answer.line == CONFLICT:
        return "conflict"
    return "receipt" if answer.status == 200 and f'"acknowledgement_id":"{event_id}"' in answer.line else answer.line


@fact(
    "id.same_payload",
    "These may differ in a resend: the receipt again, no second delivery",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_what_may_differ(plain: Node, name: str):
    return resend(plain, name, SAME)


@fact(
    "id.other_payload",
    "These are part of the payload: another value is a conflict, and is not delivered",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_what_may_not_differ(plain: Node, name: str):
    return resend(plain, name, OTHER)


@fact(
    "id.headers",
    "Two or more `extras.headers` are compared in a random order: identical requests conflict",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_unordered_headers(plain: Node, name: str):
    headers = {f"h{n}": str(n) for n in range(8)}
    answers = set()
    for number in range(20):
        item = event(f"{name}-{number}", extras={"headers": headers})
        assert plain.post("/events", item).status == 200
        answers |= {plain.post("/events", item).code for _ in range(2)}
    return {"answers to identical requests": sorted(answers)}


@fact("id.many_tags", "Tags have no such trap", promise=Promise.ONCE, source=SOURCE)
def test_many_tags(plain: Node, name: str):
    tags = {f"t{n}": str(n) for n in range(8)}
    answers = set()
    for number in range(10):
        item = event(f"{name}-{number}", tags=tags)
        answers |= {plain.post("/events", item).code for _ in range(3)}
    return {"answers to identical requests": sorted(answers)}


@fact(
    "id.released", "An event that is refused releases its id: it may be corrected", promise=Promise.KEPT, source=SOURCE
)
def test_refused_event_releases_its_id(limited: Node, name: str):
    with limited.socket() as socket:
        socket.subscribe(name)
        answers = [
            limited.post("/events", event(name, data="x" * 1025)).code,
            limited.post("/events", event(name)).code,
        ]
        return {"answers": answers, "delivered": socket.wait_for_texts(1)}


@fact(
    "id.in_extras",
    "`extras.idempotencyKey` is the id where there is no `message_id`; in snake case it is none",
    promise=Promise.CHECKED,
    source=SOURCE,
)
def test_id_in_extras(plain: Node, name: str):
    def pair(number: int, key: str, **more: str) -> list[str]:
        base = {"channel": name, "name": "e", "extras": {key: f"{name}-{number}"}}
        return [plain.post("/events", {**base, **fields}).line for fields in ({"data": "1"}, {"data": "2", **more})]

    return {
        "camelCase": pair(1, "idempotencyKey"),
        "with a message_id": pair(2, "idempotencyKey", message_id=f"{name}-other"),
        "snake_case": pair(3, "idempotency_key"),
    }


@fact(
    "id.ttl",
    "An id is remembered for its time from the publish; a repeat does not extend it",
    promise=Promise.ONCE,
    source="32-the-memory",
)
def test_time_to_live(short: Node, name: str):
    with short.socket() as socket:
        socket.subscribe(name)
        start = time.monotonic()
        arrivals = 0
        answers = set()
        while arrivals < 2:
            answers.add(short.post("/events", event(name)).status)
            before, arrivals = arrivals, arrivals + len(socket.texts())
            if arrivals and not before:
                start = time.monotonic()
            assert time.monotonic() < start + 60
            time.sleep(0.1)
        lasted = time.monotonic() - start
        return {"answers": sorted(answers), "at least its time": lasted > SHORT_TTL_S - 0.5}


@fact("id.case", "Ids are compared byte by byte", promise=Promise.ONCE, source=SOURCE)
def test_ids_are_bytes(plain: Node, name: str):
    ids = (f"{name}-a", f"{name}-A", f"{name}-a ", f"{name}-ä", f"{name}-a\u0308")
    with plain.socket() as socket:
        socket.subscribe(name)
        for one in ids:
            assert plain.post("/events", event(name, message_id=one)).status == 200
        return {"ids": len(ids), "delivered": len(socket.wait_for_texts(len(ids)))}


@fact(
    "id.off",
    "A server without `idempotency` ignores ids without an error",
    promise=Promise.DOCTOR,
    source="31-settings",
)
def test_switched_off(target: Target, name: str):
    node = target.node(FORGETFUL)
    with node.socket() as socket:
        socket.subscribe(name)
        answers = [node.post("/events", event(name, data=data)).line for data in ("1", "1", "2")]
        return {"answers": answers, "delivered": socket.wait_for_texts(3)}

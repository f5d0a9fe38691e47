"""What is exactly one event, and what is not."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.wellformed import fault_of

pytestmark = pytest.mark.unit

WHOLE = {"channel": "c", "name": "e", "data": "d", "message_id": "m"}


def body(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in {**WHOLE, **changes}.items() if value is not None}).encode()


@pytest.mark.parametrize("item", [body(), b" " + body() + b"\n", body(tags={"a": "b"}), body(message_id="é" * 64)])
def test_one_event_has_no_fault(item: bytes) -> None:
    """However it is written, and whatever else it has."""
    assert fault_of(Item("c", item)) == ""
    assert fault_of(Item("c", item), json.loads(item)["message_id"]) == ""


@pytest.mark.parametrize(
    "item",
    [
        *(b"", b" ", b"{", b"null", b"[]", b"1", b'"{}"', b"\xff", b"{}", b"[" * 100_000, b"9" * 5000),
        body() + b"," + body(),
        body() + body(),
        body()[:-1],
        body()[:-1] + b',"x":NaN}',
        body()[:-1] + b',"x":-Infinity}',
        b"[" + body() + b"]",
        *(body(**{name: None}) for name in WHOLE),
        *(body(**{name: 1}) for name in WHOLE),
        *(body(**{name: {}}) for name in WHOLE),
        body(channel="d"),
        body(channels=["c", "d"]),
        body(name=""),
        body(message_id=""),
        body(message_id="x" * 129),
        body(message_id="é" * 65),
    ],
)
def test_anything_else_has_a_fault_without_its_payload(item: bytes) -> None:
    """Which is said in words that hold nothing of it."""
    fault = fault_of(Item("c", item))
    assert fault
    assert len(fault) < 80


def test_the_id_is_the_events() -> None:
    """An item under another id would be remembered under that."""
    assert fault_of(Item("c", body()), "another") == "message_id: another one than the event's"

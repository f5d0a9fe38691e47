"""Faults as values: their order, their bounds, and what an order over HTTP may say."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sockudo_publisher.dev.devserver.faults import Fault, Faults

pytestmark = pytest.mark.unit


class ServerControl:
    """Keeps its orders."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def forget_ids(self) -> None:
        self.done.append("forget")

    def shrink_memory(self, capacity: int) -> None:
        self.done.append(("shrink", capacity))

    def skew_clock(self, seconds: float) -> None:
        self.done.append(("skew", seconds))

    def refuse(self, seconds: float | None) -> None:
        self.done.append(("refuse", seconds))

    def accept(self) -> None:
        self.done.append("accept")


def test_faults_come_in_their_order_and_count() -> None:
    """One without a count is for what is left."""
    faults = Faults(ServerControl())
    faults.delay(0.5, count=None)
    faults.lose_answers(2)
    faults.answer(503, retry_after=3)
    taken = [faults.take() for _ in range(5)]
    assert [fault.name for fault in taken if fault] == ["lose_answers"] * 2 + ["answer"] + ["delay"] * 2
    assert taken[2] == Fault("answer", status=503, retry_after=3)
    faults.clear()
    assert faults.take() is None


def test_some_faults_are_done_at_once() -> None:
    """And are not for a request."""
    control = ServerControl()
    faults = Faults(control)
    faults.forget_ids()
    faults.shrink_memory(3)
    faults.skew_clock(-700)
    faults.refuse(2)
    faults.clear()
    assert control.done == ["forget", ("shrink", 3), ("skew", -700.0), ("refuse", 2.0), "accept"]
    assert faults.take() is None


BAD: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("lose_answers", (0,), {}),
    ("lose_answers", (-1,), {}),
    ("lose_answers", (True,), {}),
    ("lose_answers", (10**9,), {}),
    ("delay", (-1,), {}),
    ("delay", (math.nan,), {}),
    ("delay", (math.inf,), {}),
    ("delay", ("1",), {}),
    ("hang", (1,), {"seconds": 10**9}),
    ("answer", (200,), {}),
    ("answer", (600,), {}),
    ("answer", (503,), {"retry_after": -1}),
    ("fail_item", (-1,), {}),
    ("stop_in_batch", (-1,), {}),
    ("shrink_memory", (-1,), {}),
    ("skew_clock", (math.inf,), {}),
    ("skew_clock", ("x",), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD)
def test_a_fault_out_of_range_is_a_valueerror(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """By Python."""
    faults = Faults(ServerControl())
    with pytest.raises(ValueError, match="expected"):
        getattr(faults, name)(*args, **options)
    assert faults.waiting == []


ORDERS: list[Any] = [
    None,
    [],
    "lose_answers",
    {},
    {"fault": 5},
    {"fault": "unknown"},
    {"fault": "add"},
    {"fault": "_add"},
    {"fault": "take"},
    {"fault": "lose_answers", "count": "3"},
    {"fault": "lose_answers", "counts": 3},
    {"fault": "delay"},
    {"fault": "answer"},
    {"fault": "answer", "status": 99},
    {"fault": "clear", "count": 1},
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_wrong_order_is_a_valueerror(order: Any) -> None:
    """By HTTP: only what is a fault, with options that it has."""
    faults = Faults(ServerControl())
    with pytest.raises(ValueError, match=r"expected|unknown|count"):
        faults.add(order)
    assert faults.waiting == []


def test_an_order_is_shown_as_it_waits() -> None:
    """For the page."""
    faults = Faults(ServerControl())
    faults.add({"fault": "answer", "status": 429, "count": 2, "retry_after": 1})
    assert faults.waiting == [{"fault": "answer", "count": 2, "status": 429, "retry_after": 1}]


def test_waiting_faults_are_bounded() -> None:
    """A thousand."""
    faults = Faults(ServerControl())
    for _ in range(1000):
        faults.reset()
    with pytest.raises(ValueError, match="wait already"):
        faults.reset()

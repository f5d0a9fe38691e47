"""`apublish_many`: what `publish_many` promises, in a loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator

import pytest

from sockudo_publisher import (
    BulkError,
    BulkReceipt,
    Event,
    IdempotencyConflict,
    ValidationError,
    apublish_many,
    configure,
    publish,
    publish_many,
)
from tests.support.loops import LOOPS, LoopWatch, run_in
from tests.support.stack import Stack
from tests.support.stored import stored_data
from tests.support.timing import in_time

pytestmark = pytest.mark.integration


async def of(events: Iterator[object]) -> AsyncIterator[object]:
    for event in events:
        await asyncio.sleep(0)
        yield event


def forms(count: int) -> Iterator[object]:
    """Tuples, events and dicts, keyed and plain in turn, on one channel."""
    for n in range(count):
        yield (
            ("c", "e", n),
            Event("c", "e", n, key=f"k{n}"),
            {"channel": "c", "name": "e", "data": n, "tags": {"t": "x"}},
        )[n % 3 if n < 60 else 0]


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_form_is_stored_in_the_iterables_order(stack: Stack, loop_name: str, kind: str) -> None:
    told: list[int] = []
    events = forms(5000) if kind == "sync" else of(forms(5000))
    assert run_in(loop_name, apublish_many(events, progress=told.append)) == BulkReceipt(5000, 0)
    assert [int(data) for data in stored_data(stack.redis)["c"]] == list(range(5000))
    assert told[-1] == 5000
    assert told == sorted(told)


def test_progress_gets_the_total(stack: Stack) -> None:
    """As that of ``publish_many``: the length, or the number given."""
    told: list[tuple[int, int | None]] = []

    def show(stored: int, total: int | None) -> None:
        told.append((stored, total))

    asyncio.run(apublish_many([("c", "e", 1)] * 3, progress=show))
    asyncio.run(apublish_many(of([("c", "e", 1)] * 3), progress=show, total=4))
    publish_many((("c", "e", n) for n in range(3)), progress=show)
    assert [told[0], told[-1]] == [(3, 3), (3, None)]
    assert (3, 4) in told


def test_signature_is_that_of_publish_many() -> None:
    ours, theirs = (inspect.signature(one).parameters for one in (apublish_many, publish_many))
    assert ours.keys() == theirs.keys()
    assert {name: one.default for name, one in ours.items()} == {name: one.default for name, one in theirs.items()}


def test_repeated_job_stores_nothing_twice(stack: Stack) -> None:
    """With the same prefix, by either way."""
    rows = [("c", "e", n) for n in range(30)]
    assert asyncio.run(apublish_many(iter(rows[:20]), key_prefix="job")) == BulkReceipt(20, 0)
    assert asyncio.run(apublish_many(of(iter(rows)), key_prefix="job")) == BulkReceipt(30, 20)
    assert publish_many(rows, key_prefix="job") == BulkReceipt(30, 30)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_bad_event_is_named_and_those_before_it_stored(stack: Stack, kind: str) -> None:
    rows = [("c", "e", n) for n in range(2500)] + [("c", "", 1), ("c", "e", "never")]
    with pytest.raises(ValidationError) as refused:
        asyncio.run(apublish_many(iter(rows) if kind == "sync" else of(iter(rows))))
    assert (refused.value.index, refused.value.stored) == (2500, 2500)
    assert len(stored_data(stack.redis)["c"]) == 2500


def test_conflict_and_full_backlog_are_named(stack: Stack) -> None:
    publish.delay("c", "e", "other", key="job:2")
    with pytest.raises(IdempotencyConflict) as conflict:
        asyncio.run(apublish_many([("c", "e", n) for n in range(5)], key_prefix="job"))
    assert (conflict.value.index, conflict.value.stored) == (2, 2)
    configure(max_backlog=5, lanes=1)
    with pytest.raises(BulkError) as full:
        asyncio.run(apublish_many([("d", "e", n) for n in range(10)]))
    assert (full.value.index, full.value.stored) == (0, 0)


def test_failing_iterable_leaves_the_events_before_it(stack: Stack) -> None:
    async def failing() -> AsyncIterator[object]:
        yield ("c", "e", 0)
        raise KeyError("theirs")

    with pytest.raises(KeyError, match="theirs"):
        asyncio.run(apublish_many(failing()))
    assert stored_data(stack.redis)["c"] == ["0"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"events": 5}, TypeError),
        ({"events": [], "progress": 5}, TypeError),
        ({"events": [], "progress": asyncio.sleep}, TypeError),
        ({"events": [], "total": 1.5}, TypeError),
        ({"events": [], "key_prefix": ""}, ValidationError),
    ],
)
def test_bad_arguments_raise_before_anything(
    stack: Stack, arguments: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        asyncio.run(apublish_many(**arguments))


def test_empty_job_is_a_receipt(stack: Stack) -> None:
    assert asyncio.run(apublish_many([])) == BulkReceipt(0, 0)


def test_call_without_a_loop_says_what_to_call() -> None:
    with pytest.raises(RuntimeError, match="apublish_many needs a running asyncio loop"):
        apublish_many([]).send(None)


def test_loop_goes_on_meanwhile(stack: Stack) -> None:
    """A long job of a plain iterable gives the loop its turn."""

    async def live() -> float:
        async with LoopWatch() as watch:
            await apublish_many(("c", "e", n) for n in range(20_000))
        return watch.longest_s

    in_time(lambda: asyncio.run(live()), float, 0.1)


def test_order_with_single_calls_is_that_of_awaits(stack: Stack) -> None:
    async def live() -> None:
        await publish.adelay("c", "e", 0)
        await apublish_many(("c", "e", n) for n in range(1, 3000))
        await publish.adelay("c", "e", 3000)

    asyncio.run(live())
    assert [int(data) for data in stored_data(stack.redis)["c"]] == list(range(3001))

"""How many flushes a load takes: callers that are woken by one flush share the next. Counted, not timed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sockudo_publisher import publish
from sockudo_publisher.publishing import flush_plan, group_commit
from tests.support.loops import LOOPS, run_in
from tests.support.stack import Stack
from tests.support.stored import stored_data

pytestmark = pytest.mark.integration

#: More than any test takes: a flush that comes only then is one that nothing has begun.
LONG_S = 30.0


@pytest.fixture
def flushes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calls of each flush; flushes wait for callers however slow this machine is."""
    publish.delay("first", "e", 0)  # connections, the scripts
    stack.redis.flushall()
    sizes: list[int] = []
    store = group_commit._Group._store

    def counted(group, calls):
        sizes.append(len(calls))
        return store(group, calls)

    monkeypatch.setattr(group_commit._Group, "_store", counted)
    monkeypatch.setattr(group_commit, "MAX_PATIENCE_S", LONG_S)
    return sizes


async def closed_loop(callers: int, rounds: int) -> None:
    async def caller(number: int) -> None:
        for turn in range(rounds):
            await publish.adelay(f"c{number % 8}", "e", f"{number}.{turn}")

    await asyncio.wait_for(asyncio.gather(*(caller(number) for number in range(callers))), LONG_S)


@pytest.mark.parametrize("loop_name", LOOPS)
def test_all_callers_of_a_round_share_a_flush(stack: Stack, flushes: list[int], loop_name: str) -> None:
    """Ten callers, woken in one step or two: their next calls are one flush, not one and nine."""
    run_in(loop_name, closed_loop(10, 50))
    assert sum(flushes) == 500
    assert len(flushes) <= 55, flushes  # the first round may be cut while it begins
    assert sum(map(len, stored_data(stack.redis).values())) == 500


@pytest.mark.parametrize("loop_name", LOOPS)
def test_many_callers_make_flushes_that_are_worth_it(flushes: list[int], loop_name: str) -> None:
    """The thread neither takes each caller by itself nor waits for all thousand."""
    run_in(loop_name, closed_loop(1000, 4))
    assert sum(flushes) == 4000
    # At most the first flush of a round is small: before it no caller was being woken.
    assert len(flushes) <= 4000 / flush_plan.WORTH_EVENTS + 6, flushes
    assert max(flushes) <= flush_plan.FLUSH_EVENTS


@pytest.mark.parametrize("loop_name", LOOPS)
def test_single_caller_waits_for_no_other(flushes: list[int], monkeypatch: pytest.MonkeyPatch, loop_name: str) -> None:
    """Each of its calls begins a flush at once, without waiting for the end of a hand-over."""
    ended: list[int] = []
    monkeypatch.setattr(group_commit._Group, "_end_wait_for", lambda group, number, loop: ended.append(number))
    run_in(loop_name, closed_loop(1, 50))
    assert flushes == [1] * 50
    assert not ended


def test_call_behind_a_hand_over_begins_a_flush(flushes: list[int]) -> None:
    """When all callers have been woken and one of them calls much later, nothing else wakes the thread."""

    async def run() -> None:
        await asyncio.gather(*(publish.adelay("c", "e", n) for n in range(50)))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(publish.adelay("c", "e", 50), LONG_S / 2)

    asyncio.run(run())
    assert sum(flushes) == 51


def test_large_events_do_not_wait_for_many(flushes: list[int]) -> None:
    """Bytes count as events do: 30 events of 10 KB are worth a flush."""
    data = "x" * 10_000

    async def run() -> None:
        async def caller(number: int) -> None:
            for _ in range(3):
                await publish.adelay(f"c{number % 8}", "e", data)

        await asyncio.gather(*(caller(number) for number in range(200)))

    asyncio.run(run())
    assert sum(flushes) == 600
    assert max(flushes) * 10_000 <= flush_plan.FLUSH_BYTES
    assert len(flushes) >= 600 * 10_000 / flush_plan.FLUSH_BYTES


def test_blocked_loop_holds_no_other_loop_up(stack: Stack, flushes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its callers cannot be woken; calls of another loop wait for them for MAX_PATIENCE_S once, and not for ever."""
    monkeypatch.setattr(group_commit, "MAX_PATIENCE_S", 0.05)
    is_blocked, may_go_on = threading.Event(), threading.Event()

    async def block() -> None:
        calls = [asyncio.ensure_future(publish.adelay("blocked", "e", n)) for n in range(3)]
        await asyncio.sleep(0)
        is_blocked.set()
        assert may_go_on.wait(LONG_S)  # holds this loop, as a mistake in a handler does
        await asyncio.gather(*calls)

    blocked = threading.Thread(target=lambda: asyncio.run(block()))
    blocked.start()
    try:
        assert is_blocked.wait(LONG_S)
        asyncio.run(closed_loop(5, 20))
    finally:
        may_go_on.set()
        blocked.join(LONG_S)
    assert not blocked.is_alive()
    assert sum(flushes) == 103
    assert sum(map(len, stored_data(stack.redis).values())) == 103


def test_end_of_the_process_does_not_wait_for_callers(stack: Stack, flushes: list[int]) -> None:
    """A stop appends what waits at once, though callers of the flush before were not woken yet."""

    other_loop = asyncio.new_event_loop()

    async def run() -> None:
        await asyncio.gather(publish.adelay("c", "e", 0), publish.adelay("c", "e", 1))  # two: the thread is there
        (group,) = group_commit._groups.values()
        with group.thread.lock:  # as if a caller in another loop were still being woken
            group._waking = {other_loop: 0}
            group._waking_until = time.monotonic() + LONG_S
        call = asyncio.ensure_future(publish.adelay("c", "e", 2))
        await asyncio.sleep(0.05)
        assert not call.done()
        await asyncio.wait_for(asyncio.to_thread(group_commit._finish_groups), LONG_S / 2)
        await asyncio.wait_for(call, LONG_S / 2)

    try:
        asyncio.run(run())
    finally:
        other_loop.close()
    assert stored_data(stack.redis) == {"c": ["0", "1", "2"]}

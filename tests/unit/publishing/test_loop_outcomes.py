"""Outcomes reach the loops that wait for them in slices; a loop is reported when its callers have run."""

from __future__ import annotations

import asyncio

import pytest

from sockudo_publisher import BacklogFull, JournalUnavailable
from sockudo_publisher.journal.appended import Appended
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.publishing.loop_outcomes import SLICE, by_loop, hand_over
from sockudo_publisher.publishing.waiting_call import Outcome, WaitingCall
from tests.support.loops import LOOPS, run_in

pytestmark = pytest.mark.unit

STORED = Appended(1, (), (), {})


def call_in(loop: asyncio.AbstractEventLoop) -> WaitingCall:
    return WaitingCall([Item("c", b"{}")], loop)


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("count", [1, SLICE, SLICE + 1, 5 * SLICE + 3])
def test_loop_is_reported_after_its_callers_ran(loop_name: str, count: int) -> None:
    """So what they call next waits already when the next flush is decided."""
    events: list[object] = []

    async def caller(call: WaitingCall, number: int) -> None:
        assert await call.future is STORED
        events.append(number)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        calls = [call_in(loop) for _ in range(count)]
        tasks = [asyncio.ensure_future(caller(call, number)) for number, call in enumerate(calls)]
        await asyncio.sleep(0)
        assert hand_over("app", by_loop([(call, STORED) for call in calls]), events.append) == 0
        await asyncio.gather(*tasks)
        for _ in range(5):
            await asyncio.sleep(0)
        assert events == [*range(count), loop]

    run_in(loop_name, run())


def test_a_slice_at_a_time_and_others_run_between() -> None:
    seen: list[int] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        calls = [call_in(loop) for _ in range(10 * SLICE)]
        hand_over("app", by_loop([(call, STORED) for call in calls]), lambda _: None)
        while not calls[-1].future.done():
            await asyncio.sleep(0)
            seen.append(sum(call.future.done() for call in calls))

    asyncio.run(run())
    steps = {later - before for before, later in zip([0, *seen], seen, strict=False)}
    assert steps <= {0, SLICE}
    assert len(seen) >= 10


def test_each_loop_gets_its_own_outcomes_and_report() -> None:
    loops = [asyncio.new_event_loop() for _ in range(3)]
    try:
        calls = [call_in(loops[number % 3]) for number in range(9)]
        outcomes: list[Outcome] = [Appended(number, (), (), {}) for number in range(9)]
        done = by_loop(zip(calls, outcomes, strict=True))
        assert {loop: [outcome.count for _, outcome in part] for loop, part in done.items()} == {
            loops[0]: [0, 3, 6],
            loops[1]: [1, 4, 7],
            loops[2]: [2, 5, 8],
        }
        reported: list[object] = []
        hand_over("app", done, reported.append)
        assert reported == []
        for loop in reversed(loops):
            loop.run_until_complete(asyncio.sleep(0.001))
        assert reported == [loops[2], loops[1], loops[0]]
        assert [call.future.result() for call in calls] == outcomes
    finally:
        for loop in loops:
            loop.close()


def test_closed_loop_is_reported_at_once_and_errors_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    calls = [call_in(loop) for _ in range(3)]
    loop.close()
    reported: list[object] = []
    outcomes: list[Outcome] = [
        STORED,
        JournalUnavailable("away", stored=False),
        Appended(0, (), (), {0: BacklogFull("full")}),
    ]
    lost = hand_over("app", by_loop(zip(calls, outcomes, strict=True)), reported.append)
    assert (lost, reported) == (2, [loop])
    assert caplog.text.count("event not stored, and its caller's loop is closed") == 2


def test_cancelled_caller_takes_no_outcome_and_stops_nothing() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        calls = [call_in(loop) for _ in range(3)]
        calls[1].future.cancel()
        hand_over("app", by_loop([(call, STORED) for call in calls]), lambda _: None)
        assert await calls[0].future is STORED
        assert await calls[2].future is STORED
        assert calls[1].future.cancelled()

    asyncio.run(run())

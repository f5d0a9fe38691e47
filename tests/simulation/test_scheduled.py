"""Scheduled events in the simulation: deaths at every step, full lanes, a change of lanes, and planted bugs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from sockudo_publisher.journal.schedule import outcomes
from sockudo_publisher.journal.schedule.outcomes import ClaimResult
from sockudo_publisher.workerapp import due_events
from tests.simulation.clock import virtual_time
from tests.simulation.lane import Broken
from tests.simulation.plan import Accident, Plan, Scheduled, plan_of
from tests.simulation.schedule import ScheduleModel
from tests.simulation.world import World, run

pytestmark = pytest.mark.unit

#: Seeds of the short run, and of the one in depth: those of their plans that have scheduled events are run.
QUICK_SEEDS, SEEDS = 1000, 2500

#: Six events on three channels; of each channel two are due at one time.
SIX = tuple(Scheduled(0.0, n % 3, 0.3) for n in range(6))
PLAN = Plan(seed=3, lanes=2, events=((0.0, (0, 1)),), scheduled=SIX)


@pytest.fixture(autouse=True)
def simulated() -> Iterator[None]:
    with virtual_time():
        yield


@cache
def plans(seeds: int = SEEDS) -> list[Plan]:
    return [plan for plan in map(plan_of, range(seeds)) if plan.scheduled]


@pytest.fixture(scope="module", params=[QUICK_SEEDS, pytest.param(SEEDS, marks=pytest.mark.long)])
def worlds(request: pytest.FixtureRequest) -> list[World]:
    """The short run, and the one in depth."""
    with virtual_time():
        return [run(plan) for plan in plans(request.param)]


def _delivered(world: World) -> list[int]:
    return sorted(world.oracle.delivered)


def test_whatever_happens_each_is_stored_once_in_order(worlds: list[World]) -> None:
    """None lost, none early, none twice, equal due times as called, a cancelled one never: the oracle's checks."""
    assert len(worlds) > QUICK_SEEDS / 20
    assert all(world.is_at_rest for world in worlds)


def test_run_meets_every_fate_of_a_scheduled_event(worlds: list[World]) -> None:
    """Stored, cancelled in time, parked, kept out of a full lane; under deaths, and while the lanes change."""
    assert sum(len(world.oracle.cancelled) for world in worlds) > 10
    assert sum(len(world.journal.schedule.names()) for world in worlds) > 5
    assert sum(world.due.found_full for world in worlds) > 20
    assert sum(world.due.were_late for world in worlds) > 5
    assert any(world.plan.more_lanes_at and world.plan.accidents for world in worlds)
    kinds = {one.kind for world in worlds for one in world.plan.accidents if one not in world.accidents.left}
    assert {"crash", "freeze", "freeze before an answer", "answer of redis lost", "redis down"} <= kinds


@pytest.mark.parametrize("kind", ["crash", "freeze", "freeze before an answer", "answer of redis lost"])
def test_death_at_every_step_loses_and_repeats_none(kind: str) -> None:
    """Before and after each script of the worker that stores them, and of those that deliver."""
    quiet = run(PLAN)
    assert _delivered(quiet) == list(range(8))
    for step in range(1, quiet.scheduler.steps + 1):
        world = run(replace(PLAN, accidents=(Accident(step, kind, 20.0),)))
        assert _delivered(world) == list(range(8)), (kind, step)


def test_two_deaths_in_a_row_lose_and_repeat_none() -> None:
    """The successor dies too, at each of its steps."""
    steps = run(PLAN).scheduler.steps
    for first in range(2, steps, 3):
        for second in range(first + 1, first + 12):
            world = run(replace(PLAN, accidents=(Accident(first, "crash"), Accident(second, "crash"))))
            assert _delivered(world) == list(range(8)), (first, second)


def test_full_lane_leaves_events_scheduled() -> None:
    """The lane has room for one, and the server is away: the others wait, and can be cancelled meanwhile."""
    calls = (*SIX[:5], replace(SIX[5], cancel_s=5.0))
    down = (Accident(1, "server down", 20.0),)
    world = run(Plan(seed=4, events=((0.0, (0,)),), scheduled=calls, max_backlog=1, accidents=down))
    assert world.oracle.cancelled.keys() == {6}
    assert _delivered(world) == list(range(6))


def test_channel_that_has_changed_its_lane_keeps_its_order() -> None:
    """What was in the old lanes is delivered first, though nothing is delivered while the lanes change."""
    calls = tuple(Scheduled(0.0, 0, 0.1 * n) for n in range(1, 9))
    for changes_at in (0.25, 0.45, 0.65):
        plan = Plan(seed=5, scheduled=calls, more_lanes_at=changes_at, accidents=(Accident(2, "server down", 3.0),))
        assert _delivered(run(plan)) == list(range(9))


def test_events_are_stored_when_they_are_due() -> None:
    """Nothing is in the way: at most a look later."""
    world = run(Plan(seed=6, scheduled=tuple(Scheduled(0.0, n % 3, 0.3 * n + 0.05) for n in range(20))))
    late_ms = [world.due.stored_ms[number] - due_ms for number, due_ms in world.oracle.due_ms.items()]
    assert len(late_ms) == 20
    assert max(late_ms) <= 1000 * due_events.EVERY_S + 50


# -- bugs that it must find -------------------------------------------------------------------------------


def _first_broken(found: Sequence[Plan]) -> str:
    for plan in found:
        try:
            run(plan)
        except Broken as error:
            return str(error)
    return ""


def _frozen_between_claim_and_append() -> list[Plan]:
    """A worker is frozen there for longer than its lease; its successor finds the lane full; the event is cancelled."""
    down = Accident(1, "server down", 15.0)
    base = Plan(seed=7, events=((0.0, (0,)),), scheduled=(Scheduled(0.0, 1, 0.05, cancel_s=11.0),), max_backlog=1)
    return [replace(base, accidents=(down, Accident(n, "freeze before an answer", 20.0))) for n in range(2, 80)]


def test_worker_frozen_with_a_claim_stores_nothing_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at the age of its claim before it appends; without that look the simulation finds it."""
    assert _first_broken(_frozen_between_claim_and_append()) == ""
    monkeypatch.setattr(due_events, "MAX_CLAIM_AGE_S", math.inf)
    assert "was cancelled, and is stored" in _first_broken(_frozen_between_claim_and_append())


def test_report_of_what_is_not_stored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown append taken for one that succeeded loses events."""
    monkeypatch.setattr(due_events, "outcome_of", lambda _refusal: ClaimResult.STORED)
    assert "is lost" in _first_broken(plans())


def _many_behind_a_full_lane() -> list[Plan]:
    """The lane has room for one event; a pass claims several times, and room comes meanwhile."""
    calls = tuple(Scheduled(0.0, n % 2, 0.05 * (1 + n // 4)) for n in range(24))
    base = Plan(seed=0, scheduled=calls, max_backlog=1)
    return [replace(base, seed=seed) for seed in range(40)]


def test_channel_that_goes_on_behind_a_full_lane_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is room, a later event would overtake those that have waited for it."""

    def order_due(events: Mapping[int, Any], full: Any) -> Any:
        return outcomes.order_due(events, ())

    monkeypatch.setattr(due_events, "order_due", order_due)
    assert "due, or called, later" in _first_broken(_many_behind_a_full_lane())


def test_parking_of_what_only_waits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of a full lane would never be stored."""

    def outcome_of(refusal: Any) -> Any:
        outcome = outcomes.outcome_of(refusal)
        return ClaimResult.PARKED if outcome is ClaimResult.WAITS else outcome

    monkeypatch.setattr(due_events, "outcome_of", outcome_of)
    assert "are parked" in _first_broken(plans())


def test_order_of_names_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal due times would come in any order."""

    def order_due(events: Mapping[int, Any], full: Any) -> Any:
        ready, waiting = outcomes.order_due(events, full)
        return ready[::-1], waiting

    monkeypatch.setattr(due_events, "order_due", order_due)
    assert "due, or called, later" in _first_broken(plans())


def test_cancellation_of_claimed_events_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may have stored it already."""

    def cancel(self: ScheduleModel, number: int) -> str:
        found = [bucket.events.pop(str(number), None) for bucket in self.buckets]
        return "taken" if any(found) else ""

    monkeypatch.setattr(ScheduleModel, "cancel", cancel)
    assert _first_broken(plans())


def test_event_that_is_stored_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule that runs half a second ahead."""
    schedule = ScheduleModel.schedule
    monkeypatch.setattr(ScheduleModel, "schedule", lambda self, item, due_ms: schedule(self, item, due_ms - 500))
    assert "before it is due" in _first_broken(plans())

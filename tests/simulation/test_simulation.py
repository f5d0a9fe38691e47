"""A short run of the simulation, what it must see to be worth anything, and worlds that once broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sockudo_publisher.delivery import attempt as attempt_module
from sockudo_publisher.delivery import decide as decide_module
from sockudo_publisher.delivery import gates
from sockudo_publisher.delivery.decide import Settle, TryAgain
from sockudo_publisher.delivery.outcome import Outcome
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.lease import Lease, LeaseLost
from tests.simulation.clock import virtual_clock, virtual_time
from tests.simulation.journal import JournalModel
from tests.simulation.lane import Broken
from tests.simulation.plan import ACCIDENTS, FAULTS, Accident, Fault, Plan, plan_of, smaller
from tests.simulation.world import World, run

pytestmark = pytest.mark.unit

#: Seeds of the short run, and of the one in depth.
QUICK_SEEDS, SEEDS = 250, 1500


@pytest.fixture(autouse=True)
def simulated() -> Iterator[None]:
    with virtual_time():
        yield


@pytest.fixture(scope="module", params=[QUICK_SEEDS, pytest.param(SEEDS, marks=pytest.mark.long)])
def worlds(request: pytest.FixtureRequest) -> list[World]:
    """The short run, and the one in depth."""
    with virtual_time():
        return [run(plan_of(seed)) for seed in range(request.param)]


def test_whatever_happens_the_promise_holds(worlds: list[World]) -> None:
    """Nothing lost, nothing twice except in the named cases, order per channel, everything at rest and counted."""
    assert all(world.is_at_rest for world in worlds)


def test_run_meets_everything_that_can_happen(worlds: list[World]) -> None:
    """Every fault and accident, every way out of the journal, every cause of a duplicate but the rarest."""
    kinds, ways, causes = set(), Counter[str](), Counter[str]()
    for world in worlds:
        left = {one.kind for one in world.accidents.left}
        kinds |= {one.kind for one in world.plan.accidents if one.kind not in left}
        kinds |= {fault.kind for number, fault in world.exchanges.faults.items() if number <= world.exchanges.requests}
        for lane in world.journal.lanes:
            ways.update(lane.counts)
        causes.update(world.oracle.causes)
    assert kinds == {name for name, _ in (*FAULTS, *ACCIDENTS)}
    expected = {
        "settled",
        "settled_by_history",
        "refused",
        "conflict",
        "parked_uncertain",
        "expired",
        "collapsed",
        "stuck",
        "searched",
    }
    assert expected <= set(ways), ways
    assert ways["resent_after_window"] > 0
    assert len(causes) >= 4, causes


def test_seed_replays_exactly() -> None:
    """The same lines at the same times; another seed has others."""
    told: list[list[str]] = [[], [], []]
    for lines, seed in zip(told, (7, 7, 8), strict=True):
        run(plan_of(seed), lines.append)
    assert told[0] == told[1]
    assert len(told[0]) > 10
    assert told[0] != told[2]


def test_smaller_plans_are_plans_with_one_thing_less() -> None:
    """The search for a short failing plan ends: none is the plan itself, and all of them run."""
    plan = next(plan for plan in map(plan_of, range(100)) if len(plan.accidents) > 1 and plan.faults)
    for one in smaller(plan):
        assert one != plan
        run(one)


# -- bugs that it must find (more of them, on the files themselves: scripts/mutants) ---------------------


def _first_broken(seeds: Sequence[int]) -> str:
    for seed in seeds:
        try:
            run(plan_of(seed))
        except Broken as error:
            return str(error)
    return ""


def test_first_send_in_an_operators_pause_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a worker that looks at no operator's pause."""

    def gate(view: Any, now_ms: int) -> Any:
        shared = replace(view.taken.shared, operator_pause=None)
        return gates.gate(view._replace(taken=replace(view.taken, shared=shared)), now_ms)

    monkeypatch.setattr("sockudo_publisher.delivery.drain.gate", gate)
    assert _first_broken(range(600)) == "a first send begins in a pause that an operator has ordered"


def test_operator_pauses_are_met_at_every_moment(worlds: list[World]) -> None:
    """Before the first event, in the middle of a batch, while the server is away."""
    met = [world for world in worlds if world.plan.operator_pauses]
    assert len(met) > len(worlds) / 10
    assert any(world.plan.faults and world.plan.accidents for world in met)
    assert any(world.plan.on_uncertain == "park" and world.plan.poison for world in met)


def test_settling_before_200_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown attempt taken for an accepted one loses events."""

    def decide(finding: Any, attempt: Any, progress: Any) -> Any:
        if finding.outcome is Outcome.UNKNOWN:
            return Settle(), progress
        return decide_module.decide(finding, attempt, progress)

    monkeypatch.setattr(attempt_module, "decide", decide)
    assert "lost" in _first_broken(range(200))


def test_resending_until_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the search what was before a stuck item comes again."""

    def decide(finding: Any, attempt: Any, progress: Any) -> Any:
        if finding.outcome is Outcome.STUCK and not attempt.in_hold:
            return TryAgain(2.0), progress
        return decide_module.decide(finding, attempt, progress)

    monkeypatch.setattr(attempt_module, "decide", decide)
    assert "twice" in _first_broken(range(400))


def test_sending_under_a_lost_lease_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was frozen between take and request has to look before it sends."""
    monkeypatch.setattr(Lease, "ensure_fresh", lambda self: True)
    plan = Plan(seed=1, events=((0.0, (0, 0)),), batch_max=1, accidents=(Accident(9, "freeze before an answer", 20.0),))
    messages = []
    for step in range(1, 12):
        try:
            run(replace(plan, accidents=(Accident(step, "freeze before an answer", 20.0),)))
        except Broken as error:
            messages.append(str(error))
    assert "a request begins under a lease that has run out" in messages


# -- what it has found ------------------------------------------------------------------------------------


def test_item_that_redis_gives_back_is_not_settled_past() -> None:
    """Seed 40846: Redis lost its last second, in which items had left from under an unchanged marker."""
    run(
        Plan(
            seed=40846,
            processes=1,
            batch_max=100,
            events=((0.0, (2, 0, 3, 3)),),
            on_uncertain="park",
            on_expired="dead",
            foreign=(1,),
            faults=(Fault(request=5, kind="slow", at=1),),
            accidents=(Accident(step=9, kind="redis loses its last second"),),
        )
    )


def test_hold_under_a_lost_marker_does_not_end_the_drain() -> None:
    """Seed 5176: the mark was gone when the stuck item was to be held."""
    run(
        Plan(
            seed=5176,
            processes=1,
            batch_max=100,
            events=((0.0, (0, 0, 0, 0, 0, 0, 0, 0)),),
            accidents=(
                Accident(step=2, kind="claim", event=5),
                Accident(step=19, kind="redis loses its last second"),
            ),
        )
    )


def test_lease_is_left_when_the_look_at_a_pause_fails() -> None:
    """Seed 380: Redis' answer to the look was lost, and the worker renewed the lease of a lane without draining it."""
    accidents = (Accident(4, "server down", 7.0), Accident(48, "answer of redis lost"))
    run(Plan(seed=380, processes=1, events=((2.8, (1,)),), accidents=accidents, asks=True))


def test_only_the_latest_of_a_key_arrives_after_trouble() -> None:
    """The server is away from the first request on; of ten events on one key it gets the last, once."""
    world = World(
        Plan(
            seed=5,
            events=((0.0, (0,) * 5), (2.0, (0,) * 5)),
            collapse=tuple((n, 0) for n in range(10)),
            accidents=(Accident(step=1, kind="server down", span_s=5.0),),
        )
    )
    world.live()
    assert set(world.oracle.delivered) == {9}
    assert world.journal.lanes[0].counts == {"collapsed": 9, "settled": 1}


def test_dropping_the_latest_event_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is too high would drop an event for a later one that never came."""
    append = JournalModel.append

    def append_too_high(self: JournalModel, lane: int, items: Any) -> bool:
        rings = append(self, lane, items)
        self.lanes[lane].latest = {key: turn + 1 for key, turn in self.lanes[lane].latest.items()}
        return rings

    monkeypatch.setattr(JournalModel, "append", append_too_high)
    assert "lost" in _first_broken(range(60))


class _FrozenInRenewals:
    """A wire whose reader is frozen for seven seconds before each of the first answers."""

    def __init__(self, world: World, times: int) -> None:
        self.world = world
        self.times = times
        self.calls = 0

    def script(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> list[int]:
        assert name == "renew"
        self.calls += 1
        if self.calls <= self.times:
            self.world.scheduler.now += 7.0
        return [1]


@pytest.mark.parametrize(("frozen", "is_lost"), [(0, False), (1, False), (2, False), (3, True)])
def test_renewal_that_was_read_too_late_is_repeated(frozen: int, is_lost: bool) -> None:
    """A lease is trusted from the question on: an answer older than that proves nothing; three of them, it is lost."""
    world = World(Plan(seed=0))
    virtual_clock.scheduler = world.scheduler
    wire = _FrozenInRenewals(world, frozen)
    lease = Lease(lane_keys("app", 0), "1-me", wire, asked_at=-10.0)  # type: ignore[arg-type]
    if is_lost:
        with pytest.raises(LeaseLost):
            lease.ensure_fresh()
    else:
        lease.ensure_fresh()
        assert wire.calls == frozen + 1

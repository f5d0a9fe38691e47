"""The loop in an operator's pause: nothing is sent for the first time, what may be out is resolved."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sockudo_publisher.delivery.moves import DrainAgain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.journal.app.operator import OperatorRecords, Resumed
from tests.integration.delivery.world import APP, At, DrainWorld, left_unknown

pytestmark = pytest.mark.integration


def operators(world: DrainWorld) -> OperatorRecords:
    return OperatorRecords(world.journal.link, APP)


def pause(world: DrainWorld) -> None:
    operators(world).pause("maintenance", "ana@host")


def resume(world: DrainWorld) -> Resumed:
    return operators(world).resume("ana@host")


def no_post(_: bytes) -> Reply | NoReply:
    raise AssertionError("a request in the pause")


def test_waiting_events_are_not_sent_and_not_marked(world: DrainWorld) -> None:
    """Also not by many doorbells; after the pause each arrives once, in order."""
    world.append(world.channel(), 30)
    pause(world)
    points: list[str] = []
    for _ in range(5):
        assert world.drain(post=no_post, at=points.append) is None
    assert points == [], "the lease goes back before a batch is taken"
    assert (world.marker(), world.is_leased(), world.depth()) == (None, False, 1)
    assert resume(world) == Resumed(operator=True)
    world.settle_down()
    world.check()


def test_run_under_way_stops_before_its_next_batch(world: DrainWorld) -> None:
    """The request under way ends and is settled; the batch behind it goes back without a mark."""
    world.append(world.channel(), 30, pack=False)
    world.policy = type(world.policy)(batch_max_events=10)
    assert world.drain(at=At("posted", then=lambda: pause(world))) is None
    assert len(world.server.seen(world.channel())) == 10
    assert (world.marker(), world.is_leased(), world.depth()) == (None, False, 20)
    resume(world)
    world.settle_down()
    world.check()


def test_resume_that_meets_a_run_under_way_rings_again(world: DrainWorld) -> None:
    """The ring for the end of the pause finds the lease of a run that has seen it: nothing waits for the sweep."""
    world.append(world.channel(), 30, pack=False)
    world.policy = type(world.policy)(batch_max_events=10)

    def meet(point: str) -> None:
        if point == "posted" and not met:
            pause(world)
        elif point == "settled" and not met:  # the next batch is in hand, read in the pause
            met.append(resume(world))
            assert world.drain(post=no_post) is None

    met: list[Resumed] = []
    assert world.drain(at=meet) == DrainAgain(0.0)
    assert (world.marker(), world.is_leased(), world.depth()) == (None, False, 20)
    world.settle_down()
    world.check()


def test_batch_that_may_be_out_is_resolved_in_the_pause(world: DrainWorld) -> None:
    """Its window does not wait for the operator; what was never sent does."""
    sent = left_unknown(world, 10)
    world.append(world.channel(), 5)
    pause(world)
    assert world.drain() is None
    assert world.server.seen(world.channel()) == sent
    assert world.marker() is None
    assert world.depth() == 1
    resume(world)
    world.settle_down()
    world.check()


def test_search_ends_in_the_pause(world: DrainWorld) -> None:
    """A pause in the middle of a search for a stuck event must not outlive the window: the event is held."""
    channel, other = world.channel(), world.channel("other")
    ids = world.append(channel, 16)
    world.server.claim(ids[7], channel)
    world.drain(at=At("posted", then=lambda: pause(world)))
    world.append(other, 3)
    for _ in range(3):
        world.drain()
    assert (world.marker(), world.holds(), world.server.seen(other)) == (None, [channel], [])
    assert world.server.seen(channel) == ids[:7]
    resume(world)
    world.server.release(ids[7], channel)
    world.settle_down()
    world.check()


@pytest.mark.parametrize("first", ["operator", "trouble"])
def test_neither_pause_ends_the_other(world: DrainWorld, first: str) -> None:
    """Trouble overwrites no operator's pause, and no answer of the server ends it."""
    world.append(world.channel(), 3)
    acts: dict[str, Callable[[], object]] = {"operator": lambda: pause(world), "trouble": world.meet_trouble}
    for act in (acts.pop(first), *acts.values()):
        act()
    if first == "operator":
        # Nothing was sent, so there was no trouble to meet.
        assert world.pause() is None
        world.journal.shared.pause("unreachable", 0.0)
    world.pass_time(10)
    assert world.journal.shared.try_probe("prober")
    shared = world.journal.shared.view()
    assert shared.pause is not None
    assert world.journal.shared.resume("prober", shared.pause.count)
    shared = world.journal.shared.view()
    assert (shared.pause, shared.operator_pause and shared.operator_pause.reason) == (None, "maintenance")
    assert world.drain(post=no_post) is None
    assert resume(world) == Resumed(operator=True)
    world.settle_down()
    world.check()


def test_person_ends_both_pauses(world: DrainWorld) -> None:
    """One resume is enough."""
    world.append(world.channel(), 3)
    world.meet_trouble()
    pause(world)
    assert resume(world) == Resumed(operator=True, trouble=True)
    assert resume(world) == Resumed()
    world.settle_down()
    world.check()


def test_sweep_rings_only_lanes_that_may_have_sent(world: DrainWorld) -> None:
    """A lane that waits for the operator is not rung each second."""
    left_unknown(world, 3)
    world.append(world.channel(lane=1), 3)
    assert world.journal.sweep([0, 1], only_marked=True)[0] == [0]
    assert world.journal.sweep([0, 1])[0] == [1]


def test_damaged_pause_counts_as_absent_and_is_reset(world: DrainWorld) -> None:
    """A key of another type is an advisory record that cannot be read: deleted, and counted."""
    key = world.journal.link.keyspace.app(APP).operator_pause
    world.append(world.channel(), 3)
    world.redis.set(key, "x")
    assert world.journal.shared.view().unreadable == ("operator_pause",)
    world.settle_down()
    world.check()
    assert world.counts()["unreadable_records"] == 1
    pause(world)
    world.redis.hset(key, "since", "soon")
    shown = world.journal.shared.view().operator_pause
    assert shown is not None
    assert (shown.reason, shown.since_ms) == ("maintenance", 0), "a time that cannot be read ends no pause"

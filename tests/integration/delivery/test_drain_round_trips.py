"""How many round trips to Redis an event on a quiet lane waits for, and what a lease that is taken in a pause does.

Counted, not timed: each round trip is a switch of threads and processes for an event that no worker watches for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sockudo_publisher.delivery import drain as drain_module
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.redis.link import Command
from sockudo_publisher.journal.redis.scripts import name_of
from tests.integration.delivery.world import APP, DrainWorld

pytestmark = pytest.mark.integration


def watch(journal: Journal) -> list[list[str]]:
    """From now on, the commands of each round trip; scripts by their names."""
    trips: list[list[str]] = []
    run = journal.link.run

    def counted(commands: Sequence[Command], **options: Any) -> list[Any]:
        commands = list(commands)
        trips.append([name_of(one[1]) if one[0] == "EVALSHA" else str(one[0]) for one in commands])
        return run(commands, **options)

    journal.link.run = counted  # type: ignore[method-assign]
    return trips


def test_quiet_lane_sends_after_two_round_trips(world: DrainWorld) -> None:
    """The lease, with what workers share; and the take."""
    world.append(world.channel())
    world.drain()  # the layout of the lanes is known, as in a worker that has drained before
    world.append(world.channel())
    trips = watch(world.journal)
    before: list[list[str]] = []

    def post(body: bytes) -> Reply | NoReply:
        before.extend(trips)
        return world.server.post(body)

    world.drain(post=post)
    view = ["HGETALL", "HMGET", "HMGET", "HMGET"]
    assert before == [[*view, "acquire"], [*view, "take"]]
    world.check()


def test_paused_app_has_its_lease_given_back(world: DrainWorld) -> None:
    """At once, with the entries, which the end of the pause rings."""
    world.drain()  # the layout is known
    world.append(world.channel())
    world.journal.shared.pause("busy", 60.0)
    trips = watch(world.journal)
    assert world.drain() is None
    assert [trip[-1] for trip in trips if trip != ["TIME"]] == ["acquire", "release", "HMGET"]
    assert not world.is_leased()
    assert (world.depth(), world.marker()) == (1, None)
    assert world.redis.hget(lane_keys(APP, 0).state, "armed") == b"1", "no other ring of an append is needed"
    OperatorRecords(world.journal.link, APP).resume("test")
    world.drain()
    world.check()


def test_pause_that_ends_during_the_lease_leaves_no_lane_behind(world: DrainWorld) -> None:
    """The ring for its end finds the lane leased and ends: the run that has the lease looks once more."""
    world.append(world.channel())
    world.journal.shared.pause("busy", 60.0)
    hand_over = world.journal.hand_over

    def ends_meanwhile(holder: Any) -> None:
        OperatorRecords(world.journal.link, APP).resume("test")
        assert world.drain(journal=world.worker()) is None, "the ring for the end of the pause finds the lease taken"
        hand_over(holder)

    world.journal.hand_over = ends_meanwhile  # type: ignore[method-assign]
    world.drain()
    assert world.depth() == 0
    world.check()


def test_pauses_that_begin_again_and_again_end_the_run(world: DrainWorld) -> None:
    """Bounded; the lease is free afterwards, and the sweep finds the lane."""
    world.append(world.channel())
    journal = world.journal
    looks = 0
    view, acquire = journal.shared.view, journal.acquire_and_view

    def paused_again(lane: int, channel: str | None = None) -> Any:
        journal.shared.pause("busy", 60.0)
        return acquire(lane, channel)

    def end_pause() -> Any:
        nonlocal looks
        looks += 1
        OperatorRecords(journal.link, APP).resume("test")
        return view()

    journal.acquire_and_view, journal.shared.view = paused_again, end_pause  # type: ignore[method-assign]
    assert world.drain() is None
    assert looks == drain_module.MAX_PAUSES
    assert not world.is_leased()
    assert world.depth() == 1
    journal.acquire_and_view, journal.shared.view = acquire, view  # type: ignore[method-assign]
    OperatorRecords(journal.link, APP).resume("test")
    world.drain()
    world.check()


def test_taken_lease_is_left_alone_in_a_pause(world: DrainWorld) -> None:
    """The run that probes keeps its lease, whatever rings."""
    world.append(world.channel())
    other = world.worker()
    holder = other.acquire(0)
    assert holder is not None
    world.journal.shared.pause("busy", 60.0)
    assert world.drain() is None
    assert world.is_leased()
    other.hand_over(holder)
    OperatorRecords(world.journal.link, APP).resume("test")
    world.drain()
    world.check()


def test_lane_that_may_not_be_drained_is_not_leased(world: DrainWorld) -> None:
    """There is no such lane: nothing is written, as before."""
    holder, view = world.journal.acquire_and_view(7)
    assert holder is None
    assert view.pause is None
    assert not world.redis.exists(lane_keys(APP, 7).lease)

"""The watch of a quiet lane: its run stays for as long as it may, and an event needs no doorbell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sockudo_publisher.delivery import letter_log, watch
from sockudo_publisher.delivery.run import SLICE_S
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.holder import Holder
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.lease import RENEW_EVERY_S
from tests.integration.delivery.world import APP, Control, DrainWorld

pytestmark = pytest.mark.integration


@dataclass
class Staying(Control):
    """May watch an empty lane on for ``looks`` looks; ``before``: what happens before the first, the second, ..."""

    looks: int = 0
    before: list[Callable[[], object]] = field(default_factory=list)
    asked_others: int = 0

    def may_stay(self) -> bool:
        self.looks -= 1
        if self.before:
            self.before.pop(0)()
        return self.looks >= 0

    def others_wait(self) -> bool:
        self.asked_others += 1
        return False


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET_LOOK_S", 0.05)


def test_event_on_a_quiet_lane_is_sent_by_the_run_that_stayed(world: DrainWorld) -> None:
    """Its append rings nothing, as the lane is leased; afterwards the lane is given back."""
    channel, armed = world.channel(), list[bytes | None]()

    def append() -> None:
        assert world.is_leased()
        world.append(channel, 2)
        armed.append(world.redis.hget(lane_keys(APP, 0).state, "armed"))

    world.append(channel)
    control = Staying(world, looks=4, before=[lambda: None, lambda: None, append])
    assert world.drain(control=control) is None
    assert control.looks < 0, "it stayed for as long as it might"
    assert armed == [b"1"]
    world.check()


def test_run_that_may_not_stay_gives_the_lane_back(world: DrainWorld) -> None:
    world.append(world.channel())
    control = Staying(world, looks=0)
    assert world.drain(control=control) is None
    assert control.looks == -1, "asked once"
    world.check()


@pytest.mark.parametrize("cuts", [1, 3])
def test_cut_connections_end_no_watch(world: DrainWorld, monkeypatch: pytest.MonkeyPatch, cuts: int) -> None:
    """The lane keeps its holder: without it the next event would wait until the lease is over."""
    monkeypatch.setattr(watch, "QUIET_LOOK_S", 2.0)
    channel, broken = world.channel(), []

    def cut() -> None:
        while not (blocked := [one for one in world.redis.client_list() if one["cmd"] == "xread"]):
            time.sleep(0.01)
        for one in blocked:
            world.redis.client_kill_filter(_id=one["id"])
        broken.append(len(blocked))

    def cut_while_it_waits() -> None:
        threading.Thread(target=cut).start()

    control = Staying(
        world, looks=cuts + 2, before=[lambda: None, *[cut_while_it_waits] * cuts, lambda: world.append(channel)]
    )
    world.append(channel)
    assert world.drain(control=control) is None
    assert broken == [1] * cuts
    assert control.looks < 0
    world.check()


def test_lost_lease_ends_the_watch(world: DrainWorld) -> None:
    """Another worker may have the lane."""
    control = Staying(world, looks=1000)

    def lose() -> None:
        world.lose_leases()
        time.sleep(RENEW_EVERY_S * 1.5)

    control.before = [lambda: None, lose]
    world.append(world.channel())
    assert world.drain(control=control) is None
    assert control.looks >= 997, "one look more at most"
    world.check()


def test_run_that_stays_counts_no_failure_and_knows_what_is_held(world: DrainWorld) -> None:
    """The queue is empty, so it is no longer failing; a channel that is held no more costs no take anything."""
    stuck = world.channel("stuck")
    world.append(stuck)
    world.server.claim("e0", stuck)
    world.drain()
    assert world.holds() == [stuck]
    world.journal.record_failure(0, None, ValueError("x"))
    world.redis.hdel(lane_keys(APP, 0).state, "retry_at")
    assert world.redis.hget(lane_keys(APP, 0).state, "failures") == b"1"
    journal = world.worker()
    known: list[set[str]] = []
    rest = journal.rest

    def watched_rest(holder: Holder) -> None:
        world.redis.delete(lane_keys(APP, 0).holds)
        rest(holder)
        known.append(set(holder.held))

    journal.rest = watched_rest  # type: ignore[method-assign]
    world.drain(journal=journal, control=Staying(world, looks=1))
    assert known == [set()]
    assert not world.redis.hexists(lane_keys(APP, 0).state, "failures")


def test_stop_of_the_worker_ends_the_watch(world: DrainWorld) -> None:
    """After one look, and the lane is given back at once."""
    control = Staying(world, looks=1000)

    def stop() -> None:
        control.is_stopping = True

    control.before = [lambda: None, stop]
    world.append(world.channel())
    world.drain(control=control)
    assert not world.is_leased()
    assert control.looks == 998


def test_event_after_a_long_watch_waits_for_no_question(world: DrainWorld) -> None:
    """Whether others wait for the slot is asked at the end of a slice, and the watch has begun a new one."""
    channel = world.channel()
    control = Staying(world, looks=2)

    def later() -> None:
        control.skipped_s += 10 * SLICE_S
        world.append(channel)

    control.before = [later]
    world.append(channel)
    world.drain(control=control)
    assert control.asked_others == 0
    world.check()


def test_run_that_watches_sends_nothing_in_an_operators_pause(world: DrainWorld) -> None:
    """The run leaves the lane with what came; the end of the pause rings it."""
    channel, operators = world.channel(), OperatorRecords(world.journal.link, APP)

    def pause_and_append() -> None:
        operators.pause("maintenance", "ana@host")
        world.append(channel)

    world.append(channel)
    control = Staying(world, looks=9, before=[pause_and_append])
    assert world.drain(control=control) is None
    assert (len(world.server.seen(channel)), world.depth(), world.is_leased()) == (1, 1, False)
    operators.resume("ana@host")
    world.settle_down()
    world.check()


def test_log_of_dead_letters_is_complete_before_the_watch(
    world: DrainWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The watch may last for days: the number of letters without a line is written first."""
    monkeypatch.setattr(letter_log, "MAX_LINES", 1)
    world.server.poison = set(world.append(world.channel(), 3))
    seen: list[bool] = []
    told = lambda: seen.append("further dead letters" in caplog.text)  # noqa: E731
    control = Staying(world, looks=2, before=[lambda: None, told])
    world.drain(control=control)
    assert len(world.letters()) == 3
    assert seen == [True]

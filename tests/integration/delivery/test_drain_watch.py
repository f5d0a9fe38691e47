"""The watch of a quiet lane: its run stays for as long as it may, and an event needs no doorbell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sockudo_publisher.delivery import letter_log, watch
from sockudo_publisher.delivery.run import SLICE_S
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.keys import lane_keys
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
    control = Staying(world, looks=3, before=[lambda: None, append])
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
    control = Staying(world, looks=1, before=[lambda: seen.append("further dead letters" in caplog.text)])
    world.drain(control=control)
    assert len(world.letters()) == 3
    assert seen == [True]

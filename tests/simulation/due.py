"""Scheduled events in a world: callers, operators who cancel, and the real code that stores what is due."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict, JournalUnavailable
from sockudo_publisher.journal.appended import Appended, Refusal
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.schedule.due import Claims
from sockudo_publisher.journal.schedule.event import ScheduledItem
from sockudo_publisher.journal.schedule.outcomes import BucketReport, Heads
from sockudo_publisher.workerapp.due_events import EVERY_S, DueMover
from tests.simulation.lane import ModelItem
from tests.simulation.plan import Scheduled
from tests.simulation.schedule import Waiting
from tests.simulation.scheduler import Process, Task

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["DueWorld"]

#: Seconds until a caller or an operator tries again while Redis is away, and between a call's two scripts.
AGAIN_S = 1.0
BETWEEN_S = 0.002


class _DueFace:
    """``DueEvents`` over the model, as one pass of a worker sees it: each script of each bucket is a step."""

    def __init__(self, world: World, trip: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._model = world.journal.schedule
        self._world = world
        self._trip = trip

    def take_right(self, owner: str) -> bool:
        return self._trip("take_right", lambda: self._world.journal.schedule.take_right(owner))

    def heads(self) -> Heads:
        found = self._trip("heads", self._world.journal.schedule.heads)
        return Heads(self._world.journal.now_ms(), found)

    def claim(self, owner: str, reports: Mapping[int, BucketReport]) -> Claims:
        claims = Claims()
        for bucket, report in reports.items():

            def act(bucket: int = bucket, report: BucketReport = report) -> list[tuple[str, Waiting]] | None:
                model = self._world.journal.schedule
                found = model.due(bucket, owner, report.outcomes, report.skipped, claims=report.claims)
                return None if found is None else [(name, waiting) for name, waiting in found]

            found = self._trip(f"due {bucket}", act)
            if found is None:
                claims.busy.add(bucket)
            elif found:
                claims.events[bucket] = [_as_scheduled(name, waiting) for name, waiting in found]
        return claims


def _as_scheduled(name: str, waiting: Waiting) -> ScheduledItem:
    item = waiting.item
    return ScheduledItem(name, name, waiting.due_ms, Item(item.channel, item.body), "f", is_claimed=True)


class SimulatedMover(DueMover):
    """The real one; its way to the journal is the world's."""

    def __init__(self, world: World) -> None:
        super().__init__("app")
        self._owner = f"mover {world.scheduler.steps} {id(self)}"
        self.world = world
        self.task: Task | None = None

    def _events(self) -> Any:
        assert self.task is not None
        return _DueFace(self.world, self.world.tripper(self.task))

    def _store(self, items: Sequence[KeyedItem]) -> Appended:
        """As ``publishing.store``: a script for each lane, each a step; then the doorbells."""
        assert self.task is not None
        trip, world = self.world.tripper(self.task), self.world
        parts: dict[int, list[int]] = {}
        for index, one in enumerate(items):
            parts.setdefault(world.lane_of(one.item.channel), []).append(index)
        refused: dict[int, Refusal] = {}
        already: list[int] = []
        count, began = 0, world.scheduler.now
        for place, indexes in enumerate(parts.values()):
            part = [int(items[index].key) for index in indexes]
            try:
                stored, known, left_out = trip("append_once", lambda part=part: world.due.append(part, began))
            except JournalUnavailable as error:
                if place == 0:
                    raise
                refused.update(dict.fromkeys(indexes, error))
                continue
            count += stored
            already += [indexes[n] for n in known]
            refused.update({indexes[n]: error for n, error in left_out.items()})
        return Appended(count, (), already, refused)


class DueWorld:
    """The scheduled events of a world's plan."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.movers: dict[Process, SimulatedMover] = {}
        self.plans: dict[int, Scheduled] = {}
        self.items: dict[int, ModelItem] = {}
        self.to_call = 0
        self._is_looking = False
        self.stored_ms: dict[int, int] = {}  # when each was appended
        self.found_full = 0  # appends that a full lane refused
        self.were_late = 0  # cancellations that came while a worker was storing the event

    def begin(self, first: int) -> None:
        """Let the calls and cancellations happen; ``first`` is the number of the first event."""
        scheduler = self.world.scheduler
        for number, one in enumerate(self.world.plan.scheduled, first):
            self.plans[number] = one
            self.items[number] = ModelItem(f"c{one.channel}", b"x" * 9, 0, number)
            due_ms = int((one.called_at + one.due_s) * 1000)
            calls = (one.called_at, one.called_at + one.repeat_s) if one.repeat_s else (one.called_at,)
            self.to_call += len(calls)
            for when in calls:
                scheduler.at(when, lambda number=number, due_ms=due_ms: self._call(number, due_ms))
            if one.cancel_s is not None:
                self.to_call += 1
                scheduler.at(one.called_at + one.cancel_s, lambda number=number: self._cancel(number))

    def rests(self) -> bool:
        """Whether all has been called, and nothing waits that can be stored."""
        return not self.to_call and not self.world.journal.schedule.names(with_parked=False)

    # -- callers and operators --------------------------------------------------------------------------

    def _is_away(self, again: Callable[[], None]) -> bool:
        now = self.world.scheduler.now
        if now >= self.world.redis_down_until:
            return False
        self.world.scheduler.at(now + AGAIN_S, again)
        return True

    def _call(self, number: int, due_ms: int) -> None:
        """``schedule_once``: a key that is stored needs no event; between the two scripts anything may happen."""
        if self._is_away(lambda: self._call(number, due_ms)):
            return
        if str(number) in self.world.journal.schedule.stored or self.world.oracle.is_cancelled(number):
            self.to_call -= 1  # stored; or its caller knows of the cancellation, and would not repeat the call
            return
        self.world.scheduler.at(self.world.scheduler.now + BETWEEN_S, lambda: self._schedule(number, due_ms))

    def _schedule(self, number: int, due_ms: int) -> None:
        if self._is_away(lambda: self._schedule(number, due_ms)):
            return
        self.to_call -= 1
        if self.world.oracle.is_cancelled(number):
            return
        item = self.items[number]
        self.world.say(f"schedule {number} on {item.channel} due {due_ms}")
        # A repeat comes with its own, later due time: the first stays.
        later_ms = due_ms if number not in self.world.oracle.due_ms else due_ms + 500
        self.world.journal.schedule.schedule(item, later_ms)
        self.look_again()
        self.world.oracle.scheduled(item, due_ms)

    def _cancel(self, number: int) -> None:
        if self._is_away(lambda: self._cancel(number)):
            return
        self.to_call -= 1
        answer = self.world.journal.schedule.cancel(number)
        self.world.say(f"cancel {number}: {answer or 'not scheduled'}")
        self.were_late += answer == "late"
        self.world.oracle.cancels(number, answer, self.world.scheduler.now)

    # -- workers ----------------------------------------------------------------------------------------

    def look_again(self) -> None:
        """Look when the next event is due, at one of the moments that are ``EVERY_S`` apart."""
        heads = self.world.journal.schedule.heads().values()
        if self._is_looking or self.world.is_at_rest or not heads:
            return
        now = self.world.scheduler.now
        turn = math.ceil(max(min(heads) / 1000, now + EVERY_S / 2) / EVERY_S)
        self._is_looking = True
        self.world.scheduler.at(max(turn * EVERY_S, now), self._look)

    def _look(self) -> None:
        """Every worker looks; where nothing is due, a pass changes nothing and is left out."""
        scheduler, self._is_looking = self.world.scheduler, False
        self.look_again()
        if not self.world.journal.schedule.has_due():
            return
        for process in self.world.processes:
            mover = self.movers.get(process)
            if mover is None:
                mover = self.movers[process] = SimulatedMover(self.world)
            is_up = process.is_alive and not process.is_stopping and process.frozen_until <= scheduler.now
            if is_up and mover.task is None:
                mover.task = Task(process, "due", lambda task, mover=mover: self._pass(task, mover))
                scheduler.start(mover.task)

    def _pass(self, task: Task, mover: SimulatedMover) -> None:
        try:
            mover.beat()
        except JournalUnavailable:
            self.world.say(f"{task}: the journal is away")
        except Exception as error:
            self.world.failure = error
        finally:
            mover.task = None

    def append(self, numbers: Sequence[int], began: float) -> tuple[int, list[int], dict[int, Refusal]]:
        """``append_once`` of one lane: how many are stored; the places of those that are known, and of refused ones."""
        world, model = self.world, self.world.journal.schedule
        known: list[int] = []
        refused: dict[int, Refusal] = {}
        fresh: list[ModelItem] = []
        places: list[int] = []
        for place, number in enumerate(numbers):
            if self.plans[number].is_foreign:
                refused[place] = IdempotencyConflict("another event")
            elif str(number) in model.stored:
                known.append(place)
            else:
                fresh.append(self.items[number])
                places.append(place)
        if not fresh:
            return 0, known, refused
        lane = world.lane_of(fresh[0].channel)
        fitting = world.journal.fitting(lane, fresh, world.plan.max_backlog, skips=True)
        refused.update(dict.fromkeys(places[len(fitting) :], BacklogFull("full")))
        self.found_full += len(fresh) - len(fitting)
        for item in fitting:
            self.stored_ms.setdefault(item.number, world.journal.now_ms())
            world.oracle.stores(item, began, world.journal.now_ms())
            model.stored.add(str(item.number))
        if fitting:
            world.append_to(lane, fitting)
        return len(fitting), known, refused

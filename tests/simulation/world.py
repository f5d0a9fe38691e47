"""One world: producers, worker processes, doorbells and sweeps around the real loop, and what the plan does to them."""

from __future__ import annotations

import random as global_random
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from sockudo_publisher.delivery.drain import drain
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.errors import JournalUnavailable
from sockudo_publisher.journal.holder import UNHEARD_RINGS, Holder
from sockudo_publisher.journal.lease import RENEW_EVERY_S
from sockudo_publisher.journal.redis.link import WORKER_TIMEOUT_S
from sockudo_publisher.workerapp.steps.sweep import EVERY_S
from tests.simulation.accidents import Accidents
from tests.simulation.clock import virtual_clock
from tests.simulation.due import DueWorld
from tests.simulation.exchanges import Exchanges
from tests.simulation.face import Face
from tests.simulation.journal import JournalModel
from tests.simulation.lane import Broken, ModelItem
from tests.simulation.oracle import Oracle
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Process, Scheduler, Task
from tests.simulation.server import SimulatedServer

__all__ = ["World", "run"]

#: Steps and seconds after which a world that does not come to rest is given up.
MAX_STEPS = 30_000
MAX_S = 3_000.0

#: Seconds after which an operator looks whether the app flows again.
OPERATOR_LOOKS_S = 30.0


class Control:
    """``delivery.control.Control`` of one task."""

    def __init__(self, world: World, task: Task, face: Face, lane: int) -> None:
        self.world = world
        self.task = task
        self.face = face
        self.lane = lane
        self.monotonic = world.monotonic

    def stopping(self) -> bool:
        return self.task.process.is_stopping

    def others_wait(self) -> bool:
        others = [one for one in self.world.lanes_drained() if one != self.lane]
        return bool(others) and self.face.has_waiting_lane(others)

    def slots_are_scarce(self) -> bool:
        return self.world.plan.is_scarce

    def may_stay(self) -> bool:
        return bool(self.world.plan.stays) and self.world.chance() < self.world.plan.stays

    def sleep(self, seconds: float) -> None:
        if self.task.process.is_stopping:
            return
        self.task.is_napping = True
        self.world.scheduler.sleep(self.task, seconds)
        self.task.is_napping = False

    def ring_all(self) -> None:
        self.face.trip("ring_all", self.world.ring_all)


class World:
    """A plan in motion. ``trace``: called with each thing that happens, as one line."""

    def __init__(self, plan: Plan, trace: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.trace = trace
        self.random = Random(plan.seed + 1_000_003)
        self.chance = self.random.random
        self.exchanges = Exchanges(self)
        self.accidents = Accidents(self)
        self.scheduler = Scheduler(self.accidents.step)
        self.accidents.watch()
        lanes = plan.lanes if plan.more_lanes_at is None else 2 * plan.lanes + 1
        self.journal = JournalModel(self._now, lanes, plan.on_expired)
        self.policy = Policy(batch_max_events=plan.batch_max, on_uncertain=plan.on_uncertain)
        self.server = SimulatedServer(
            self._now,
            self.scheduler.at,
            self.exchanges.delivered,
            ttl_s=self.policy.window_s,
            max_items=plan.max_items,
            capacity=plan.capacity,
            poison=frozenset(plan.poison),
            foreign=frozenset(plan.foreign),
        )
        self.server.lies = lambda: bool(plan.lies) and self.chance() < plan.lies
        self.oracle = Oracle(plan, self.policy, self.journal, self.server)
        self.processes = [Process(number) for number in range(plan.processes)]
        self.redis_down_until = -1.0
        self.server_down_until = -1.0
        self.to_append = len(plan.events)
        self.kept: dict[int, Task] = {}
        self.waiters: list[list[Task]] = [[] for _ in range(lanes)]
        self.due = DueWorld(self)
        self.is_at_rest = False
        self.failure: BaseException | None = None

    def _now(self) -> float:
        return self.scheduler.now

    def monotonic(self) -> float:
        return self.scheduler.now

    def say(self, text: str) -> None:
        if self.trace is not None:
            self.trace(f"{self.scheduler.now:9.3f} {text}")

    # -- a life -----------------------------------------------------------------------------------------

    def live(self) -> None:
        """Until everything rests. Raises :class:`Broken`."""
        virtual_clock.scheduler = self.scheduler
        global_random.seed(self.plan.seed)  # the backoff's jitter
        number = 0
        expires, collapse = dict(self.plan.expires_s), dict(self.plan.collapse)
        for when, channels in self.plan.events:
            events = [(number + n, f"c{channel}") for n, channel in enumerate(channels)]
            number += len(channels)
            self.scheduler.at(when, lambda events=events: self._append(events, expires, collapse))
        self.due.begin(number)
        for when, span_s in self.plan.operator_pauses:
            self.scheduler.at(when, self._operator_pauses)
            self.scheduler.at(when + span_s, self._operator_resumes)
        self.scheduler.at(EVERY_S, self._sweep)
        try:
            self.scheduler.run(self._is_over)
            if self.failure is not None:
                raise self.failure
            if not self.is_at_rest:
                raise Broken(f"no rest after {self.scheduler.steps} steps, {self.scheduler.now:.0f} s")
            self.oracle.check(self.exchanges.requests)
        finally:
            self.scheduler.end()

    def _is_over(self) -> bool:
        scheduler = self.scheduler
        return self.is_at_rest or self.failure is not None or scheduler.steps > MAX_STEPS or scheduler.now > MAX_S

    def _append(self, events: list[tuple[int, str]], expires: dict[int, float], collapse: dict[int, int]) -> None:
        """A producer; while Redis is away it tries again, as `key=` lets it."""
        now = self.scheduler.now
        if now < self.redis_down_until:
            self.scheduler.at(now + 1.0, lambda: self._append(events, expires, collapse))
            return
        self.to_append -= 1
        by_lane: dict[int, list[ModelItem]] = {}
        for number, channel in events:
            expires_ms = int((now + expires[number]) * 1000) if number in expires else 0
            key = f"k{collapse[number]}" if number in collapse else ""
            item = ModelItem(channel, b"x" * 9, expires_ms, number, key)
            by_lane.setdefault(self.lane_of(channel), []).append(item)
            self.oracle.appended(item)
        for lane, items in by_lane.items():
            self.append_to(lane, items)

    def append_to(self, lane: int, items: Sequence[ModelItem]) -> None:
        """Append, ring, and wake the drain that waits for an entry."""
        self.say(f"append lane {lane}: {[(item.number, item.channel) for item in items]}")
        if self.journal.append(lane, items):
            self.ring(lane)
        for task in self.waiters[lane]:
            self.scheduler.wake(task)
        self.waiters[lane].clear()

    # -- lanes --------------------------------------------------------------------------------------------

    def lane_of(self, channel: str) -> int:
        """Where a channel's events are appended now: after a change, in lanes behind the first ones."""
        lanes, changes_at = self.plan.lanes, self.plan.more_lanes_at
        if changes_at is None or self.scheduler.now < changes_at:
            return int(channel[1:]) % lanes
        return lanes + int(channel[1:]) % (lanes + 1)

    def lanes_drained(self) -> range:
        """The lanes from which workers deliver: the first ones until they are empty."""
        lanes, changes_at = self.plan.lanes, self.plan.more_lanes_at
        if changes_at is None or self.scheduler.now < changes_at:
            return range(lanes)
        if any(place.queue.entries or place.due_ms for place in self.journal.lanes[:lanes]):
            return range(lanes)
        return range(lanes, 2 * lanes + 1)

    def _operator_pauses(self) -> None:
        """A person pauses the app; while Redis is away the command fails."""
        if self.scheduler.now >= self.redis_down_until:
            self.say("operator pauses")
            self.journal.pause_by_operator()

    def _operator_resumes(self) -> None:
        """And resumes it; looks again, since Redis may be away, or forget it with its last second."""
        if self.scheduler.now >= self.redis_down_until and self.journal.resume_by_operator():
            self.say("operator resumes")
            self.oracle.rests_until = 0.0  # a person ends what the server has asked for
            self.ring_all()
        if not self.is_at_rest:
            self.scheduler.at(self.scheduler.now + OPERATOR_LOOKS_S, self._operator_resumes)

    def ring(self, lane: int, channel: str | None = None, after_s: float = 0.0) -> None:
        """A doorbell, which may be lost."""
        if self.plan.rings_lost and self.chance() < self.plan.rings_lost:
            return
        when = self.scheduler.now + after_s + 0.01 * self.chance()
        self.scheduler.at(when, lambda: self._answer(lane, channel))

    def ring_all(self) -> None:
        for lane, place in enumerate(self.journal.lanes):
            if place.queue.entries:
                self.ring(lane)

    def _answer(self, lane: int, channel: str | None) -> None:
        """Some worker answers a doorbell; of lanes that are not drained yet, the sweep rings later."""
        if lane not in self.lanes_drained():
            return
        free = [one for one in self.processes if one.is_alive and not one.is_stopping]
        if free:
            process = free[int(self.chance() * len(free))]
            name = f"lane {lane}" if channel is None else f"hold {channel}"
            self.scheduler.start(Task(process, name, lambda task: self._drain(task, lane, channel)))

    def _drain(self, task: Task, lane: int, channel: str | None) -> None:
        face = Face(
            self.journal,
            self.tripper(task),
            monotonic=self.monotonic,
            keep=lambda holder: self._keep(task, holder),
            forgotten=lambda holder: self.kept.pop(id(holder), None) and None,
            wait=lambda lane, wait_s: self._wait_for_entry(task, lane, wait_s),
            rate=self.plan.max_rate,
        )
        try:
            ring = drain(
                face,  # type: ignore[arg-type]
                lane,
                channel,
                post=self.exchanges.poster(task, face),  # type: ignore[arg-type]
                policy=self.policy,
                control=Control(self, task, face, lane),
                crash_point=_pass,
                ask_canaries=self.exchanges.asker(task) if self.plan.asks else None,
                ask_fresh_canaries=self.exchanges.checker(task) if self.plan.checks else None,
                history_lookup=self.exchanges.finder(task, face) if self.plan.finds else None,  # type: ignore[arg-type]
            )
        except JournalUnavailable:
            self.say(f"{task}: the journal is away")
            return
        except Exception as error:
            self.failure = error
            return
        if ring is not None:
            self.ring(lane, channel, ring.after_s)

    # -- the way to the journal -------------------------------------------------------------------------

    def tripper(self, task: Task) -> Callable[[str, Callable[[], Any]], Any]:
        sleep, chance, scheduler = self.scheduler.sleep, self.chance, self.scheduler

        def trip(name: str, act: Callable[[], Any]) -> Any:
            sleep(task, 0.0003 + 0.003 * chance())
            if scheduler.now < self.redis_down_until:
                raise JournalUnavailable("away", stored=False)
            answer = act()
            if self.trace is not None:
                self.say(f"{task}: {name} -> {_shown(answer)}")
            accident = self.accidents.answer_faults.pop(task, None)
            if accident is not None:
                if accident.kind == "answer of redis lost":
                    sleep(task, WORKER_TIMEOUT_S)
                    raise JournalUnavailable("lost", stored=None)
                if accident.kind == "freeze before an answer":
                    task.process.frozen_until = scheduler.now + accident.span_s
                    sleep(task, 0.001)
                    return answer
                sleep(task, min(accident.span_s, WORKER_TIMEOUT_S - 0.1))
            return answer

        return trip

    def _keep(self, task: Task, holder: Holder) -> None:
        """The lease keeper's thread of this process begins to renew a lease."""
        self.kept[id(holder)] = task
        self.scheduler.at(self.scheduler.now + RENEW_EVERY_S, lambda: self._renew(task, holder))

    def _renew(self, task: Task, holder: Holder) -> None:
        process, now = task.process, self.scheduler.now
        if self.kept.get(id(holder)) is not task or not process.is_alive:
            self.kept.pop(id(holder), None)
            return
        if process.frozen_until > now:
            self.scheduler.at(process.frozen_until, lambda: self._renew(task, holder))
            return
        if now >= self.redis_down_until:
            if self.journal.renew(holder.keys.lane, holder.keys.channel, holder.lease.token):
                holder.lease.trust_from(now)
            else:
                holder.lease.lost = True
            if holder.lease.is_probing:
                self.journal.renew_probe(holder.lease.token)
        self.scheduler.at(now + RENEW_EVERY_S, lambda: self._renew(task, holder))

    def _wait_for_entry(self, task: Task, lane: int, wait_s: float) -> bool:
        if not self.journal.lanes[lane].queue.entries:
            self.waiters[lane].append(task)
            self.scheduler.sleep(task, wait_s)
            if task in self.waiters[lane]:
                self.waiters[lane].remove(task)
        if self.scheduler.now < self.redis_down_until:
            raise JournalUnavailable("away", stored=False)
        return bool(self.journal.lanes[lane].queue.entries)

    # -- the sweep --------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """As ``workerapp.sweep.sweep_once``, by whichever process is up."""
        now = self.scheduler.now
        if self._rests():
            self.is_at_rest = True
            return
        self.scheduler.at(now + EVERY_S, self._sweep)
        if now < self.redis_down_until:
            return
        for one in self.processes:
            if one.is_alive and not one.is_stopping and one.frozen_until <= now:
                break
        else:  # no process is up
            return
        pause = self.journal.pause
        if pause is not None and pause.until_ms > self.journal.now_ms():
            return
        lanes, due = [], []
        for lane in self.lanes_drained():
            is_ordered = self.journal.operator_pause is not None
            ring, channels = self.journal.sweep(lane, is_counted=pause is None, only_marked=is_ordered)
            if ring:
                lanes.append(lane)
            due += [(lane, channel) for channel in channels]
        if pause is not None:
            lanes, due = lanes[:1], ([] if lanes else due[:1])
            if not lanes and not due:
                lanes = [self.lanes_drained()[int(self.chance() * len(self.lanes_drained()))]]
        for lane, channel in [*((lane, None) for lane in lanes), *due]:
            is_unheard = self.journal.lanes[lane].queue.unanswered >= UNHEARD_RINGS
            # A lane whose doorbells reach no worker is drained by the worker that sweeps.
            (self._answer if is_unheard else self.ring)(lane, channel)

    def _rests(self) -> bool:
        if self.to_append or self.exchanges.on_their_way or self.server.running or not self.due.rests():
            return False
        if self.journal.pause is not None and self.plan.asks:
            return False  # a canary has to find that the server answers
        for place in self.journal.lanes:
            if place.queue.entries or place.due_ms:
                return False
        return not any(process.tasks for process in self.processes)


def _pass(_point: str) -> None:
    """The fault points are not needed: a switch is one."""


def _shown(answer: object) -> str:
    """An answer of the journal, short."""
    if isinstance(answer, tuple) and len(answer) == 4:
        refusal, batch, view, _ = answer
        numbers = [item.number for item in batch.items()] if hasattr(batch, "items") else batch
        told = f"{refusal} {numbers}"
        if hasattr(batch, "marker"):
            told += f" resent={batch.resent} first={batch.first_ms}"
        return told + (f" pause {view.pause.reason}" if view is not None and view.pause else "")
    return repr(answer)


def run(plan: Plan, trace: Callable[[str], None] | None = None) -> World:
    """Let a plan happen, inside :func:`virtual_time`. Raises :class:`Broken`, or what the loop raised."""
    world = World(plan, trace)
    world.live()
    return world

"""One world: producers, worker processes, doorbells and sweeps around the real loop, and what the plan does to them."""

from __future__ import annotations

import logging
import random as global_random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from sockudo_publisher.canaries.ask import EVICTED_S
from sockudo_publisher.canaries.schedule import AFTER_TROUBLE
from sockudo_publisher.delivery.backoff import QUICK_S
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.drain import drain
from sockudo_publisher.delivery.outcome import Finding, NoReply, Outcome, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.errors import JournalUnavailable
from sockudo_publisher.journal import lease as lease_module
from sockudo_publisher.journal.holder import UNHEARD_RINGS, Holder
from sockudo_publisher.journal.lease import RENEW_EVERY_S
from sockudo_publisher.journal.redis.link import WORKER_TIMEOUT_S
from sockudo_publisher.workerapp.steps.sweep import EVERY_S
from tests.simulation.face import Face
from tests.simulation.journal import JournalModel
from tests.simulation.lane import Body, Broken, ModelItem
from tests.simulation.oracle import Oracle
from tests.simulation.plan import PACES_S, WANDERS_S, Accident, Fault, Plan
from tests.simulation.scheduler import Process, Scheduler, Task
from tests.simulation.server import LOST, Request, ServerModel
from tests.unit.delivery import model

__all__ = ["World", "run", "virtual_time"]

#: Steps and seconds after which a world that does not come to rest is given up.
MAX_STEPS = 30_000
MAX_S = 3_000.0

#: Seconds until a killed process is started again.
RESTART_S = 2.0

#: Share of the questions after trouble that the server swallows, or answers slowly.
HUNG_SHARE = 0.1

ANSWERS = {
    "draining": model.DRAINING,
    "busy": Reply(429, b"", {"retry-after": "0"}),
    "unauthorized": model.BAD_SIGNATURE,
    "internal error": Reply(500, b'{"error":"x","code":"internal_error","status":500}', model.JSON),
    "bad gateway": Reply(502, b"<html>", model.HTML),
}


class _Clock:
    """In the place of the ``time`` module where the lease looks at it.

    Other threads (the lease keeper of a worker that has just ended) go on in real time.
    """

    def __init__(self) -> None:
        self.scheduler: Scheduler | None = None
        self.thread: int | None = None

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def monotonic(self) -> float:
        if threading.get_ident() != self.thread:
            return time.monotonic()
        assert self.scheduler is not None, "only a running world has a time"
        return self.scheduler.now


_clock = _Clock()
_delivery_logger = logging.getLogger("sockudo_publisher.delivery")


@contextmanager
def virtual_time() -> Iterator[None]:
    """While this lasts worlds may run: leases look at their clock, and nothing is logged."""
    kept, state = lease_module.time, global_random.getstate()
    was_disabled = _delivery_logger.disabled
    _clock.thread = threading.get_ident()
    lease_module.time = _clock  # type: ignore[assignment]
    _delivery_logger.disabled = True
    try:
        yield
    finally:
        lease_module.time = kept
        _delivery_logger.disabled = was_disabled
        global_random.setstate(state)


class Control:
    """``delivery.control.Control`` of one task."""

    def __init__(self, world: World, task: Task, face: Face, lane: int) -> None:
        self.world = world
        self.task = task
        self.face = face
        self.others = [one for one in range(world.plan.lanes) if one != lane]
        self.monotonic = world.monotonic

    def stopping(self) -> bool:
        return self.task.process.is_stopping

    def others_wait(self) -> bool:
        return bool(self.others) and self.face.has_waiting_lane(self.others)

    def slots_are_scarce(self) -> bool:
        return self.world.plan.is_scarce

    def sleep(self, seconds: float) -> None:
        if self.task.process.is_stopping:
            return
        self.task.is_napping = True
        self.world.scheduler.sleep(self.task, seconds)
        self.task.is_napping = False

    def ring_all(self) -> None:
        self.face.trip("ring_all", self.world.ring_all)


class World:
    """A plan in motion. ``trace``: told each thing that happens, as one line."""

    def __init__(self, plan: Plan, trace: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.trace = trace
        self.random = Random(plan.seed + 1_000_003)
        self.chance = self.random.random
        self.scheduler = Scheduler(self._step)
        self.journal = JournalModel(self._now, plan.lanes, plan.on_expired)
        self.policy = Policy(batch_max_events=plan.batch_max, on_uncertain=plan.on_uncertain)
        self.server = ServerModel(
            self._now,
            self.scheduler.at,
            self._delivered,
            ttl_s=self.policy.window_s,
            most_items=plan.most_items,
            capacity=plan.capacity,
            poison=frozenset(plan.poison),
            foreign=frozenset(plan.foreign),
        )
        self.server.lies = lambda: bool(plan.lies) and self.chance() < plan.lies
        self.oracle = Oracle(plan, self.policy, self.journal, self.server)
        self.processes = [Process(number) for number in range(plan.processes)]
        self.process_number = plan.processes
        self.requests = 0
        self.faults: dict[int, Fault] = {fault.request: fault for fault in plan.faults}
        self.accidents = list(plan.accidents)
        self._watch()
        self.answer_faults: dict[Task, Accident] = {}
        self.redis_down_until = -1.0
        self.server_down_until = -1.0
        self.to_append = len(plan.events)
        self.on_their_way = 0
        self.kept: dict[int, Task] = {}
        self.waiters: list[list[Task]] = [[] for _ in range(plan.lanes)]
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
        _clock.scheduler = self.scheduler
        global_random.seed(self.plan.seed)  # the backoff's jitter
        number = 0
        expires = dict(self.plan.expires_s)
        for when, channels in self.plan.events:
            events = [(number + n, f"c{channel}") for n, channel in enumerate(channels)]
            number += len(channels)
            self.scheduler.at(when, lambda events=events: self._append(events, expires))
        self.scheduler.at(EVERY_S, self._sweep)
        try:
            self.scheduler.run(self._is_over)
            if self.failure is not None:
                raise self.failure
            if not self.is_at_rest:
                raise Broken(f"no rest after {self.scheduler.steps} steps, {self.scheduler.now:.0f} s")
            self.oracle.check(self.requests)
        finally:
            self.scheduler.end()

    def _is_over(self) -> bool:
        scheduler = self.scheduler
        return self.is_at_rest or self.failure is not None or scheduler.steps > MAX_STEPS or scheduler.now > MAX_S

    def _append(self, events: list[tuple[int, str]], expires: dict[int, float]) -> None:
        """A producer; while Redis is away it tries again, as `key=` lets it."""
        now = self.scheduler.now
        if now < self.redis_down_until:
            self.scheduler.at(now + 1.0, lambda: self._append(events, expires))
            return
        self.to_append -= 1
        by_lane: dict[int, list[ModelItem]] = {}
        for number, channel in events:
            expires_ms = int((now + expires[number]) * 1000) if number in expires else 0
            item = ModelItem(channel, b"x" * 9, expires_ms, number)
            by_lane.setdefault(int(channel[1:]) % self.plan.lanes, []).append(item)
            self.oracle.appended(item)
        for lane, items in by_lane.items():
            self.say(f"append lane {lane}: {[(item.number, item.channel) for item in items]}")
            if self.journal.append(lane, items):
                self.ring(lane)
            for task in self.waiters[lane]:
                self.scheduler.wake(task)
            self.waiters[lane].clear()

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
        """Some worker answers a doorbell."""
        free = [one for one in self.processes if one.is_alive and not one.is_stopping]
        if free:
            process = free[int(self.chance() * len(free))]
            name = f"lane {lane}" if channel is None else f"hold {channel}"
            self.scheduler.start(Task(process, name, lambda task: self._drain(task, lane, channel)))

    def _drain(self, task: Task, lane: int, channel: str | None) -> None:
        face = Face(
            self.journal,
            self._tripper(task),
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
                post=self._poster(task, face),  # type: ignore[arg-type]
                policy=self.policy,
                control=Control(self, task, face, lane),
                crash_point=_pass,
                ask_canaries=self._asker(task) if self.plan.asks else None,
                ask_fresh_canaries=self._checker(task) if self.plan.checks else None,
                history_lookup=self._finder(task, face) if self.plan.finds else None,  # type: ignore[arg-type]
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

    def _tripper(self, task: Task) -> Callable[[str, Callable[[], Any]], Any]:
        sleep, chance, scheduler = self.scheduler.sleep, self.chance, self.scheduler

        def trip(name: str, act: Callable[[], Any]) -> Any:
            sleep(task, 0.0003 + 0.003 * chance())
            if scheduler.now < self.redis_down_until:
                raise JournalUnavailable("away", stored=False)
            answer = act()
            if self.trace is not None:
                self.say(f"{task}: {name} -> {_shown(answer)}")
            accident = self.answer_faults.pop(task, None)
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
                holder.lease.is_probing = self.journal.try_probe(holder.lease.token)
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

    # -- the way to the server --------------------------------------------------------------------------

    def _poster(self, task: Task, face: Face) -> Callable[[Body], Reply | NoReply]:
        def post(body: Body) -> Reply | NoReply:
            items = list(body.items)
            self.requests += 1
            fault = self.faults.get(self.requests)
            if self.trace is not None:
                told = f" ({fault.kind})" if fault else ""
                self.say(f"{task}: POST {self.requests} {[item.number for item in items]}{told}")
            self.oracle.sends(face, items, self.scheduler.now)
            answer = self._post(task, face, items, fault)
            if fault is not None and fault.kind in ("draining", "busy"):
                self.oracle.asked_for_rest(self.scheduler.now)
            if self.trace is not None:
                self.say(f"{task}: answer {answer.status if isinstance(answer, Reply) else answer.words}")
            return answer

        return post

    def _post(self, task: Task, face: Face, items: list[ModelItem], fault: Fault | None) -> Reply | NoReply:
        scheduler = self.scheduler
        kind = fault.kind if fault is not None else ""
        way_s = 0.002 + 0.01 * self.chance()
        if kind in ANSWERS:
            scheduler.sleep(task, way_s)
            return ANSWERS[kind]
        if kind == "request lost" or (kind == "wanders" and not self.plan.finishes_requests):
            scheduler.sleep(task, self.policy.delivery_timeout_s)
            return LOST
        assert face.taken is not None
        assert face.taken.batch is not None
        now = scheduler.now
        request = Request(self.server, items, sent_at=now, age_s=now - face.taken.batch.first_ms / 1000)
        if fault is not None:
            if kind == "wanders":
                request.arrives_late = True
                self.on_their_way += 1
                scheduler.at(now + WANDERS_S[fault.at % len(WANDERS_S)], lambda: self._arrive_late(request))
                scheduler.sleep(task, self.policy.delivery_timeout_s)
                return LOST
            if kind == "slow":
                request.pace_s = PACES_S[fault.at % len(PACES_S)]
            elif kind in ("cut", "ghost cut"):
                self._cut(request, fault.at % len(items), is_ghost=kind == "ghost cut")
        task.on_death = lambda: self._client_gone(request)
        scheduler.sleep(task, way_s)
        if scheduler.now < self.server_down_until or kind == "not sent":
            task.on_death = None
            return NoReply(sent=False, words="refused")
        deadline = now + self.policy.delivery_timeout_s
        # Frozen between its look at the lease and the last byte: nothing can take these bytes back.
        request.arrives_late = scheduler.now > deadline
        request.arrive()
        while request.reply is None and scheduler.now < deadline:
            request.on_end = lambda: scheduler.wake(task)
            scheduler.sleep(task, deadline - scheduler.now)
            request.on_end = None
        task.on_death = None
        if request.reply is None:
            self._client_gone(request)
            request.reply = LOST
        return LOST if kind == "answer lost" else request.reply

    def _asker(self, task: Task) -> Callable[[int, float], CanaryResult]:
        """Canaries that were planted all the time, as ``delivery.canaries`` does; all of them tell the truth."""

        def ask(since_ms: int, timeout_s: float) -> CanaryResult:
            self.scheduler.sleep(task, 0.01 + 0.02 * self.chance())
            if self.chance() < HUNG_SHARE:
                # The first of them is swallowed; or all are answered slowly, of which the others have less time.
                is_swallowed = self.chance() < 0.5
                took_s = timeout_s if is_swallowed else (timeout_s + AFTER_TROUBLE * QUICK_S) * self.chance()
                self.oracle.excuse_s += took_s
                self.scheduler.sleep(task, took_s)
                if is_swallowed:
                    return CanaryResult(Finding(Outcome.UNKNOWN, "no answer"))
            now = self.scheduler.now
            if now < self.server_down_until:
                return CanaryResult(Finding(Outcome.NOT_SENT, "refused"))
            forgotten = self.server.forgot_at * 1000 >= since_ms
            if forgotten:
                if now < self.redis_down_until:
                    raise JournalUnavailable("away", stored=False)
                self.journal.forgets_until_ms = int((now + self.policy.window_s) * 1000)
            self.say(f"{task}: canaries since {since_ms}: {'forgotten' if forgotten else 'remembered'}")
            return CanaryResult(Finding(Outcome.ACCEPTED), forgotten)

        return ask

    def _checker(self, task: Task) -> Callable[[int, float, Callable[[float], bool]], CanaryResult]:
        """Fresh canaries: a full memory has none of them."""

        def fresh(rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> CanaryResult:
            for _ in range(rounds):
                started = self.scheduler.now
                self.scheduler.sleep(task, 0.01 + 0.02 * self.chance())
                if self.chance() < HUNG_SHARE:
                    self.oracle.excuse_s += timeout_s
                    self.scheduler.sleep(task, timeout_s)
                    return CanaryResult(Finding(Outcome.UNKNOWN, "no answer"))
                if self.scheduler.now < self.server_down_until:
                    return CanaryResult(Finding(Outcome.NOT_SENT, "refused"))
                if sleep(EVICTED_S):
                    break
                self.scheduler.sleep(task, 0.02)
                is_full = self.server.is_full
                self.say(f"{task}: fresh canaries: {'forgotten' if is_full else 'remembered'}")
                if self.scheduler.now < self.redis_down_until:
                    raise JournalUnavailable("away", stored=False)
                if is_full:
                    self.oracle.was_found_full = True
                    self.journal.forgets_until_ms = int((self.scheduler.now + self.policy.window_s) * 1000)
                    return CanaryResult(Finding(Outcome.ACCEPTED), forgotten=True)
                self.journal.checked_ms = int(started * 1000)
            return CanaryResult(Finding(Outcome.ACCEPTED))

        return fresh

    def _finder(self, task: Task, face: Face) -> Callable[[Sequence[ModelItem], int], Sequence[bool]]:
        """Channel history: what was delivered is in it."""

        def find(items: Sequence[ModelItem], _since_ms: int) -> Sequence[bool]:
            self.scheduler.sleep(task, 0.01)
            if self.scheduler.now < self.server_down_until:
                return [False] * len(items)
            face.found = {item.number: item.number in self.oracle.delivered for item in items}
            return [face.found[item.number] for item in items]

        return find

    def _cut(self, request: Request, at: int, *, is_ghost: bool = False) -> None:
        request.cut_at, request.is_ghost = at, is_ghost
        self.oracle.orphans += 1
        if is_ghost:
            self.oracle.ghosts.add(request.items[at].number)

    def _arrive_late(self, request: Request) -> None:
        self.on_their_way -= 1
        self.say(f"a request wanders in: {[item.number for item in request.items]}")
        request.arrive()

    def _client_gone(self, request: Request) -> None:
        """Timeout or death: the server stops where it stands, unless something in between finishes requests."""
        if request.is_over:
            return
        if request in self.server.running:
            if not self.plan.finishes_requests:
                self.oracle.orphans += request.pending is not None
                request.cancel()
        elif self.chance() < 0.5:
            request.cancel()  # it was not on its way yet
        else:
            if not self.plan.finishes_requests:
                self._cut(request, int(self.chance() * len(request.items)))
            self.scheduler.at(self.scheduler.now + 0.005, request.arrive)

    def _delivered(self, item: ModelItem, request: Request) -> None:
        try:
            cause = self.oracle.delivers(item, request, self.scheduler.now)
        except Broken as error:
            self.failure = error
            cause = str(error)
        if self.trace is not None:
            self.say(f"DELIVERED {item.number} on {item.channel} {cause}")

    # -- what the plan does -----------------------------------------------------------------------------

    def _watch(self) -> None:
        self.scheduler.watched = self.accidents[0].step if self.accidents else 0

    def _step(self, task: Task) -> None:
        while self.accidents and self.accidents[0].step == self.scheduler.steps:
            accident = self.accidents.pop(0)
            self.say(f"ACCIDENT at {task}: {accident.kind} {accident.span_s}")
            self._happen(accident, task)
        self._watch()

    def _happen(self, accident: Accident, task: Task) -> None:
        now, span, process = self.scheduler.now, accident.span_s, task.process
        match accident.kind:
            case "crash":
                self.scheduler.kill(process)
                self.scheduler.at(now + RESTART_S, lambda: self._replace(process))
            case "freeze":
                process.frozen_until = now + span
            case "stop":
                process.is_stopping = True
                for one in process.tasks:
                    if one.is_napping:
                        self.scheduler.wake(one)
                self.scheduler.at(now + RESTART_S, lambda: self._replace(process))
            case "server down":
                self.server_down_until = now + span
                for request in list(self.server.running):
                    if not self.plan.finishes_requests:
                        self.oracle.orphans += request.pending is not None
                        request.cancel()
                    request.reply = LOST
                    if request.on_end is not None:
                        request.on_end()
            case "server restarts and forgets" | "server restarts and remembers":
                self.server_down_until = now + span
                self.oracle.orphans += len(self.server.running)
                self.server.restart(remembers=accident.kind == "server restarts and remembers")
            case "server forgets":
                self.server.forget()
            case "server dies of large requests":
                self.server.dies_above = 2
                self.scheduler.at(now + span, self._server_recovers)
            case "redis down":
                self.redis_down_until = now + span
            case "redis loses its last second":
                snapshot, known = self.journal.snapshot(), set(self.oracle.order)
                self.scheduler.at(now + self.chance(), lambda: self._roll_back(snapshot, known))
            case "answer of redis lost" | "answer of redis late" | "freeze before an answer":
                self.answer_faults[task] = accident
            case "claim":
                if self.server.known(accident.event) is None:
                    self.oracle.orphans += 1
                    self.server.claim(accident.event)
            case _:
                raise AssertionError(accident.kind)

    def _replace(self, process: Process) -> None:
        """A new process in the place of one that died or has stopped."""
        if process.is_alive and process.tasks:  # a warm shutdown waits for its tasks
            self.scheduler.at(self.scheduler.now + RESTART_S, lambda: self._replace(process))
            return
        if process in self.processes:
            self.processes[self.processes.index(process)] = Process(self.process_number)
            self.process_number += 1

    def _server_recovers(self) -> None:
        self.server.dies_above = None

    def _roll_back(self, snapshot: dict[str, Any], known: set[int]) -> None:
        self.say("Redis begins again from its last second")
        self.oracle.has_rolled_back = True
        self.oracle.lost_by_redis.update(number for number in self.oracle.order if number not in known)
        self.journal.restore(snapshot)
        self.redis_down_until = max(self.redis_down_until, self.scheduler.now + 0.5)

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
        else:  # nobody is up
            return
        pause = self.journal.pause
        if pause is not None and pause.until_ms > self.journal.now_ms():
            return
        lanes, due = [], []
        for lane in range(self.plan.lanes):
            ring, channels = self.journal.sweep(lane, is_counted=pause is None)
            if ring:
                lanes.append(lane)
            due += [(lane, channel) for channel in channels]
        if pause is not None:
            lanes, due = lanes[:1], ([] if lanes else due[:1])
            if not lanes and not due:
                lanes = [int(self.chance() * self.plan.lanes)]
        for lane, channel in [*((lane, None) for lane in lanes), *due]:
            is_unheard = self.journal.lanes[lane].queue.unanswered >= UNHEARD_RINGS
            # A lane whose doorbells reach nobody is drained by the worker that sweeps.
            (self._answer if is_unheard else self.ring)(lane, channel)

    def _rests(self) -> bool:
        if self.to_append or self.on_their_way or self.server.running:
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

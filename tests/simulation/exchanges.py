"""The way to the server: requests with their faults, canaries and channel history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sockudo_publisher.canaries.ask import EVICTION_S
from sockudo_publisher.canaries.schedule import AFTER_TROUBLE
from sockudo_publisher.delivery.backoff import QUICK_S
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.outcome import Finding, NoReply, Outcome, Reply
from sockudo_publisher.errors import JournalUnavailable
from tests.simulation.face import Face
from tests.simulation.lane import Body, Broken, ModelItem
from tests.simulation.plan import PACES_S, WANDERS_S, Fault
from tests.simulation.scheduler import Task
from tests.simulation.server import LOST, Request
from tests.unit.delivery import model

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Exchanges"]

#: Share of the questions after trouble that the server swallows, or answers slowly.
HUNG_SHARE = 0.1

ANSWERS = {
    "draining": model.DRAINING,
    "busy": Reply(429, b"", {"retry-after": "0"}),
    "unauthorized": model.BAD_SIGNATURE,
    "internal error": Reply(500, b'{"error":"x","code":"internal_error","status":500}', model.JSON),
    "bad gateway": Reply(502, b"<html>", model.HTML),
}


class Exchanges:
    """What the drains of a world send to its server.

    ``requests``: how many POSTs were sent; ``on_their_way``: how many of those will arrive later; ``faults``: what
    befalls a POST, by its number.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests = 0
        self.on_their_way = 0
        self.faults: dict[int, Fault] = {fault.request: fault for fault in world.plan.faults}

    def poster(self, task: Task, face: Face) -> Callable[[Body], Reply | NoReply]:
        def post(body: Body) -> Reply | NoReply:
            items = list(body.items)
            self.requests += 1
            fault = self.faults.get(self.requests)
            if self.world.trace is not None:
                told = f" ({fault.kind})" if fault else ""
                self.world.say(f"{task}: POST {self.requests} {[item.number for item in items]}{told}")
            self.world.oracle.sends(face, items, self.world.scheduler.now)
            answer = self._post(task, face, items, fault)
            if fault is not None and fault.kind in ("draining", "busy"):
                self.world.oracle.asked_for_rest(self.world.scheduler.now)
            if self.world.trace is not None:
                self.world.say(f"{task}: answer {answer.status if isinstance(answer, Reply) else answer.message}")
            return answer

        return post

    def _post(self, task: Task, face: Face, items: list[ModelItem], fault: Fault | None) -> Reply | NoReply:
        scheduler = self.world.scheduler
        kind = fault.kind if fault is not None else ""
        way_s = 0.002 + 0.01 * self.world.chance()
        if kind in ANSWERS:
            scheduler.sleep(task, way_s)
            return ANSWERS[kind]
        if kind == "request lost" or (kind == "wanders" and not self.world.plan.finishes_requests):
            scheduler.sleep(task, self.world.policy.delivery_timeout_s)
            return LOST
        assert face.taken is not None
        assert face.taken.batch is not None
        now = scheduler.now
        request = Request(self.world.server, items, sent_at=now, age_s=now - face.taken.batch.first_ms / 1000)
        if fault is not None:
            if kind == "wanders":
                request.arrives_late = True
                self.on_their_way += 1
                scheduler.at(now + WANDERS_S[fault.at % len(WANDERS_S)], lambda: self._arrive_late(request))
                scheduler.sleep(task, self.world.policy.delivery_timeout_s)
                return LOST
            if kind == "slow":
                request.pace_s = PACES_S[fault.at % len(PACES_S)]
            elif kind in ("cut", "ghost cut"):
                self._cut(request, fault.at % len(items), is_ghost=kind == "ghost cut")
        task.on_death = lambda: self._client_gone(request)
        scheduler.sleep(task, way_s)
        if scheduler.now < self.world.server_down_until or kind == "not sent":
            task.on_death = None
            return NoReply(sent=False, message="refused")
        deadline = now + self.world.policy.delivery_timeout_s
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

    def asker(self, task: Task) -> Callable[[int, float], CanaryResult]:
        """Canaries that were planted all the time, as ``delivery.canaries`` does; all of them tell the truth."""

        def ask(since_ms: int, timeout_s: float) -> CanaryResult:
            self.world.scheduler.sleep(task, 0.01 + 0.02 * self.world.chance())
            if self.world.chance() < HUNG_SHARE:
                # The first of them is swallowed; or all are answered slowly, of which the others have less time.
                is_swallowed = self.world.chance() < 0.5
                took_s = timeout_s if is_swallowed else (timeout_s + AFTER_TROUBLE * QUICK_S) * self.world.chance()
                self.world.oracle.excuse_s += took_s
                self.world.scheduler.sleep(task, took_s)
                if is_swallowed:
                    return CanaryResult(Finding(Outcome.UNKNOWN, "no answer"))
            now = self.world.scheduler.now
            if now < self.world.server_down_until:
                return CanaryResult(Finding(Outcome.NOT_SENT, "refused"))
            forgotten = self.world.server.forgot_at * 1000 >= since_ms
            if forgotten:
                if now < self.world.redis_down_until:
                    raise JournalUnavailable("away", stored=False)
                self.world.journal.forgets_until_ms = int((now + self.world.policy.window_s) * 1000)
            self.world.say(f"{task}: canaries since {since_ms}: {'forgotten' if forgotten else 'remembered'}")
            return CanaryResult(Finding(Outcome.ACCEPTED), forgotten)

        return ask

    def checker(self, task: Task) -> Callable[[int, float, Callable[[float], bool]], CanaryResult]:
        """Fresh canaries: a full memory has none of them."""

        def fresh(rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> CanaryResult:
            for _ in range(rounds):
                started = self.world.scheduler.now
                self.world.scheduler.sleep(task, 0.01 + 0.02 * self.world.chance())
                if self.world.chance() < HUNG_SHARE:
                    self.world.oracle.excuse_s += timeout_s
                    self.world.scheduler.sleep(task, timeout_s)
                    return CanaryResult(Finding(Outcome.UNKNOWN, "no answer"))
                if self.world.scheduler.now < self.world.server_down_until:
                    return CanaryResult(Finding(Outcome.NOT_SENT, "refused"))
                if sleep(EVICTION_S):
                    break
                self.world.scheduler.sleep(task, 0.02)
                is_full = self.world.server.is_full
                self.world.say(f"{task}: fresh canaries: {'forgotten' if is_full else 'remembered'}")
                if self.world.scheduler.now < self.world.redis_down_until:
                    raise JournalUnavailable("away", stored=False)
                if is_full:
                    self.world.oracle.was_found_full = True
                    forgets_until_s = self.world.scheduler.now + self.world.policy.window_s
                    self.world.journal.forgets_until_ms = int(forgets_until_s * 1000)
                    return CanaryResult(Finding(Outcome.ACCEPTED), forgotten=True)
                self.world.journal.checked_ms = int(started * 1000)
            return CanaryResult(Finding(Outcome.ACCEPTED))

        return fresh

    def finder(self, task: Task, face: Face) -> Callable[[Sequence[ModelItem], int], Sequence[bool]]:
        """Channel history: what was delivered is in it."""

        def find(items: Sequence[ModelItem], _since_ms: int) -> Sequence[bool]:
            self.world.scheduler.sleep(task, 0.01)
            if self.world.scheduler.now < self.world.server_down_until:
                return [False] * len(items)
            face.found = {item.number: item.number in self.world.oracle.delivered for item in items}
            return [face.found[item.number] for item in items]

        return find

    def _cut(self, request: Request, at: int, *, is_ghost: bool = False) -> None:
        request.cut_at, request.is_ghost = at, is_ghost
        self.world.oracle.orphans += 1
        if is_ghost:
            self.world.oracle.ghosts.add(request.items[at].number)

    def _arrive_late(self, request: Request) -> None:
        self.on_their_way -= 1
        self.world.say(f"a request wanders in: {[item.number for item in request.items]}")
        request.arrive()

    def _client_gone(self, request: Request) -> None:
        """Timeout or death: the server stops where it stands, unless something in between finishes requests."""
        if request.is_over:
            return
        if request in self.world.server.running:
            if not self.world.plan.finishes_requests:
                self.world.oracle.orphans += request.pending is not None
                request.cancel()
        elif self.world.chance() < 0.5:
            request.cancel()  # it was not on its way yet
        else:
            if not self.world.plan.finishes_requests:
                self._cut(request, int(self.world.chance() * len(request.items)))
            self.world.scheduler.at(self.world.scheduler.now + 0.005, request.arrive)

    def delivered(self, item: ModelItem, request: Request) -> None:
        try:
            cause = self.world.oracle.delivers(item, request, self.world.scheduler.now)
        except Broken as error:
            self.world.failure = error
            cause = str(error)
        if self.world.trace is not None:
            self.world.say(f"DELIVERED {item.number} on {item.channel} {cause}")

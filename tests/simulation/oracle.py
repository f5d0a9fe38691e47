"""What must be true, whatever happens; and the unavoidable duplicates, by name.

Broken promises are raised as :class:`Broken` at the step that broke them, or at the end.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.app.rate import burst
from tests.simulation.face import Face
from tests.simulation.journal import JournalModel
from tests.simulation.lane import Broken, ModelItem
from tests.simulation.plan import PACES_S, Fault, Plan, Scheduled
from tests.simulation.server import Request, SimulatedServer

__all__ = ["Oracle"]

#: Seconds that the workers may need to get over a trouble of each kind, beside its own length: a lease and with it the
#: right to probe (6 s), a request of a prober that died or of one that cannot tell (timeout), a backoff, a search.
RECOVERY_S = 10.0
SLOW_RECOVERY = {"crash": 45.0, "redis down": 45.0, "redis loses its last second": 45.0, "answer of redis lost": 45.0}

#: For how long a good answer of fresh canaries may count: for other batches, and for the search that it was asked for.
TRUSTED_MS = 45_000

#: Troubles in which the journal's own memory is at fault, or its holder cannot know what was written.
REDIS_TROUBLES = {"redis down", "redis loses its last second", "answer of redis lost", "answer of redis late"}

#: Troubles that may part a take from its request: what was marked may never have been sent.
MAY_BE_MARKED = REDIS_TROUBLES | {"crash", "freeze", "freeze before an answer"}

#: Troubles in which a command may reach Redis long after it was sent.
FREEZES = {"freeze", "freeze before an answer"}

#: The counters that say how an event left the journal, each one of them.
WAYS_OUT = (
    "settled",
    "settled_by_history",
    "refused",
    "conflict",
    "too_large",
    "parked_uncertain",
    "expired",
    "expired_uncertain",
    "collapsed",
)


@dataclass
class Oracle:
    """Watches one world. ``excuse_s``: for how long its troubles may keep the workers from the server."""

    plan: Plan
    policy: Policy
    journal: JournalModel
    server: SimulatedServer
    excuse_s: float = field(init=False)
    order: dict[int, int] = field(default_factory=dict)  # event -> its place among the appends
    channels: dict[int, str] = field(default_factory=dict)
    #: The last event of a channel and collapse key, by the order of the appends.
    last_of_key: dict[tuple[str, str], int] = field(default_factory=dict)
    keys: dict[int, tuple[str, str]] = field(default_factory=dict)  # event -> channel and collapse key
    delivered: Counter[int] = field(default_factory=Counter)
    latest: dict[str, int] = field(default_factory=dict)  # channel -> the place of the last event it saw
    posted: set[int] = field(default_factory=set)
    ghosts: set[int] = field(default_factory=set)
    lost_by_redis: set[int] = field(default_factory=set)
    has_rolled_back: bool = False
    late: set[int] = field(default_factory=set)
    due_ms: dict[int, int] = field(default_factory=dict)  # of scheduled events, in the order of their calls
    cancelled: dict[int, float] = field(default_factory=dict)  # scheduled event -> when it was taken back
    #: Channel -> the due time of the scheduled event that was stored last, and its place among the calls.
    last_due: dict[str, tuple[int, int]] = field(default_factory=dict)
    places: int = 0
    #: Why what was delivered twice was.
    causes: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    copies: int = 0  # that a full memory let through
    was_found_full: bool = False
    first_sends: int = 0
    rests_from: float = 0.0
    rests_until: float = 0.0

    def __post_init__(self) -> None:
        spans = [one.span_s + SLOW_RECOVERY.get(one.kind, RECOVERY_S) for one in self.plan.accidents]
        events = sum(len(numbers) for _, numbers in self.plan.events) + len(self.plan.scheduled)
        rate = events / self.plan.max_rate if self.plan.max_rate else 0.0
        self.excuse_s = sum(spans) + sum(map(self._excuse_s, self.plan.faults)) + rate

    def _excuse_s(self, fault: Fault) -> float:
        timeout = self.policy.delivery_timeout_s + RECOVERY_S
        if fault.kind == "slow":
            return timeout + PACES_S[fault.at % len(PACES_S)] * self.plan.batch_max
        return timeout if fault.kind in ("request lost", "wanders") else RECOVERY_S

    @property
    def may_be_late(self) -> bool:
        """Whether the troubles can have lasted until the server forgot, or it forgot by itself."""
        if (self.plan.asks and self.server.forgot_at >= 0.0) or self.was_found_full:
            return True
        margin = self.policy.delivery_timeout_s + 5.0 if self.policy.on_uncertain == "park" else 0.0
        return self.excuse_s > self.policy.window_s - margin - 30.0

    def appended(self, item: ModelItem) -> None:
        self.order[item.number] = self.places
        self.places += 1
        self.channels[item.number] = item.channel
        if item.collapse:
            self.keys[item.number] = item.channel, item.collapse
            self.last_of_key[item.channel, item.collapse] = item.number

    # -- scheduled events -------------------------------------------------------------------------------

    def is_cancelled(self, number: int) -> bool:
        return number in self.cancelled

    def scheduled(self, item: ModelItem, due_ms: int) -> None:
        """The answer to a call; a repeat changes nothing."""
        self.due_ms.setdefault(item.number, due_ms)
        self.channels[item.number] = item.channel

    def cancels(self, number: int, answer: str, now: float) -> None:
        """The answer to an operator: it is taken back, or it is too late."""
        if answer == "taken":
            if number in self.order and not self.has_rolled_back:
                raise Broken(f"event {number} is stored, and was taken back")
            self.cancelled[number] = now

    def stores(self, item: ModelItem, began: float, now_ms: int) -> None:
        """A worker appends a due event; it has sent the command at ``began``, and no check can be later than that."""
        number, due_ms = item.number, self.due_ms[item.number]
        if now_ms < due_ms:
            raise Broken(f"event {number} is stored {due_ms - now_ms} ms before it is due")
        if self.cancelled.get(number, math.inf) <= began and not self.has_rolled_back:
            raise Broken(f"event {number} was cancelled, and is stored")
        if number in self.order and not self.has_rolled_back:
            raise Broken(f"event {number} is stored twice")
        place = due_ms, list(self.due_ms).index(number)
        if place < self.last_due.get(item.channel, (-1, -1)) and not self.has_rolled_back:
            raise Broken(f"event {number} is stored after one of its channel that was due, or called, later")
        self.last_due[item.channel] = place
        self.lost_by_redis.discard(number)
        self.appended(item)

    def check_scheduled(self, parked: set[int]) -> None:
        """Each was stored, or taken back, or is parked because its key was used for another event."""
        foreign = {number for number in self.due_ms if self._scheduled_plan(number).is_foreign}
        for number in self.due_ms:
            ways = [number in self.order, number in self.cancelled, number in parked]
            if not any(ways) and number not in self.lost_by_redis:
                raise Broken(f"scheduled event {number} is lost")
            if sum(ways) > 1 and not (self.has_rolled_back or self.plan.kinds() & FREEZES):
                raise Broken(f"scheduled event {number} left the schedule in two ways")
        if not parked <= foreign:
            raise Broken(f"events {parked - foreign} are parked, and their keys are their own")

    def _scheduled_plan(self, number: int) -> Scheduled:
        return self.plan.scheduled[number - sum(len(numbers) for _, numbers in self.plan.events)]

    # -- at each step -----------------------------------------------------------------------------------

    def sends(self, face: Face, items: list[ModelItem], now: float) -> None:
        """A request begins."""
        holder, taken = face.holder, face.taken
        assert holder is not None
        assert taken is not None
        batch = taken.batch
        assert batch is not None
        is_safe = not self.plan.kinds() & MAY_BE_MARKED
        if batch.resent and items[0].number not in self.posted and is_safe:
            raise Broken(f"event {items[0].number} counts as sent before, and never was")
        if taken.shared.operator_pause and not batch.resent:
            raise Broken("a first send begins in a pause that an operator has ordered")
        if not batch.resent:
            self._spends(len(items), now)
        elif taken.now_ms - batch.first_ms > self.policy.window_s * 1000:
            for item in items:
                if 0 < item.expires_ms <= taken.now_ms:
                    raise Broken(f"event {item.number} is uncertain and has expired, and is sent again")
        if batch.resent and self.policy.on_uncertain == "park" and taken.shared.forgets_until_ms > taken.now_ms:
            raise Broken("what may be out is sent again to a server that does not remember")
        if any(face.found.get(item.number) for item in items):
            raise Broken("what is in history is sent again")
        self.posted.update(item.number for item in items)
        if taken.now_ms / 1000 > self.rests_from and now < self.rests_until and is_safe:
            raise Broken("a request begins while the server has asked for a rest")
        if self.has_rolled_back:
            return
        token = holder.lease.token
        if self.journal.holder_of(holder.keys.lane, holder.keys.channel) != token:
            raise Broken("a request begins under a lease that has run out")
        if taken.shared.pause and not self.journal.probes(token):
            raise Broken("a request begins in a pause, and not by its prober")

    def _spends(self, count: int, now: float) -> None:
        """First sends, under a rate: never more than the bucket has given."""
        self.first_sends += count
        rate = self.plan.max_rate
        if rate and self.first_sends > burst(rate) + rate * now + 1 and not self.has_rolled_back:
            raise Broken(f"{self.first_sends} events are sent in {now:.1f} s at a rate of {rate}")

    def asked_for_rest(self, now: float) -> None:
        """The server's answer: not for a second. It takes a moment until all know."""
        self.rests_from, self.rests_until = now + 0.1, now + 0.95

    def delivers(self, item: ModelItem, request: Request, now: float) -> str:
        """Subscribers see an event; answers why, if not for the first time."""
        number = item.number
        self.delivered[number] += 1
        if self.delivered[number] > 1:
            cause = self._cause(number, request, now)
            if not cause:
                raise Broken(f"event {number} is delivered twice, and nothing excuses it")
            self.causes[cause] += 1
            return cause
        place = self.order[number]
        if place < self.latest.get(item.channel, -1):
            given_up = {buried.number for lane in self.journal.lanes for buried in lane.given_up}
            if number not in given_up and not self.has_rolled_back:
                raise Broken(f"event {number} of channel {item.channel} is delivered after a later one")
        else:
            self.latest[item.channel] = place
        return ""

    def _cause(self, number: int, request: Request, now: float) -> str:
        if number in self.server.forgot and not self._should_have_asked(number, request, now):
            return "the server forgot it before its time"
        if self.has_rolled_back:
            return "Redis lost when it was first sent"
        if request.arrives_late:
            return "a request arrived long after it had begun"
        if request.pace_s:
            return "the server took longer than it remembers"
        if self.policy.on_uncertain == "resend":
            if number in self.ghosts:
                return "its claim outlived the request that published it"
            if request.age_s > self.policy.window_s and self.may_be_late:
                self.late.add(number)
                return "the window was over"
            if request.age_s + now - request.sent_at > self.server.ttl_s and self.may_be_late:
                self.late.add(number)
                return "the window ended during the request"
        return ""

    def _should_have_asked(self, number: int, request: Request, now: float) -> bool:
        """Whether canaries had to tell that there was no room for it: under `park` it is not sent again then."""
        if not self.plan.checks or number not in self.server.never_known or request.arrives_late or request.pace_s:
            return False
        if self.policy.on_uncertain == "resend":
            self.copies += 1  # counted, see check
            return False
        # A check of the last seconds counts, and one counts for a whole search.
        is_trusted = self.journal.checked_ms > 0 and now * 1000 - self.journal.checked_ms <= TRUSTED_MS
        return self.server.is_full and not (is_trusted or self.has_rolled_back)

    # -- at the end -------------------------------------------------------------------------------------

    def check(self, requests: int) -> None:
        """Everything is at rest: nothing lost, nothing left, culprits buried once and alone, all counted."""
        if requests > self._most_requests():
            raise Broken(f"{requests} requests where {self._most_requests():.0f} are enough")
        parked = {int(name) for name in self.journal.schedule.names()}
        self.check_scheduled(parked)
        letters = [(item.number, letter) for lane in self.journal.lanes for item, letter in lane.letters]
        counts: Counter[str] = Counter()
        for lane in self.journal.lanes:
            counts.update(lane.counts)
            if lane.queue.depth != 0 or lane.queue.marker is not None:
                raise Broken(f"an empty lane has depth {lane.queue.depth}, marker {lane.queue.marker}")
            if lane.queue.is_armed and not self.plan.kinds() & MAY_BE_MARKED:
                raise Broken("an empty lane is armed: the next event would not ring")
            for item in lane.was_held:
                if item.number not in self.server.stuck:
                    raise Broken(f"event {item.number} was held, and is not stuck")
        expiring = dict(self.plan.expires_s)
        buried = Counter(number for number, _ in letters)
        for number, letter in letters:
            allowed = {
                "refused": number in self.plan.poison,
                "conflict": number in self.plan.foreign,
                "expired": number in expiring,
                "uncertain": self.policy.on_uncertain == "park" and self._may_be_uncertain(number),
            }
            if not allowed.get(letter.reason, False):
                raise Broken(f"event {number} is a dead letter: {letter.reason}")
            if buried[number] > 1 and not self.has_rolled_back:
                raise Broken(f"event {number} is a dead letter {buried[number]} times")
        missing = [n for n in self.order if n not in self.delivered and n not in buried and n not in self.lost_by_redis]
        excused = counts["expired"] + counts["expired_uncertain"] + counts["collapsed"]
        lost = [number for number in missing if number not in expiring and not self.is_replaced(number)]
        if lost or len(missing) > excused:
            raise Broken(f"events {lost or missing} are lost")
        for item in [item for lane in self.journal.lanes for item in lane.obsolete]:
            if not self.is_replaced(item.number):
                raise Broken(f"event {item.number} was dropped, and no later one of its collapse key came")
            if item.number in self.delivered and not self.has_rolled_back:
                raise Broken(f"event {item.number} was dropped as obsolete after it was sent")
        if counts["expired_uncertain"] and not all(self._may_be_uncertain(number) for number in expiring):
            raise Broken("an event that expired was called uncertain")
        left = sum(counts[how] for how in WAYS_OUT)
        if left != len(self.order) and not self.has_rolled_back:
            raise Broken(f"{len(self.order)} events came, {left} left: {dict(counts)}")
        if counts["resent_after_window"] < len(self.late) and not self.has_rolled_back:
            raise Broken(f"{len(self.late)} events came again after the window, {dict(counts)}")
        is_trusted = self.journal.checked_ms > 0
        if counts["resent_after_window"] < self.copies and not (is_trusted or self.has_rolled_back):
            raise Broken(f"{self.copies} events came again that found no room, {dict(counts)}")
        if counts["resent_after_window"] and not (self.may_be_late or self.orphans):
            raise Broken("something was resent after the window, though nothing kept it")

    def is_replaced(self, number: int) -> bool:
        """Whether a later event of its channel and collapse key was accepted."""
        key = self.keys.get(number)
        return key is not None and self.order[self.last_of_key[key]] > self.order[number]

    def _most_requests(self) -> float:
        """How many a world without troubles needs: its batches, a binary search for each culprit, doubling after it."""
        plan = self.plan
        if plan.faults or plan.accidents or plan.max_items is not None or plan.capacity is not None or plan.max_rate:
            return math.inf
        sizes = [len(numbers) for _, numbers in plan.events]
        batches = sum(math.ceil(size / plan.batch_max) + plan.lanes for size in sizes) + len(plan.scheduled)
        largest = min(plan.batch_max, sum(sizes) + len(plan.scheduled))
        culprits = len(plan.poison) + len(plan.foreign)
        # A search, and the batches that double after it.
        return batches + culprits * (2 * math.ceil(math.log2(largest)) + 3)

    def _may_be_uncertain(self, number: int) -> bool:
        """Whether an attempt may have carried it, and troubles can have lasted long enough."""
        might_be_sent = number in self.posted or self.plan.kinds() & MAY_BE_MARKED
        return bool(might_be_sent) and (self.may_be_late or self.orphans > 0)

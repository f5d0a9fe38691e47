"""The journal in memory: what its Lua scripts do to a lane, one call one step. ``lane`` has what it consists of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sockudo_publisher.journal.app.operator import OperatorPause
from sockudo_publisher.journal.app.rate import Grant, burst
from sockudo_publisher.journal.app.shared import AppPause, Limits, SharedView
from sockudo_publisher.journal.holder import SWEEP_GAP_MS, UNHEARD_RINGS, DeadLetterFields
from sockudo_publisher.journal.lease import TTL_MS
from tests.simulation.lane import Broken, Entry, Lane, Marker, ModelBatch, ModelItem, Queue
from tests.simulation.schedule import ScheduleModel

__all__ = ["JournalModel"]

#: What a disk would have of the schedule.
SCHEDULE_KEPT = ("buckets", "stored", "owner", "owned_until_ms", "turns")


@dataclass
class JournalModel:
    """All that Redis holds for one app. ``now_s``: its clock."""

    now_s: Callable[[], float]
    lane_count: int = 1
    on_expired: str = "drop"
    most_letters: int = 0
    lanes: list[Lane] = field(default_factory=list)
    pause: AppPause | None = None
    operator_pause: OperatorPause | None = None
    prober: str = ""
    probe_until_ms: float = -1.0
    limits: Limits = field(default_factory=Limits)
    forgets_until_ms: int = 0
    checked_ms: int = 0
    tokens: float | None = None
    tokens_at_s: float = 0.0
    owners: int = 0
    positions: int = 0
    schedule: ScheduleModel = field(init=False)

    def __post_init__(self) -> None:
        self.lanes = [Lane() for _ in range(self.lane_count)]
        self.schedule = ScheduleModel(self.now_s)

    def now_ms(self) -> int:
        """Redis' time."""
        return int(self.now_s() * 1000)

    def snapshot(self) -> dict[str, Any]:
        """What a disk would have."""
        kept = (
            "lanes",
            "pause",
            "operator_pause",
            "prober",
            "probe_until_ms",
            "limits",
            "forgets_until_ms",
            "checked_ms",
        )
        kept += ("tokens", "tokens_at_s")
        schedule = {name: getattr(self.schedule, name) for name in SCHEDULE_KEPT}
        return deepcopy({**{name: getattr(self, name) for name in kept}, "schedule": schedule})

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Begin again from what the disk had."""
        kept = deepcopy(snapshot)
        for name, value in kept.pop("schedule").items():
            setattr(self.schedule, name, value)
        for name, value in kept.items():
            setattr(self, name, value)

    def queue(self, lane: int, channel: str | None) -> Queue:
        """A queue; one that is not there is empty, and what is written to it is lost with it."""
        if channel is None:
            return self.lanes[lane].queue
        return self.lanes[lane].held.get(channel) or Queue()

    def holder_of(self, lane: int, channel: str | None) -> str:
        """The token of the lease in force, or ''."""
        if channel is None:
            queue = self.lanes[lane].queue
            return queue.token if queue.leased_until_ms > self.now_s() * 1000 else ""
        token, until = self.lanes[lane].leases.get(channel, ("", -1.0))
        return token if until > self.now_s() * 1000 else ""

    def lease(self, lane: int, channel: str | None, token: str) -> None:
        """Give or prolong it; '' ends it."""
        until = self.now_s() * 1000 + TTL_MS if token else -1.0
        if channel is None:
            queue = self.lanes[lane].queue
            queue.token, queue.leased_until_ms = token, until
        else:
            self.lanes[lane].leases[channel] = (token, until)

    # -- the scripts, by their names --------------------------------------------------------------------

    def fitting(self, lane: int, items: Sequence[ModelItem], most: int, *, skips: bool) -> Sequence[ModelItem]:
        """Those of a call that a lane of at most ``most`` items (0: any number) takes: all, none, or the first."""
        room = most - self.lanes[lane].queue.depth if most else len(items)
        return items[: max(room, 0)] if skips or room >= len(items) else ()

    def append(self, lane: int, items: Iterable[ModelItem]) -> bool:
        """Whether the lane must be rung."""
        place = self.lanes[lane]
        queue = place.queue
        for item in items:
            self.positions += 1
            place.turns += 1
            queue.entries.append(Entry(self.positions, item, turn=place.turns))
            queue.depth += 1
            if item.collapse:
                place.latest[item.channel, item.collapse] = place.turns
        rested = not queue.is_armed
        queue.is_armed = True
        return rested

    def acquire(self, lane: int, channel: str | None) -> str | None:
        if self.holder_of(lane, channel):
            return None
        if channel is not None and channel not in self.lanes[lane].due_ms:
            return None
        queue = self.queue(lane, channel)
        queue.fence += 1
        self.owners += 1
        token = f"{queue.fence}-{self.owners}"
        self.lease(lane, channel, token)
        self.lanes[lane].queue.unanswered = 0
        return token

    def renew(self, lane: int, channel: str | None, token: str) -> bool:
        if self.holder_of(lane, channel) != token:
            return False
        self.lease(lane, channel, token)
        return True

    def release(self, lane: int, channel: str | None, token: str, hand_over: bool) -> bool | None:
        """``None``: lost; ``False``: kept, there are entries."""
        if self.holder_of(lane, channel) != token:
            return None
        queue = self.queue(lane, channel)
        if queue.entries:
            if not hand_over:
                self.lease(lane, channel, token)
                return False
        else:
            queue.is_armed = False
        self.lease(lane, channel, "")
        return True

    def take(
        self, lane: int, channel: str | None, token: str, held: set[str], max_items: int, max_bytes: int
    ) -> ModelBatch | str | None:
        """A batch; ``None``: nothing there; "again": only what has left so far; "lost"."""
        if self.holder_of(lane, channel) != token:
            return "lost"
        self.lease(lane, channel, token)
        now = self.now_ms()
        place, queue = self.lanes[lane], self.queue(lane, channel)
        marker, depth = queue.marker, queue.depth
        waiting = {name for name in held if name in place.due_ms}
        taken: list[Entry] = []
        left: set[int] = set()
        size, clock, all_marked = 0, None, False
        for entry in queue.entries:
            if marker is not None and entry.position > marker.end:
                all_marked = True
                break
            item = entry.item
            if taken and entry.clock != clock:
                break
            if not taken:
                clock = entry.clock
            if len(taken) >= max_items:
                break
            key = (item.channel, item.collapse)
            newest = place.latest.get(key) if item.collapse and marker is None and clock is None else None
            if newest is not None and entry.turn < newest:
                place.obsolete.append(item)
                place.count("collapsed")
                left.add(entry.position)
            elif item.channel in waiting:
                self.positions += 1
                behind = Entry(self.positions, item, marker.first_ms if marker else None, entry.turn)
                place.held[item.channel].entries.append(behind)
                place.held[item.channel].depth += 1
                left.add(entry.position)
            elif marker is None and clock is None and 0 < item.expires_ms <= now:
                place.count("expired")
                if self.on_expired == "dead":
                    place.die(item, DeadLetterFields("expired"), self.most_letters)
                if newest == entry.turn:
                    del place.latest[key]
                left.add(entry.position)
            else:
                if taken and size + len(item.body) > max_bytes:
                    break
                if newest == entry.turn:
                    del place.latest[key]
                taken.append(entry)
                size += len(item.body) + 1
        else:
            all_marked = True
        if left:
            queue.entries = [entry for entry in queue.entries if entry.position not in left]
            queue.depth -= len(left)
        if taken:
            resent = marker is not None or clock is not None
            if marker is None:
                marker = queue.marker = Marker(now if clock is None else clock, taken[-1].position)
            elif left:
                marker = queue.marker = marker.moved()
            return ModelBatch(taken, marker, now, resent, depth)
        if left or (marker is not None and all_marked):
            if all_marked:
                queue.marker = None
            self._end_if_empty(lane, channel, queue)
            return "again"
        return None

    def settle(
        self,
        lane: int,
        channel: str | None,
        token: str,
        batch: ModelBatch,
        counter: str = "settled",
        *,
        late: bool = False,
    ) -> str:
        """ "done", "lost" or "mismatch"."""
        refusal = self._refusal(lane, channel, token, batch)
        if refusal:
            return refusal
        queue = self.queue(lane, channel)
        end = batch.entries[-1].position
        if not queue.entries or queue.entries[0].position != batch.entries[0].position:
            raise Broken("a batch is settled that is not the head of its queue")
        self._advance(queue, end)
        queue.depth -= batch.count
        self.lanes[lane].count(counter, batch.count)
        if late:
            self.lanes[lane].count("resent_after_window", batch.count)
        self._end_if_empty(lane, channel, queue)
        return "done"

    def hold(self, lane: int, token: str, batch: ModelBatch, retry_in_ms: int) -> str:
        refusal = self._refusal(lane, None, token, batch)
        if refusal:
            return refusal
        place, item = self.lanes[lane], batch.first_item
        self.positions += 1
        place.was_held.append(item)
        queue = place.held.setdefault(item.channel, Queue())
        queue.entries.append(Entry(self.positions, item, batch.marker.first_ms))
        queue.depth += 1
        place.due_ms[item.channel] = self.now_ms() + retry_in_ms
        self._advance(place.queue, batch.entries[0].position)
        place.queue.depth -= 1
        place.count("stuck")
        self._end_if_empty(lane, None, place.queue)
        return "done"

    def bury(
        self, lane: int, channel: str | None, token: str, batch: ModelBatch, letter: DeadLetterFields, keep: bool
    ) -> str:
        refusal = self._refusal(lane, channel, token, batch)
        if refusal:
            return refusal
        queue = self.queue(lane, channel)
        self.lanes[lane].given_up.append(batch.first_item)
        if keep:
            self.lanes[lane].die(batch.first_item, letter, self.most_letters)
        self._advance(queue, batch.entries[0].position)
        queue.depth -= 1
        self.lanes[lane].count(letter.counter)
        self._end_if_empty(lane, channel, queue)
        return "done"

    def unmark(self, lane: int, channel: str | None, token: str, batch: ModelBatch) -> str:
        if self.holder_of(lane, channel) != token:
            return "lost"
        queue = self.queue(lane, channel)
        if queue.marker != batch.marker:
            return "mismatch"
        queue.marker = None
        return "done"

    def _refusal(self, lane: int, channel: str | None, token: str, batch: ModelBatch) -> str:
        if self.holder_of(lane, channel) != token:
            return "lost"
        if self.queue(lane, channel).marker != batch.marker:
            return "mismatch"
        self.lease(lane, channel, token)
        return ""

    def _advance(self, queue: Queue, end: int) -> None:
        queue.entries = [entry for entry in queue.entries if entry.position > end]
        if queue.marker is not None:
            is_all = not queue.entries or queue.entries[0].position > queue.marker.end
            queue.marker = None if is_all else queue.marker.moved()

    def _end_if_empty(self, lane: int, channel: str | None, queue: Queue) -> None:
        if queue.entries:
            return
        if channel is None:
            queue.depth = 0
            return
        self.lanes[lane].held.pop(channel, None)
        self.lanes[lane].due_ms.pop(channel, None)

    def is_marked(self, lane: int) -> bool:
        return self.lanes[lane].queue.marker is not None

    def sweep(self, lane: int, *, is_counted: bool = True, only_marked: bool = False) -> tuple[bool, list[str]]:
        """Whether to ring the lane, and the held channels that are due."""
        ring, due = self._due(lane, only_marked=only_marked)
        if is_counted and (ring or due):
            queue = self.lanes[lane].queue
            queue.unanswered += 1
            if queue.unanswered >= UNHEARD_RINGS:
                queue.unheard_ms = self.now_ms()
        return ring, due

    def _due(self, lane: int, *, only_marked: bool) -> tuple[bool, list[str]]:
        now, place = self.now_ms(), self.lanes[lane]
        queue = place.queue
        if not queue.entries and not place.due_ms:
            place.latest.clear()
        if not queue.entries and not self.holder_of(lane, None):
            queue.is_armed = False
        ring = bool(queue.entries) and not self.holder_of(lane, None) and now - queue.rung_ms >= SWEEP_GAP_MS
        ring = ring and (queue.marker is not None or not only_marked)
        if ring:
            queue.rung_ms, queue.is_armed = now, True
        if not place.due_ms:
            return ring, []
        due = sorted((at, channel) for channel, at in place.due_ms.items() if at <= now)
        for _, channel in due:
            place.due_ms[channel] = now + SWEEP_GAP_MS
        return ring, [channel for _, channel in due]

    def view(self) -> SharedView:
        return SharedView(
            self.pause, self.limits, self.forgets_until_ms, self.checked_ms, operator_pause=self.operator_pause
        )

    def pause_by_operator(self) -> None:
        since_ms = self.operator_pause.since_ms if self.operator_pause else self.now_ms()
        self.operator_pause = OperatorPause("maintenance", "ana", since_ms)

    def resume_by_operator(self) -> bool:
        was_paused = self.pause is not None or self.operator_pause is not None
        self.prober, self.probe_until_ms = "", -1.0
        self.pause = self.operator_pause = None
        return was_paused

    def pause_app(self, reason: str, wait_ms: int, text: str) -> int:
        now = self.now_ms()
        before = self.pause
        since, ends, count = (before.since_ms, before.until_ms, before.count) if before else (now, 0, 0)
        self.pause = AppPause(reason, text, since, max(now + wait_ms, ends), count + 1)
        return count + 1

    def probes(self, token: str) -> bool:
        """Whether this is the prober, and its right has not run out."""
        return self.prober == token and self.probe_until_ms > self.now_s() * 1000

    def try_probe(self, token: str) -> bool:
        now = self.now_s() * 1000
        if self.probe_until_ms > now and self.prober != token:
            return False
        self.prober, self.probe_until_ms = token, now + TTL_MS
        return True

    def renew_probe(self, token: str) -> None:
        if self.probes(token):
            self.probe_until_ms = self.now_s() * 1000 + TTL_MS

    def end_probe(self, token: str) -> None:
        if self.prober == token:
            self.prober, self.probe_until_ms = "", -1.0

    def resume(self, token: str, count: int) -> bool:
        if not self.probes(token):
            return False
        self.end_probe(token)
        if self.pause is None or self.pause.count != count:
            return False
        self.pause = None
        return True

    def learn(self, limits: Limits) -> None:
        def smaller(new: int | None, old: int | None) -> int | None:
            return old if new is None else min(new, old or new)

        self.limits = Limits(smaller(limits.events, self.limits.events), smaller(limits.bytes, self.limits.bytes))

    def take_tokens(self, per_s: float, wanted: int) -> Grant:
        now, most = self.now_s(), burst(per_s)
        tokens = float(most)
        if self.tokens is not None:
            tokens = min(most, self.tokens + max(0.0, now - self.tokens_at_s) * per_s)
        granted = min(wanted, math.floor(tokens))
        self.tokens, self.tokens_at_s = tokens - granted, now
        if granted == wanted:
            return Grant(granted, 0.0)
        enough = max(1, min(wanted - granted, most // 2))
        return Grant(granted, math.ceil((enough - self.tokens) * 1000 / per_s) / 1000)

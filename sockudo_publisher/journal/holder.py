"""The journal for those who drain it: acquire, take, settle, hold, bury, release. One object per app and process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import JournalUnavailable, JournalUnreadable
from ..redaction import package_logger
from ..telemetry.ages import Ages, weigh_ages
from ..telemetry.observer import NOTHING, Observer
from .app.rate import Rate
from .app.shared import Shared, SharedView, read_view
from .batch import Batch, Position, read_batch
from .dead_letters import DeadBounds
from .keys import QueueKeys
from .layout.layout import Layout, LayoutRecord, Phase
from .lease import TTL_MS, Lease, LeaseKeeper, LeaseLost, new_owner
from .pack import Item
from .redis.link import WORKER_TIMEOUT_S, Command, RedisLink, checked, evalsha, read_scores
from .redis.scripts import Answer
from .unreadable import UNREADABLE_STATE, as_count, decode_names, wrong_keys

__all__ = ["DeadLetterFields", "Holder", "Journal", "MarkerChanged", "Taken"]

logger = package_logger("sockudo_publisher.journal")

#: AGAIN answers of take in a row, each of which moves up to 1,000 held items, before the caller gets control back.
MAX_AGAIN = 1000

#: ms between two rings of one lane by the sweep: long enough for a doorbell to be answered.
SWEEP_GAP_MS = 2000

#: Rings of the sweep after which a lane that no worker has leased is unheard: its doorbells reach no worker.
UNHEARD_RINGS = 3


#: Dead letters of a lane that one call of the sweep looks at: some milliseconds of Redis' time.
MAX_TRIMMED = 1000


_NO_BOUNDS = DeadBounds()


#: ms that a lane rests after an error of its drain: after the first error, doubled with each in a row, and at most.
FIRST_REST_MS = 2000
LONGEST_REST_MS = 60_000

#: Characters of an error that are kept.
MAX_KIND = 500

# A lane is rung again before a dead holder's lease ends, so the first ring after that is not late. A failed drain rests
# at least until the next ring, and never longer than sweep.lua believes (MAX_REST_MS).
assert SWEEP_GAP_MS < TTL_MS
assert SWEEP_GAP_MS <= FIRST_REST_MS < LONGEST_REST_MS

#: Seconds between two log lines about the same unreadable lane.
LOG_AGAIN_S = 60.0


class MarkerChanged(Exception):
    """Redis does not hold the marker that was taken (a failover lost it): take again."""


@dataclass(frozen=True)
class DeadLetterFields:
    """The fields of a dead letter beside its item.

    ``message``: the error text of the server; ``first_ms``: Redis' time of the first attempt, 0: never sent.
    """

    reason: str
    message: str = ""
    attempts: int = 0
    first_ms: int = 0
    maybe_delivered: bool = False

    @property
    def counter(self) -> str:
        """Where it is counted: by its reason, but what the policy `park` parks under that policy's name."""
        return "parked_uncertain" if self.reason == "uncertain" else self.reason


@dataclass(frozen=True)
class Taken:
    """The answer of a take: the batch at the head (``None``: nothing to send), and what the app's workers share.

    ``now_ms``: Redis' time; ``unknown_version``: of the first entry, if a newer release wrote it.
    """

    batch: Batch | None
    shared: SharedView
    now_ms: int
    unknown_version: str | None = None


@dataclass
class Holder:
    """A leased queue: a lane, or the held items of one channel."""

    keys: QueueKeys
    lease: Lease
    held: set[str] = field(default_factory=set)  # channels that this lane holds, since the lease began
    is_failing: bool = False  # the drain before ended in an error, and none has succeeded since

    @property
    def channel(self) -> str | None:
        """The channel of a held queue; ``None`` for a lane."""
        return self.keys.channel


class Journal:
    """The queues of one app, for those who drain them.

    ``on_expired``: ``drop`` or ``dead``, for an item that expires before its first attempt; ``max_rate``: events per
    second to the app over all workers, 0 = no limit; ``key_ttl_ms``: how long the ledger keeps a key, and the layout
    record the lanes it was stored in; ``dead``: limits of a lane's dead letters; ``batch_max_events``: the most items
    that an earlier batch can have held; ``observer``: counts what leaves the queues.
    """

    def __init__(
        self,
        redis_url: str,
        app: str,
        *,
        lanes: int,
        on_expired: str = "drop",
        max_rate: float = 0.0,
        key_ttl_ms: int = 86_400_000,
        namespace: str = "",
        dead: DeadBounds = _NO_BOUNDS,
        batch_max_events: int = 500,
        observer: Observer = NOTHING,
    ) -> None:
        self.app = app
        self.observer = observer
        self.link = RedisLink(redis_url, timeout_s=WORKER_TIMEOUT_S, namespace=namespace)
        self.shared = Shared(self.link, app)
        self.rate = Rate(self.link, app, max_rate) if max_rate else None
        self._layout = LayoutRecord(self.link, app, lanes)
        self._wanted_lanes = lanes
        self._open: frozenset[int] = frozenset()
        self._appending: frozenset[int] = frozenset()
        self._batch_max_events = batch_max_events
        self._logged_at: dict[int, float] = {}
        self._key_ttl_ms = key_ttl_ms
        self._on_expired = on_expired
        self._dead = dead
        self._keeper = LeaseKeeper(self.link)

    def lanes(self) -> tuple[int, ...]:
        """The lanes that may be drained now."""
        return self._remember(self._layout.read()).drainable

    def ask_for_lanes(self) -> bool:
        """Begin a change to the number of lanes in the settings, if it is another; ``False``: call again later."""
        return self._layout.ask_for(self._wanted_lanes)

    def advance_layout(self) -> tuple[int, ...]:
        """Continue a change of the number of lanes; answers the lanes that may be drained now."""
        layout = self._remember(self._layout.advanced())
        if layout.phase is Phase.STEADY and layout.retired:
            self._layout.forget_oldest(self.now_ms() - self._key_ttl_ms)
        return layout.drainable

    def appending_lanes(self) -> tuple[int, ...]:
        """The lanes to which events are appended and that may be drained, as of the last look at the layout."""
        return tuple(sorted(self._open & self._appending))

    def _is_open(self, lane: int) -> bool:
        """Whether the lane exists and may be drained: lanes of earlier layouts must be empty first."""
        if lane not in self._open:
            self._remember(self._layout.read())
        return lane in self._open

    def _remember(self, layout: Layout) -> Layout:
        # The newest layout counts, even with fewer open lanes than before (after a failover, in an emptied Redis).
        self._open = frozenset(layout.drainable)
        self._appending = frozenset(layout.appending.lanes)
        return layout

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self.link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    # -- the lease ----------------------------------------------------------------------------------

    def acquire(self, lane: int, channel: str | None = None) -> Holder | None:
        """Take the lease of a lane, or of one held channel of it.

        ``None``: another worker has it, the channel is not held any more, the lanes of an earlier layout are drained
        first, or there is no such lane.
        """
        if not self._is_open(lane):
            return None
        keys, command = self._acquire_command(lane, channel)
        asked_at = time.monotonic()
        return self._holder(keys, self.link.call(*command), asked_at)

    def acquire_and_view(self, lane: int, channel: str | None = None) -> tuple[Holder | None, SharedView]:
        """As :meth:`acquire`, with what the app's workers share, read in the same round trip just before."""
        if not self._is_open(lane):
            return None, self.shared.view()
        keys, command = self._acquire_command(lane, channel)
        asked_at = time.monotonic()
        *shared, answer = self.link.run([*self.shared.read_commands(), command])
        view = read_view(shared)  # first: where it raises, nothing renews the lease, which runs out
        return self._holder(keys, checked(answer), asked_at), view

    def _acquire_command(self, lane: int, channel: str | None) -> tuple[QueueKeys, Command]:
        of_lane = self.link.keyspace.lane(self.app, lane)
        keys = of_lane if channel is None else self.link.keyspace.hold(self.app, lane, channel)
        args = (new_owner(), TTL_MS, channel or "")
        return keys, evalsha("acquire", (keys.lease, keys.state, keys.holds, of_lane.state, keys.stream), args)

    def _holder(self, keys: QueueKeys, answer: Any, asked_at: float) -> Holder | None:
        """The holder by the answer of ``acquire``; its lease is renewed from now on."""
        if answer[0] != Answer.DONE:
            return None
        lease = Lease(keys, answer[1].decode(), self.link, asked_at)
        self._keeper.add(lease)
        held = set(decode_names(answer[3:])) if keys.channel is None else set()
        return Holder(keys, lease, held, is_failing=answer[2] == b"1")

    def release(self, holder: Holder) -> bool:
        """Give the lease back if the queue is empty; ``False``: it has entries, and the lease is kept."""
        self._clear_failures(holder)
        return self._release(holder, hand_over=False)

    def rest(self, holder: Holder) -> None:
        """The lane is empty and its holder stays: no failure counts, and only channels that are held now are known."""
        self._clear_failures(holder)
        held = self.link.call("ZRANGE", self.link.keyspace.lane(self.app, holder.keys.lane).holds, 0, -1)
        holder.held.intersection_update(decode_names(held))

    def hand_over(self, holder: Holder) -> None:
        """Give the lease back even if the queue has entries; the caller rings it, or the sweep does."""
        self._release(holder, hand_over=True)

    def _release(self, holder: Holder, *, hand_over: bool) -> bool:
        keys = holder.keys
        answer = self.link.script(
            "release",
            (keys.lease, keys.stream, keys.state),
            (holder.lease.token, TTL_MS, "1" if hand_over else "0"),
        )
        if answer[0] == Answer.KEPT:
            return False
        self._keeper.remove(holder.lease)
        if answer[0] == Answer.LOST:
            raise LeaseLost(repr(holder.lease))
        return True

    def forget(self, holder: Holder) -> None:
        """Stop renewing the lease: it is lost, or Redis is away and it may expire."""
        self._keeper.remove(holder.lease)

    # -- take and settle ----------------------------------------------------------------------------

    def take(self, holder: Holder, *, max_items: int, max_bytes: int) -> Taken:
        """Take the next batch: the marked items, or else new items, which are then marked.

        Raises :class:`LeaseLost` or :class:`JournalUnavailable`.
        """
        return self._take(holder, (), max_items, max_bytes)[1]

    def settle_and_take(
        self, holder: Holder, batch: Batch, *, max_items: int, max_bytes: int, late: bool = False
    ) -> Taken:
        """Settle ``batch``, which the server has accepted, and take the next in the same round trip.

        ``late``: it was sent again after its window, which is counted.

        Raises :class:`LeaseLost`, :class:`MarkerChanged` (take again) or :class:`JournalUnavailable`.
        """
        settling = self._settle_command(holder, batch, late=late)
        settled, taken = self._take(holder, (settling,), max_items, max_bytes)
        _raise_unless_done(settled, holder)
        self._observe_settled(holder, batch, taken.now_ms, late=late)
        self._clear_failures(holder)
        return taken

    def settle(self, holder: Holder, batch: Batch, *, counter: str = "settled", late: bool = False) -> None:
        """Settle ``batch``, which the server has accepted. Raises as :meth:`settle_and_take`."""
        settling = self._settle_command(holder, batch, counter, late=late)
        _raise_unless_done(checked(self.link.run([settling])[0]), holder)
        if counter == "settled":
            self._observe_settled(holder, batch, None, late=late)
        else:
            self.observer.uncertain(self.app, "in_history", batch.count)
        self._clear_failures(holder)

    def _observe_settled(self, holder: Holder, batch: Batch, now_ms: int | None, *, late: bool) -> None:
        """Count a settled batch; ``now_ms``: Redis' time, ``None``: not asked for."""
        if self.observer is NOTHING:
            return
        ages: Ages | None = None
        if now_ms:
            # The id of an entry is the time of its append. Of a held item it is the time of its move, which is later
            # than its first attempt.
            stored_ms = [int(pack.entry_id.partition(b"-")[0]) for pack in batch.packs]
            if holder.channel is not None and batch.first_ms:
                stored_ms = [min(one, batch.first_ms) for one in stored_ms]
            ages = weigh_ages(now_ms, stored_ms, [pack.stop - pack.start - len(pack.skipped) for pack in batch.packs])
        self.observer.settled(self.app, batch.count, ages)
        if late:
            self.observer.uncertain(self.app, "resent", batch.count)

    def _settle_command(self, holder: Holder, batch: Batch, counter: str = "settled", *, late: bool) -> Command:
        keys, end = holder.keys, batch.end
        return evalsha(
            "settle",
            (keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.counts),
            (
                holder.lease.token,
                TTL_MS,
                batch.marker,
                end.entry_id,
                end.index,
                "1" if end.is_end else "0",
                batch.count,
                counter,
                holder.channel or "",
                "1" if late else "0",
            ),
        )

    def _take(self, holder: Holder, before: tuple[Command, ...], max_items: int, max_bytes: int) -> tuple[Any, Taken]:
        keys = holder.keys
        first_answer: Any = None
        is_repairing = False
        for _ in range(MAX_AGAIN):
            held = sorted(holder.held)
            held_keys = [name for channel in held for name in _hold_key_names(keys, channel)]
            take = evalsha(
                "take",
                (
                    *(keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.dead, keys.counts),
                    *(keys.dead_size, keys.latest, *held_keys),
                ),
                (
                    *(holder.lease.token, TTL_MS, max_items, max_bytes, self._on_expired, holder.channel or ""),
                    *(self._dead.letters, self._dead.bytes, *held),
                ),
            )
            asked_at = time.monotonic()
            answers = self.link.run([*before, *self.shared.read_commands(), take], in_order=True)
            if before:
                first_answer = checked(answers[0])
                if first_answer[0] < 0:
                    return first_answer, Taken(None, read_view(answers[1:-1]), 0)
            answer = checked(answers[-1])
            if answer[0] == Answer.LOST:
                holder.lease.lost = True
                raise LeaseLost(repr(holder.lease))
            holder.lease.trust_from(asked_at)
            view = read_view(answers[len(before) : -1])
            if view.unreadable:
                self._reset(holder, view.unreadable)
            now_ms = int(answer[1])
            if answer[0] == Answer.AGAIN:
                self._observe_left(answer[2])
                before = ()
                continue
            is_repairing = answer[0] == Answer.UNREADABLE
            if is_repairing:
                before = ()
                self._repair(holder, answer[2])
                continue
            if answer[0] == Answer.DONE:
                self._observe_left(answer[6])
                return first_answer, Taken(read_batch(answer), view, now_ms)
            version = answer[2].decode(errors="replace") if answer[0] == Answer.UNKNOWN_VERSION else None
            return first_answer, Taken(None, view, now_ms, version)
        if is_repairing:  # too many repairs in a row: the caller gets control back, and takes again
            return first_answer, Taken(None, view, now_ms)
        raise JournalUnavailable(f"take answered AGAIN {MAX_AGAIN} times in a row", stored=None)

    def _observe_left(self, left: Sequence[Any]) -> None:
        """Count what a take removed unsent: reasons and numbers, in turn."""
        for reason, number in zip(left[::2], left[1::2], strict=True):
            self.observer.left(self.app, reason.decode(), number)
            if reason == b"expired" and self._on_expired == "dead":
                self.observer.buried(self.app, "expired", number)

    # -- what cannot be read ------------------------------------------------------------------------

    def _repair(self, holder: Holder, what: bytes) -> None:
        """Repair what take cannot read at the head: quarantine an entry, or mend the head or marker."""
        if what != UNREADABLE_STATE:
            self.quarantine(holder, what)
            return
        keys = holder.keys
        args = (holder.lease.token, TTL_MS, self._batch_max_events)
        answer = self.link.script("mend", (keys.stream, keys.state, keys.lease, keys.counts), args)
        _raise_unless_done(answer, holder)
        logger.error(
            "unreadable marker or head replaced, one batch may be sent again app=%s lane=%d key=%s max_events=%d",
            *(self.app, keys.lane, keys.state, self._batch_max_events),
        )

    def quarantine(self, holder: Holder, entry_id: bytes, why: str = "the entry cannot be read") -> None:
        """Make a dead letter of an entry that cannot be read, unchanged. Raises :class:`LeaseLost`."""
        keys = holder.keys
        answer = self.link.script(
            "quarantine",
            (keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.counts, keys.dead, keys.dead_size),
            (holder.lease.token, TTL_MS, entry_id, holder.channel or "", why),
        )
        _raise_unless_done(answer, holder)
        self.observer.buried(self.app, "unreadable")
        logger.error(
            "unreadable entry moved to the dead letters app=%s lane=%d key=%s entry=%s error=%s",
            *(self.app, keys.lane, keys.stream, entry_id.decode(errors="replace"), why),
        )

    def _reset(self, holder: Holder, records: Sequence[str]) -> None:
        """Delete advisory records that cannot be read: they begin again."""
        keys = self.link.keyspace.app(self.app)
        for name in records:
            key, _, record_field = name.partition(" ")
            key = getattr(keys, key)
            logger.error("unreadable record deleted app=%s key=%s field=%s", self.app, key, record_field or "-")
            # Neither command needs memory, so a full Redis runs them too.
            self.link.call(*(("HDEL", key, record_field) if record_field else ("DEL", key)))
            self.count(holder.keys.lane, "unreadable_records")

    def record_failure(self, lane: int, channel: str | None, error: Exception) -> None:
        """Record that a drain ended in an error: it is counted, ``status`` shows it, and the queue rests."""
        lane_is, queue = self.link.keyspace.lane(self.app, lane), self.link.keyspace.lane(self.app, lane)
        if channel is not None:
            queue = self.link.keyspace.hold(self.app, lane, channel)
        wrong = wrong_keys(self.link, list(dict.fromkeys((*_key_names(queue), *_key_names(lane_is)))))
        # An error's text may contain an event.
        kind = "; ".join(wrong) or (str(error) if isinstance(error, JournalUnreadable) else type(error).__name__)
        logger.error(
            "drain failed, its queue rests app=%s lane=%d channel=%s error=%s", self.app, lane, channel or "-", kind
        )
        args = (kind[:MAX_KIND], FIRST_REST_MS, LONGEST_REST_MS, channel or "")
        with suppress(JournalUnavailable):  # a state of another type is shown by status itself
            self.link.script("fail", (queue.state, lane_is.counts, lane_is.holds), args)

    def _clear_failures(self, holder: Holder) -> None:
        """The queue has delivered, or is empty: it does not count as failing any more."""
        if holder.is_failing:
            holder.is_failing = False
            self.link.call("HDEL", holder.keys.state, "failures", "failing_since", "failure", "retry_at")

    def unmark(self, holder: Holder, batch: Batch) -> None:
        """Remove the marker of ``batch``, which was certainly never sent."""
        answer = self.link.script("unmark", (holder.keys.state, holder.keys.lease), (holder.lease.token, batch.marker))
        _raise_unless_done(answer, holder)

    # -- items that leave otherwise -----------------------------------------------------------------

    def hold(self, holder: Holder, batch: Batch, *, retry_in_s: float) -> None:
        """Hold the channel of the first item of ``batch``, which is stuck: its later items wait behind it."""
        item = batch.first_item
        keys = holder.keys
        answer = self.link.script(
            "hold",
            (
                keys.stream,
                keys.state,
                keys.lease,
                keys.gone,
                keys.holds,
                keys.counts,
                *_hold_key_names(keys, item.channel),
            ),
            (
                holder.lease.token,
                TTL_MS,
                batch.marker,
                *_position(batch.head(1).end),
                item.channel,
                item.expires_ms,
                batch.first_meta,
                item.body,
                int(retry_in_s * 1000),
            ),
        )
        _raise_unless_done(answer, holder)
        holder.held.add(item.channel)
        self.observer.held(self.app)

    def bury(self, holder: Holder, batch: Batch, letter: DeadLetterFields, *, keep: bool = True) -> None:
        """Make a dead letter of the first item of ``batch`` (``keep=False``: only count it)."""
        item = batch.first_item
        keys = holder.keys
        answer = self.link.script(
            "bury",
            (keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.counts, keys.dead, keys.dead_size),
            (
                holder.lease.token,
                TTL_MS,
                batch.marker,
                *_position(batch.head(1).end),
                holder.channel or "",
                letter.counter,
                "1" if keep else "0",
                *(self._dead.letters, self._dead.bytes),
                *_letter(letter, item),
            ),
        )
        _raise_unless_done(answer, holder)
        if letter.counter == "parked_uncertain":
            self.observer.uncertain(self.app, "parked", 1)
        elif letter.counter == "expired_uncertain":
            self.observer.uncertain(self.app, "expired", 1)
        if keep:
            self.observer.buried(self.app, letter.reason)

    def count(self, lane: int, reason: str, number: int = 1) -> None:
        """Add to a counter of the lane."""
        self.link.script("count", (self.link.keyspace.lane(self.app, lane).counts,), (reason, number))

    def retry_hold_in(self, holder: Holder, wait_s: float) -> None:
        """Set the next attempt of a held channel to ``wait_s`` from now. Raises :class:`LeaseLost`."""
        assert holder.channel is not None, "only a held channel has a time of its next attempt"
        args = (holder.lease.token, holder.channel, int(wait_s * 1000))
        _raise_unless_done(self.link.script("postpone", (holder.keys.lease, holder.keys.holds), args), holder)

    # -- waiting and looking ------------------------------------------------------------------------

    def wait_for_entry(self, holder: Holder, wait_s: float) -> bool:
        """Block until the empty queue has an entry; ``False``: none came within ``wait_s``."""
        answer = self.link.call("XREAD", "COUNT", 1, "BLOCK", int(wait_s * 1000), "STREAMS", holder.keys.stream, "0-0")
        return bool(answer)

    def is_marked(self, lane: int) -> bool:
        """Whether items of the lane may have been sent, and are not settled."""
        return bool(self.link.call("HEXISTS", self.link.keyspace.lane(self.app, lane).state, "marker"))

    def sweep(
        self, lanes: Sequence[int], *, is_counted: bool = True, only_marked: bool = False
    ) -> tuple[list[int], list[tuple[int, str]]]:
        """Find lanes whose doorbell was lost, and held channels that are due; each is answered to one caller only.

        ``is_counted``: the caller rings all of them, so rings without an answer are counted (:meth:`unheard_lanes`).
        ``only_marked``: an operator pauses the app, so lanes are found only if they have items that may be out.
        """
        commands = []
        args = (SWEEP_GAP_MS, UNHEARD_RINGS if is_counted else 0, TTL_MS, "1" if only_marked else "0")
        for lane in lanes:
            keys = self.link.keyspace.lane(self.app, lane)
            commands.append(evalsha("sweep", (keys.stream, keys.state, keys.lease, keys.holds, keys.latest), args))
        ring, due = [], []
        for lane, answer in zip(lanes, self.link.run(commands), strict=True):
            try:
                code, *channels = checked(answer)
            except JournalUnreadable as error:
                self._log_unreadable(lane, error)  # the other lanes go on
                continue
            if code == Answer.RING:
                ring.append(lane)
            due += [(lane, channel) for channel in decode_names(channels)]
        return ring, due

    def trim_dead(self, lanes: Sequence[int]) -> bool:
        """Drop dead letters beyond the limits; ``False``: there may be more, call again."""
        commands = []
        for lane in lanes:
            keys = self.link.keyspace.lane(self.app, lane)
            args = (self._dead.letters, self._dead.bytes, self._dead.age_ms, MAX_TRIMMED)
            commands.append(evalsha("trim", (keys.dead, keys.dead_size, keys.counts), args))
        is_done = True
        for lane, answer in zip(lanes, self.link.run(commands), strict=True):
            try:
                is_done = checked(answer)[0] == Answer.DONE and is_done
            except JournalUnreadable as error:
                self._log_unreadable(lane, error)  # the other lanes and the sweep go on
        return is_done

    def unheard_lanes(self, lanes: Iterable[int]) -> set[int]:
        """The lanes that no worker has leased after :data:`UNHEARD_RINGS` rings of the sweep. One round trip."""
        asked = sorted(set(lanes))
        answers = self.link.run(
            [("HGET", self.link.keyspace.lane(self.app, lane).state, "unanswered") for lane in asked]
        )
        counts = [as_count(_answer_or_zero(answer) or 0) or 0 for answer in answers]
        return {lane for lane, count in zip(asked, counts, strict=True) if count >= UNHEARD_RINGS}

    def _log_unreadable(self, lane: int, error: JournalUnreadable) -> None:
        """Log that a lane cannot be swept, at most once in :data:`LOG_AGAIN_S`."""
        now = time.monotonic()
        if now - self._logged_at.get(lane, float("-inf")) >= LOG_AGAIN_S:
            self._logged_at[lane] = now
            wrong = wrong_keys(self.link, _key_names(self.link.keyspace.lane(self.app, lane)))
            logger.error("lane cannot be swept app=%s lane=%d error=%s", self.app, lane, "; ".join(wrong) or error)

    def has_waiting_lane(self, lanes: Sequence[int]) -> bool:
        """Whether any of these lanes has entries and no holder. One round trip."""
        commands: list[Command] = []
        for lane in lanes:
            keys = self.link.keyspace.lane(self.app, lane)
            commands += [("XLEN", keys.stream), ("EXISTS", keys.lease)]
        answers = [_answer_or_zero(answer) for answer in self.link.run(commands)]
        return any(length > 0 and not leased for length, leased in zip(answers[::2], answers[1::2], strict=True))

    def has_waiting_hold(self, lanes: Sequence[int]) -> bool:
        """Whether a held channel of these lanes is due and has no holder; it may have been rung."""
        commands: list[Command] = [("TIME",)]
        commands += [("ZRANGE", self.link.keyspace.lane(self.app, lane).holds, 0, 0, "WITHSCORES") for lane in lanes]
        answers = self.link.run(commands)
        time_told, firsts = checked(answers[0]), [_answer_or_zero(answer) or [] for answer in answers[1:]]
        # The sweep that rings a hold puts it off by the gap.
        due_ms = int(time_told[0]) * 1000 + int(time_told[1]) // 1000 + SWEEP_GAP_MS
        leases: list[Command] = []
        for lane, first in zip(lanes, firsts, strict=True):
            leases += [
                ("EXISTS", self.link.keyspace.hold(self.app, lane, channel).lease)
                for channel, at_ms in read_scores(first)
                if at_ms <= due_ms
            ]
        return any(not checked(leased) for leased in (self.link.run(leases) if leases else ()))

    def lanes_with_entries(self, lanes: Sequence[int]) -> list[int]:
        """The lanes that have entries."""
        answers = self.link.run([("XLEN", self.link.keyspace.lane(self.app, lane).stream) for lane in lanes])
        return [lane for lane, length in zip(lanes, answers, strict=True) if _answer_or_zero(length) > 0]


def _key_names(keys: QueueKeys) -> list[str]:
    return [keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.dead, keys.counts, keys.latest]


def _answer_or_zero(answer: Any) -> Any:
    """The answer, or 0 if the key is of another type: that lane's drain reports it, the others go on."""
    try:
        return checked(answer)
    except JournalUnreadable:
        return 0


def _hold_key_names(keys: QueueKeys, channel: str) -> tuple[str, str]:
    hold = keys.hold(channel)
    return hold.stream, hold.state


def _position(end: Position) -> tuple[bytes, int, str]:
    return end.entry_id, end.index, "1" if end.is_end else "0"


def _letter(letter: DeadLetterFields, item: Item) -> tuple[Any, ...]:
    return (
        *("reason", letter.reason, "message", letter.message[:1000], "attempts", letter.attempts),
        *("first_ms", letter.first_ms, "maybe_delivered", int(letter.maybe_delivered)),
        *("channel", item.channel, "expiry", item.expires_ms, "item", item.body),
    )


def _raise_unless_done(answer: Any, holder: Holder) -> None:
    if answer[0] == Answer.LOST:
        holder.lease.lost = True
        raise LeaseLost(repr(holder.lease))
    if answer[0] == Answer.MISMATCH:
        raise MarkerChanged(repr(holder.lease))

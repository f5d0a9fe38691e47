"""The holder's side: take, settle, hold, bury, release. One object per app and process."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import JournalUnavailable, JournalUnreadable
from .app.rate import Rate
from .app.shared import Shared, SharedView, read_view
from .batch import Batch, Position, read_batch
from .dead_letters import DeadBounds
from .keys import QueueKeys
from .layout.layout import Layout, LayoutRecord, Phase
from .lease import TTL_MS, Lease, LeaseKeeper, LeaseLost, new_owner
from .pack import Item, pack
from .redis.link import WORKER_TIMEOUT_S, Command, RedisLink, checked, evalsha, scored
from .redis.scripts import Answer
from .unreadable import UNREADABLE_STATE, as_count, names, wrong_keys

__all__ = ["DeadLetterFields", "Holder", "Journal", "MarkerChanged", "Taken"]

logger = logging.getLogger("sockudo_publisher.journal")

#: How often take may answer AGAIN in a row (each moves up to 1,000 held items) before the loop looks up.
MAX_AGAIN = 1000

#: ms between two rings of one lane by the sweep: long enough for a doorbell to be answered.
SWEEP_GAP_MS = 2000

#: Rings of the sweep without an answer (a lease taken) after which a lane is unheard: its doorbells reach no worker.
UNHEARD_RINGS = 3


#: Dead letters of a lane that one call of the sweep looks at: some milliseconds of Redis' time.
MAX_TRIMMED = 1000


_NO_BOUNDS = DeadBounds()


#: ms that a lane rests after an error of its drain: the first, doubled with each in a row, and the longest.
FIRST_REST_MS = 2000
LONGEST_REST_MS = 60_000

#: Characters that are kept of an error.
MAX_KIND = 500

#: Seconds between two complaints about the same lane.
COMPLAIN_S = 60.0


class MarkerChanged(Exception):
    """Redis does not hold the marker that was taken (a failover lost it): take again."""


@dataclass(frozen=True)
class DeadLetterFields:
    """What a dead letter says beside its item: why, in whose words, after how many attempts."""

    reason: str
    words: str = ""
    attempts: int = 0
    first_ms: int = 0
    maybe_delivered: bool = False

    @property
    def counter(self) -> str:
        """Where it is counted: by its reason, but what the policy `park` parks under that policy's name."""
        return "parked_uncertain" if self.reason == "uncertain" else self.reason


@dataclass(frozen=True)
class Taken:
    """What the head of a queue holds (``batch`` is ``None``: nothing), and what the app's workers share."""

    batch: Batch | None
    shared: SharedView
    now_ms: int
    unknown_version: str | None = None


@dataclass
class Holder:
    """A queue with the right to drain it: a lane, or the held items of one channel."""

    keys: QueueKeys
    lease: Lease
    held: set[str] = field(default_factory=set)  # channels this lane has held since the lease began
    is_failing: bool = False  # the drain before ended in an error; not known to be over

    @property
    def channel(self) -> str | None:
        """The channel of a held queue; ``None`` for a lane."""
        return self.keys.channel


class Journal:
    """The queues of one app, for those who drain them.

    ``on_expired``: what becomes of an item whose expiry has come before it was ever sent; ``max_rate``:
    events per second to the app over all workers, 0 = no limit; ``key_ttl_ms``: how long a key is
    remembered, and with it the layout it was stored under; ``dead``: what the dead letters of a lane may take;
    ``batch_max_events``: what an earlier batch can have held.
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
    ) -> None:
        self.app = app
        self.link = RedisLink(redis_url, timeout_s=WORKER_TIMEOUT_S, namespace=namespace)
        self.shared = Shared(self.link, app)
        self.rate = Rate(self.link, app, max_rate) if max_rate else None
        self._layout = LayoutRecord(self.link, app, lanes)
        self._wanted_lanes = lanes
        self._open: frozenset[int] = frozenset()
        self._batch_max_events = batch_max_events
        self._complained: dict[int, float] = {}
        self._key_ttl_ms = key_ttl_ms
        self._on_expired = on_expired
        self._dead = dead
        self._keeper = LeaseKeeper(self.link)

    def lanes(self) -> tuple[int, ...]:
        """The lanes that may be drained now."""
        return self._seen(self._layout.read()).drainable

    def ask_for_lanes(self) -> bool:
        """Begin to change to the number of lanes that the settings want, if it is another; ``False``: ask again."""
        return self._layout.ask_for(self._wanted_lanes)

    def advance_layout(self) -> tuple[int, ...]:
        """Go on with a change of the number of lanes; the lanes that may be drained now."""
        layout = self._seen(self._layout.advanced())
        if layout.phase is Phase.STEADY and layout.retired:
            self._layout.forget_oldest(self.now_ms() - self._key_ttl_ms)
        return layout.drainable

    def _is_open(self, lane: int) -> bool:
        """Whether a lane is one, and may be drained: not before those of earlier layouts are empty."""
        if lane not in self._open:
            self._seen(self._layout.read())
        return lane in self._open

    def _seen(self, layout: Layout) -> Layout:
        # Each look counts, also one that says less than the last: after a failover, or in an emptied Redis.
        self._open = frozenset(layout.drainable)
        return layout

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self.link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    # -- the lease ----------------------------------------------------------------------------------

    def acquire(self, lane: int, channel: str | None = None) -> Holder | None:
        """The lease of a lane, or of one held channel of it.

        ``None``: somebody has it, the hold is over, an earlier layout's lanes are drained first, or there is no such
        lane.
        """
        if not self._is_open(lane):
            return None
        keys = (
            self.link.keyspace.lane(self.app, lane)
            if channel is None
            else self.link.keyspace.hold(self.app, lane, channel)
        )
        asked_at = time.monotonic()
        args = (new_owner(), TTL_MS, channel or "")
        lane_state = self.link.keyspace.lane(self.app, lane).state
        answer = self.link.script("acquire", (keys.lease, keys.state, keys.holds, lane_state, keys.stream), args)
        if answer[0] != Answer.DONE:
            return None
        lease = Lease(keys, answer[1].decode(), self.link, asked_at)
        self._keeper.add(lease)
        held = set(names(answer[3:])) if channel is None else set()
        return Holder(keys, lease, held, is_failing=answer[2] == b"1")

    def release(self, holder: Holder) -> bool:
        """Give the lease back unless there are entries; ``False``: there are, the lease is kept."""
        self._recovered(holder)
        return self._release(holder, hand_over=False)

    def hand_over(self, holder: Holder) -> None:
        """Give the lease back whatever there is; the caller rings, or the sweep will."""
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
        """Stop renewing: the lease is lost, or Redis is away and it may run out."""
        self._keeper.remove(holder.lease)

    # -- take and settle ----------------------------------------------------------------------------

    def take(self, holder: Holder, *, most_items: int, most_bytes: int) -> Taken:
        """The next batch: what the marker says, else new items, which it then says.

        Raises :class:`LeaseLost` or :class:`JournalUnavailable`.
        """
        return self._take(holder, (), most_items, most_bytes)[1]

    def settle_and_take(
        self, holder: Holder, batch: Batch, *, most_items: int, most_bytes: int, late: bool = False
    ) -> Taken:
        """``batch`` was accepted: it leaves the queue, and the next is taken in the same round trip.

        ``late``: it was sent again after its window, which is counted with it.

        Raises :class:`LeaseLost`, :class:`MarkerChanged` (take again) or :class:`JournalUnavailable`.
        """
        settling = self._settle_command(holder, batch, late=late)
        settled, taken = self._take(holder, (settling,), most_items, most_bytes)
        _raise_unless_done(settled, holder)
        self._recovered(holder)
        return taken

    def settle(self, holder: Holder, batch: Batch, *, counter: str = "settled", late: bool = False) -> None:
        """``batch`` was accepted: it leaves the queue, counted. Raises as :meth:`settle_and_take`."""
        settling = self._settle_command(holder, batch, counter, late=late)
        _raise_unless_done(checked(self.link.run([settling])[0]), holder)
        self._recovered(holder)

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

    def _take(self, holder: Holder, before: tuple[Command, ...], most_items: int, most_bytes: int) -> tuple[Any, Taken]:
        keys = holder.keys
        first_answer: Any = None
        is_repairing = False
        for _ in range(MAX_AGAIN):
            held = sorted(holder.held)
            held_keys = [name for channel in held for name in _hold_names(keys, channel)]
            take = evalsha(
                "take",
                (
                    *(keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.dead, keys.counts),
                    *(keys.dead_size, *held_keys),
                ),
                (
                    *(holder.lease.token, TTL_MS, most_items, most_bytes, self._on_expired, holder.channel or ""),
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
            holder.lease.renewed(asked_at)
            view = read_view(answers[len(before) : -1])
            if view.unreadable:
                self._reset(holder, view.unreadable)
            now_ms = int(answer[1])
            if answer[0] == Answer.AGAIN:
                before = ()
                continue
            is_repairing = answer[0] == Answer.UNREADABLE
            if is_repairing:
                before = ()
                self._repair(holder, answer[2])
                continue
            if answer[0] == Answer.DONE:
                return first_answer, Taken(read_batch(answer), view, now_ms)
            version = answer[2].decode(errors="replace") if answer[0] == Answer.UNKNOWN_VERSION else None
            return first_answer, Taken(None, view, now_ms, version)
        if is_repairing:  # too many in a row: the loop looks up, and comes again
            return first_answer, Taken(None, view, now_ms)
        raise JournalUnavailable(f"take answered AGAIN {MAX_AGAIN} times in a row", stored=None)

    # -- what cannot be read ------------------------------------------------------------------------

    def _repair(self, holder: Holder, what: bytes) -> None:
        """What take has met at the head: an entry leaves, a place is mended."""
        if what != UNREADABLE_STATE:
            self.quarantine(holder, what)
            return
        keys = holder.keys
        args = (holder.lease.token, TTL_MS, self._batch_max_events)
        answer = self.link.script("mend", (keys.stream, keys.state, keys.lease, keys.counts), args)
        _raise_unless_done(answer, holder)
        logger.error(
            "the marker or head was unreadable: a batch counts as sent before key=%s max_events=%d",
            keys.state,
            self._batch_max_events,
        )

    def quarantine(self, holder: Holder, entry_id: bytes, why: str = "the entry cannot be read") -> None:
        """An entry that cannot be read becomes a dead letter, as it is. Raises :class:`LeaseLost`."""
        keys = holder.keys
        answer = self.link.script(
            "quarantine",
            (keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.counts, keys.dead, keys.dead_size),
            (holder.lease.token, TTL_MS, entry_id, holder.channel or "", why),
        )
        _raise_unless_done(answer, holder)
        logger.error(
            "unreadable entry is a dead letter now key=%s entry=%s", keys.stream, entry_id.decode(errors="replace")
        )

    def _reset(self, holder: Holder, records: Sequence[str]) -> None:
        """Advisory records that cannot be read begin anew."""
        keys = self.link.keyspace.app(self.app)
        for name in records:
            key, _, record_field = name.partition(" ")
            key = getattr(keys, key)
            logger.error("unreadable record begins anew key=%s %s", key, record_field)
            # Neither needs memory, so a full Redis does them too.
            self.link.call(*(("HDEL", key, record_field) if record_field else ("DEL", key)))
            self.count(holder.keys.lane, "unreadable_records")

    def failed(self, lane: int, channel: str | None, error: Exception) -> None:
        """A drain ended in an error that a repeat meets again: it is counted and shown, and the queue rests."""
        lane_is, queue = self.link.keyspace.lane(self.app, lane), self.link.keyspace.lane(self.app, lane)
        if channel is not None:
            queue = self.link.keyspace.hold(self.app, lane, channel)
        wrong = wrong_keys(self.link, list(dict.fromkeys((*_names_of(queue), *_names_of(lane_is)))))
        # An error's own words may hold an event.
        kind = "; ".join(wrong) or (str(error) if isinstance(error, JournalUnreadable) else type(error).__name__)
        logger.error("drain failed app=%s lane=%d channel=%s: %s", self.app, lane, channel or "-", kind)
        args = (kind[:MAX_KIND], FIRST_REST_MS, LONGEST_REST_MS, channel or "")
        with suppress(JournalUnavailable):  # where the state is of another type, status says so by itself
            self.link.script("fail", (queue.state, lane_is.counts, lane_is.holds), args)

    def _recovered(self, holder: Holder) -> None:
        """The queue flows again."""
        if holder.is_failing:
            holder.is_failing = False
            self.link.call("HDEL", holder.keys.state, "failures", "failing_since", "failure", "retry_at")

    def unmark(self, holder: Holder, batch: Batch) -> None:
        """``batch`` was certainly not sent, now or before: nothing says any more that it may have been."""
        answer = self.link.script("unmark", (holder.keys.state, holder.keys.lease), (holder.lease.token, batch.marker))
        _raise_unless_done(answer, holder)

    # -- items that leave otherwise -----------------------------------------------------------------

    def hold(self, holder: Holder, batch: Batch, *, retry_in_s: float) -> None:
        """The first item of ``batch`` is stuck: its channel alone waits, with all its later items."""
        item = batch.first_item
        one = pack([item])
        keys = holder.keys
        answer = self.link.script(
            "hold",
            (keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.counts, *_hold_names(keys, item.channel)),
            (
                holder.lease.token,
                TTL_MS,
                batch.marker,
                *_position(batch.head(1).end),
                item.channel,
                item.expires_ms,
                one.meta,
                item.body,
                int(retry_in_s * 1000),
            ),
        )
        _raise_unless_done(answer, holder)
        holder.held.add(item.channel)

    def bury(self, holder: Holder, batch: Batch, letter: DeadLetterFields, *, keep: bool = True) -> None:
        """The first item of ``batch`` becomes a dead letter (``keep=False``: is only counted)."""
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

    def count(self, lane: int, reason: str, number: int = 1) -> None:
        """Add to a counter of the lane."""
        self.link.script("count", (self.link.keyspace.lane(self.app, lane).counts,), (reason, number))

    def retry_hold_in(self, holder: Holder, wait_s: float) -> None:
        """A held channel's next attempt is due in ``wait_s``. Raises :class:`LeaseLost`."""
        assert holder.channel is not None, "a lane is rung, not scheduled"
        args = (holder.lease.token, holder.channel, int(wait_s * 1000))
        _raise_unless_done(self.link.script("postpone", (holder.keys.lease, holder.keys.holds), args), holder)

    # -- waiting and looking ------------------------------------------------------------------------

    def wait_for_entry(self, holder: Holder, wait_s: float) -> bool:
        """Sleep in Redis until the empty queue has an entry; ``False``: none came within ``wait_s``."""
        answer = self.link.call("XREAD", "COUNT", 1, "BLOCK", int(wait_s * 1000), "STREAMS", holder.keys.stream, "0-0")
        return bool(answer)

    def sweep(self, lanes: Sequence[int], *, is_counted: bool = True) -> tuple[list[int], list[tuple[int, str]]]:
        """Lanes whose doorbell was lost, and held channels that are due: each told to one caller only.

        ``is_counted``: the caller rings all of them, so a ring without an answer counts (:meth:`unheard_lanes`).
        """
        commands = []
        args = (SWEEP_GAP_MS, UNHEARD_RINGS if is_counted else 0, TTL_MS)
        for lane in lanes:
            keys = self.link.keyspace.lane(self.app, lane)
            commands.append(evalsha("sweep", (keys.stream, keys.state, keys.lease, keys.holds), args))
        ring, due = [], []
        for lane, answer in zip(lanes, self.link.run(commands), strict=True):
            try:
                code, *channels = checked(answer)
            except JournalUnreadable as error:
                self._complain(lane, error)  # the other lanes go on
                continue
            if code == Answer.RING:
                ring.append(lane)
            due += [(lane, channel) for channel in names(channels)]
        return ring, due

    def trim_dead(self, lanes: Sequence[int]) -> bool:
        """Let dead letters leave that are beyond the bounds; ``False``: there may be more, call again."""
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
                self._complain(lane, error)  # the other lanes go on, and so does the sweep
        return is_done

    def unheard_lanes(self, lanes: Iterable[int]) -> set[int]:
        """Those lanes that took no lease after :data:`UNHEARD_RINGS` rings of the sweep, or more. One round trip."""
        asked = sorted(set(lanes))
        answers = self.link.run(
            [("HGET", self.link.keyspace.lane(self.app, lane).state, "unanswered") for lane in asked]
        )
        counts = [as_count(_or_zero(answer) or 0) or 0 for answer in answers]
        return {lane for lane, count in zip(asked, counts, strict=True) if count >= UNHEARD_RINGS}

    def _complain(self, lane: int, error: JournalUnreadable) -> None:
        """Say of a lane that it cannot be swept, now and then."""
        now = time.monotonic()
        if now - self._complained.get(lane, float("-inf")) >= COMPLAIN_S:
            self._complained[lane] = now
            wrong = wrong_keys(self.link, _names_of(self.link.keyspace.lane(self.app, lane)))
            logger.error("lane cannot be looked at app=%s lane=%d: %s", self.app, lane, "; ".join(wrong) or error)

    def waiting(self, lanes: Sequence[int]) -> bool:
        """Whether any of these lanes has entries and no holder. One round trip."""
        commands: list[Command] = []
        for lane in lanes:
            keys = self.link.keyspace.lane(self.app, lane)
            commands += [("XLEN", keys.stream), ("EXISTS", keys.lease)]
        answers = [_or_zero(answer) for answer in self.link.run(commands)]
        return any(length > 0 and not leased for length, leased in zip(answers[::2], answers[1::2], strict=True))

    def holds_wait(self, lanes: Sequence[int]) -> bool:
        """Whether a held channel of one of these lanes is due and has no holder, though it may have been rung."""
        commands: list[Command] = [("TIME",)]
        commands += [("ZRANGE", self.link.keyspace.lane(self.app, lane).holds, 0, 0, "WITHSCORES") for lane in lanes]
        answers = self.link.run(commands)
        time_told, firsts = checked(answers[0]), [_or_zero(answer) or [] for answer in answers[1:]]
        # Telling one caller puts a hold off for the gap.
        due_ms = int(time_told[0]) * 1000 + int(time_told[1]) // 1000 + SWEEP_GAP_MS
        leases: list[Command] = []
        for lane, first in zip(lanes, firsts, strict=True):
            leases += [
                ("EXISTS", self.link.keyspace.hold(self.app, lane, channel).lease)
                for channel, at_ms in scored(first)
                if at_ms <= due_ms
            ]
        return any(not checked(leased) for leased in (self.link.run(leases) if leases else ()))

    def not_empty(self, lanes: Sequence[int]) -> list[int]:
        """The lanes that have entries."""
        answers = self.link.run([("XLEN", self.link.keyspace.lane(self.app, lane).stream) for lane in lanes])
        return [lane for lane, length in zip(lanes, answers, strict=True) if _or_zero(length) > 0]


def _names_of(keys: QueueKeys) -> list[str]:
    return [keys.stream, keys.state, keys.lease, keys.gone, keys.holds, keys.dead, keys.counts]


def _or_zero(answer: Any) -> Any:
    """The answer; nothing, where the key is of another type: that lane says so itself, the others go on."""
    try:
        return checked(answer)
    except JournalUnreadable:
        return 0


def _hold_names(keys: QueueKeys, channel: str) -> tuple[str, str]:
    hold = keys.hold(channel)
    return hold.stream, hold.state


def _position(end: Position) -> tuple[bytes, int, str]:
    return end.entry_id, end.index, "1" if end.is_end else "0"


def _letter(letter: DeadLetterFields, item: Item) -> tuple[Any, ...]:
    return (
        *("reason", letter.reason, "words", letter.words[:1000], "attempts", letter.attempts),
        *("first_ms", letter.first_ms, "maybe_delivered", int(letter.maybe_delivered)),
        *("channel", item.channel, "expiry", item.expires_ms, "item", item.body),
    )


def _raise_unless_done(answer: Any, holder: Holder) -> None:
    if answer[0] == Answer.LOST:
        holder.lease.lost = True
        raise LeaseLost(repr(holder.lease))
    if answer[0] == Answer.MISMATCH:
        raise MarkerChanged(repr(holder.lease))

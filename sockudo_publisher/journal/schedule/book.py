"""The schedule as operators and results read it: count, list, cancel, find."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import JournalUnreadable
from ..keys import BUCKETS, BucketKeys, bucket_of
from ..layout.layout import LayoutRecord
from ..redis.link import Command, RedisLink, checked, evalsha
from ..redis.scripts import Answer
from ..unreadable import is_wrong_type, wrong_keys
from .event import ScheduledItem, channel_in, read_listed, read_score

__all__ = ["CancelledChannels", "ScheduleBook", "ScheduleSummary"]

#: Events that are read at once of a bucket.
PAGE = 100


class ScheduleSummary(NamedTuple):
    """``count`` events wait, ``parked`` of them for a person; the first is due at ``next_due_ms``, ``None``: none is.

    ``unreadable``: keys of another type.
    """

    count: int  # type: ignore[assignment]  # tuple's own `count` is not used
    parked: int
    next_due_ms: int | None
    now_ms: int
    unreadable: tuple[str, ...] = ()

    @property
    def late_s(self) -> float:
        """Seconds since the first was due, 0.0 if none is due."""
        return 0.0 if self.next_due_ms is None else max(0, self.now_ms - self.next_due_ms) / 1000


@dataclass(frozen=True)
class CancelledChannels:
    """The channels of one message id: taken back now, taken back before, and those that a worker is storing."""

    taken: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


class ScheduleBook:
    """The schedule of one app. ``key_ttl_ms``: how long it is known that an event was cancelled.

    ``lanes``: what the settings ask for, where no layout is recorded. All methods raise :class:`JournalUnavailable`.
    """

    def __init__(self, link: RedisLink, app: str, *, lanes: int, key_ttl_ms: int) -> None:
        self._link = link
        self._app = app
        self._key_ttl_ms = key_ttl_ms
        self._layout = LayoutRecord(link, app, lanes)
        self._buckets = [link.keyspace.bucket(app, bucket) for bucket in range(BUCKETS)]

    def summary(self) -> ScheduleSummary:
        """How many events wait, and when the first is due: one round trip."""
        commands: list[Command] = [("TIME",)]
        for keys in self._buckets:
            commands += [("ZCARD", keys.times), ("ZCOUNT", keys.times, "+inf", "+inf")]
            commands.append(("ZRANGE", keys.times, 0, 0, "WITHSCORES"))
        time, *answers = self._link.run(commands)
        seconds, micros = checked(time)
        count, parked = 0, 0
        due_ms: list[int] = []
        unreadable: list[str] = []
        for number, keys in enumerate(self._buckets):
            found = answers[3 * number : 3 * number + 3]
            if any(is_wrong_type(answer) for answer in found):
                unreadable += wrong_keys(self._link, [keys.times])
                continue
            here, parked_here, head = (checked(answer) for answer in found)
            count, parked = count + here, parked + parked_here
            if head and (first_ms := read_score(head)) is not None:
                due_ms.append(first_ms)
        unreadable += wrong_keys(self._link, [key for keys in self._buckets for key in (keys.items, keys.claimed)])
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return ScheduleSummary(count, parked, min(due_ms, default=None), now_ms, tuple(unreadable))

    def events(self, channel: str | None = None, *, only_parked: bool = False) -> Iterator[ScheduledItem]:
        """The events of all channels, or of one, earliest first; parked ones last. Events that come and go meanwhile
        may be left out. ``only_parked``: the others are not read.
        """
        buckets = self._buckets if channel is None else [self._buckets[bucket_of(channel)]]
        starts = self._first_parked(buckets) if only_parked else [0] * len(buckets)
        found = heapq.merge(
            *(self._events_of(keys, first) for keys, first in zip(buckets, starts, strict=True)),
            key=lambda event: (event.is_parked, event.due_ms),
        )
        return (
            event
            for event in found
            if (channel is None or (event.item and event.item.channel == channel))
            and (event.is_parked or not only_parked)
        )

    def cancel(self, message_id: str) -> CancelledChannels:
        """Take an event back on all channels where no worker is storing it, and free its key there.

        A call that was interrupted is repeated safely. Raises :class:`JournalUnreadable` for a record that could not
        be read, which is deleted.
        """
        commands = [
            evalsha(
                "cancel",
                (keys.times, keys.items, keys.claimed, keys.cancelled(message_id)),
                (message_id, self._key_ttl_ms),
            )
            for keys in self._buckets
        ]
        taken: list[str] = []
        before: list[str] = []
        late: list[str] = []
        freed: list[tuple[str, bytes]] = []
        unreadable: list[str] = []
        for keys, answer in zip(self._buckets, self._link.run(commands), strict=True):
            code, *parts = checked(answer)
            if code == Answer.UNREADABLE:
                unreadable.append(keys.items)
            if code != Answer.DONE:
                continue
            for channels, found in ((taken, parts[0]), (before, parts[2])):
                for meta, fingerprint in zip(found[::2], found[1::2], strict=False):
                    channel = channel_in(meta)
                    channels.append(channel)
                    freed.append((channel, fingerprint))
            late += [channel_in(meta) for meta in parts[1]]
        self._free_keys(message_id, freed)
        if unreadable:
            raise JournalUnreadable(f"{unreadable[0]}: the record of this message id could not be read", stored=None)
        return CancelledChannels(tuple(taken), tuple(before), tuple(late))

    def is_scheduled(self, message_id: str) -> bool:
        """Whether an event of this message id waits until it is due."""
        return any(
            checked(answer) for answer in self._link.run([("HEXISTS", k.items, message_id) for k in self._buckets])
        )

    def is_cancelled(self, message_id: str) -> bool:
        """Whether an event of this message id was cancelled, within the time that this is known."""
        commands = [("EXISTS", keys.cancelled(message_id)) for keys in self._buckets]
        return any(checked(answer) for answer in self._link.run(commands))

    def _free_keys(self, message_id: str, freed: Sequence[tuple[str, bytes]]) -> None:
        """Forget the key on these channels, in every layout that may remember it."""
        if not freed:
            return
        layout = self._layout.look()
        spans = [*(one.span for one in layout.retired), layout.span]
        ledger = self._link.keyspace.ledger
        commands = [
            evalsha("free_key", (ledger(self._app, span.lane_of(channel), channel, message_id),), (fingerprint,))
            for channel, fingerprint in freed
            for span in spans
        ]
        for answer in self._link.run(commands):
            checked(answer)

    def _first_parked(self, buckets: Sequence[BucketKeys]) -> list[int]:
        """Ranks at which the parked events begin, a page early: events before them may leave meanwhile."""
        counts = self._link.run([("ZCOUNT", keys.times, "-inf", "(+inf") for keys in buckets])
        # A key of another type: the script that reads the events names it.
        return [0 if is_wrong_type(count) else max(0, int(checked(count)) - PAGE) for count in counts]

    def _events_of(self, keys: BucketKeys, first: int) -> Iterator[ScheduledItem]:
        while True:
            named = (keys.times, keys.items, keys.claimed)
            [answer] = self._link.run([evalsha("scheduled", named, (first, first + PAGE - 1))])
            try:
                _, *parts = checked(answer)
            except JournalUnreadable as error:
                wrong = wrong_keys(self._link, named)
                raise (JournalUnreadable("; ".join(wrong), stored=False) if wrong else error) from None
            for at in range(0, len(parts), 6):
                yield read_listed(*parts[at : at + 6])
            if len(parts) < 6 * PAGE:
                return
            first += PAGE

"""Dead letters: events that cannot be delivered, unchanged, until a person replays or purges them.

Each lane has a stream of them in its own slot, written by ``bury.lua``, ``take.lua`` and ``quarantine.lua``. This
module merges the lanes' letters by age, moves letters back (``replay.lua``) and deletes them (``purge.lua``). Their
number, size and age are limited (:class:`DeadBounds`). Item bytes are not parsed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..errors import JournalUnreadable
from ..redaction import package_logger
from .pack import Item, pack
from .redis.link import RedisLink, checked, evalsha
from .redis.scripts import Answer
from .unreadable import MAX_NUMBER, as_count

__all__ = ["UNREADABLE", "DeadBounds", "DeadLetters", "Letter", "as_letter"]

logger = package_logger("sockudo_publisher.journal")

#: The reason of a letter whose event, or which itself, cannot be read.
UNREADABLE = "unreadable"

#: Dead letters of a lane in one read: with the largest usual items (10 KB) these are 1 MB.
PAGE = 100


@dataclass(frozen=True)
class DeadBounds:
    """Limits of the dead letters of one lane; beyond them the oldest are dropped, counted. 0: no limit.

    ``letters``: their number; ``bytes``: their size together; ``age_ms``: since they became dead letters, not for the
    reasons ``uncertain`` and ``unreadable``.
    """

    letters: int = 0
    bytes: int = 0
    age_ms: int = 0


@dataclass(frozen=True)
class Letter:
    """One dead letter: its place, its reason and its item.

    ``first_ms`` is the start of its first attempt (0: never sent), ``expires_ms`` its expiry (0: none), both Redis'
    time; ``message``: the server's text; ``maybe_delivered``: the outcome of an attempt is unknown. ``raw_entry``: the
    id of the stream entry if that could not be read and ``item`` is the whole entry (``quarantine.lua``); else ``""``.
    """

    lane: int
    entry_id: str
    channel: str
    reason: str
    message: str
    attempts: int
    first_ms: int
    maybe_delivered: bool
    expires_ms: int
    item: bytes = field(repr=False)
    raw_entry: str = ""

    @property
    def id(self) -> str:
        """As it is shown: ``lane-entryid``."""
        return f"{self.lane}-{self.entry_id}"

    @property
    def dead_ms(self) -> int:
        """The time at which it became a dead letter: Redis' time."""
        return min(int(self.entry_id.split("-")[0]), MAX_NUMBER)


class DeadLetters:
    """The dead letters of these ``lanes`` of an app. All methods raise :class:`JournalUnavailable`."""

    def __init__(self, link: RedisLink, app: str, lanes: Sequence[int]) -> None:
        self._link = link
        self._app = app
        self._lanes = lanes

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def oldest(self, limit: int) -> list[Letter]:
        """The oldest ``limit`` letters, oldest first."""
        return list(islice(self.each(min(limit, PAGE)), limit))

    def each(self, page: int = PAGE) -> Iterator[Letter]:
        """All letters, oldest first, read page by page: those that leave meanwhile do no harm."""
        lanes = [self._lane(lane, page) for lane in self._lanes]
        return heapq.merge(*lanes, key=lambda letter: letter.dead_ms)

    def count(self) -> int:
        """How many there are; a lane whose key is of another type counts as empty."""
        keys = [self._link.keyspace.lane(self._app, lane).dead for lane in self._lanes]
        return sum(answer for answer in self._link.run([("XLEN", key) for key in keys]) if isinstance(answer, int))

    def _lane(self, lane: int, page: int) -> Iterator[Letter]:
        after = "-"
        while entries := self._read(lane, after, "+", "COUNT", page):
            for entry in entries:
                yield as_letter(lane, entry)
            after = "(" + entries[-1][0].decode()

    def find(self, lane: int, entry_id: str) -> Letter | None:
        """The letter at this place, if it is still there."""
        if lane not in self._lanes:
            return None
        entries = self._read(lane, entry_id, entry_id)
        return as_letter(lane, entries[0]) if entries else None

    def _read(self, lane: int, *of: Any) -> Sequence[Any]:
        """Letters of a lane; none if its key is of another type, so that the other lanes' letters are shown."""
        key = self._link.keyspace.lane(self._app, lane).dead
        try:
            return list(self._link.call("XRANGE", key, *of))
        except JournalUnreadable:
            logger.warning("dead letters cannot be read app=%s key=%s error=type of key", self._app, key)
            return ()

    def replay(self, letter: Letter, item: bytes) -> Answer:
        """Move it to its lane's tail, with these bytes; ``EMPTY``: it is not there any more, ``RING``: ring the lane.

        Ignores backlog limit and ledger. The event gets no expiry: a person who replays it wants it delivered.
        """
        keys = self._link.keyspace.lane(self._app, letter.lane)
        meta = pack([Item(letter.channel, item)]).meta
        names = (keys.stream, keys.state, keys.dead, keys.dead_size)
        answer = self._link.script("replay", names, (letter.entry_id, meta, item))
        return Answer(answer[0])

    def purge(self, places: Iterable[tuple[int, str]]) -> int:
        """Delete the letters at these (lane, entry id); answers how many were deleted."""
        return _sum_of(self.purge_each(places))

    def purge_all(self) -> int:
        """Delete all letters; answers how many were deleted."""
        return _sum_of(self.purge_lanes())

    def purge_each(self, places: Iterable[tuple[int, str]]) -> list[int | JournalUnreadable]:
        """As :meth:`purge`; answers 1, 0 (no letter is there) or the error of its lane for each place."""
        places = list(places)
        known = [place for place in dict.fromkeys(places) if place[0] in self._lanes]
        answers = dict(zip(known, self._purge(known), strict=True))  # a place that is named twice counts once
        return [answers.pop(place, 0) for place in places]

    def purge_lanes(self) -> list[int | JournalUnreadable]:
        """As :meth:`purge_all`; answers how many were deleted, or the error, for each lane."""
        return self._purge([(lane, "") for lane in self._lanes])

    def _purge(self, places: Sequence[tuple[int, str]]) -> list[int | JournalUnreadable]:
        commands = []
        for lane, entry_id in places:
            keys = self._link.keyspace.lane(self._app, lane)
            commands.append(evalsha("purge", (keys.dead, keys.dead_size), (entry_id,)))
        answers = self._link.run(commands) if commands else []
        return [
            self._deleted(self._link.keyspace.lane(self._app, lane).dead, answer)
            for (lane, _), answer in zip(places, answers, strict=True)
        ]

    def _deleted(self, key: str, answer: Any) -> int | JournalUnreadable:
        try:
            return int(checked(answer)[1])
        except JournalUnreadable as error:
            logger.warning("dead letters cannot be deleted app=%s key=%s error=%s", self._app, key, error)
            return JournalUnreadable(f"{key}: {error}", stored=False)


def _sum_of(answers: Iterable[int | JournalUnreadable]) -> int:
    """How many letters were deleted; a lane that cannot be read counts as 0."""
    return sum(answer for answer in answers if isinstance(answer, int))


def as_letter(lane: int, entry: Sequence[Any]) -> Letter:
    """The letter of an entry; a malformed one too."""
    entry_id, fields = entry
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    text = {name: value.decode(errors="replace") for name, value in named.items() if name not in (b"item", b"raw")}
    item = named.get(b"item", named.get(b"raw"))
    # A malformed letter is shown too, so that a person can purge it.
    is_letter = item is not None and bool(text.get(b"reason")) and (b"channel" in text)
    return Letter(
        lane=lane,
        entry_id=entry_id.decode(),
        channel=text.get(b"channel", ""),
        reason=text.get(b"reason", "") if is_letter else UNREADABLE,
        message=text.get(b"message", "") if is_letter else "the dead letter itself cannot be read",
        attempts=as_count(text.get(b"attempts", 0)) or 0,
        first_ms=as_count(text.get(b"first_ms", 0)) or 0,
        maybe_delivered=text.get(b"maybe_delivered") == "1",
        expires_ms=as_count(text.get(b"expiry", 0)) or 0,
        item=item or b"",
        raw_entry=text.get(b"entry", "") if b"item" not in named else "",
    )

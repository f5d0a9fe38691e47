"""Where an event is: scheduled, waiting, held, in delivery, dead, cancelled, or not here.

The journal has no index by message id: every entry of the app is read, page by page, and nothing is changed. Another
room adds a place by a function in :data:`FINDERS`, which are asked in the order in which an event moves, so that one
which moves meanwhile is met.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias

from ..config.settings import Settings
from ..dead_event import read_fields
from ..journal.dead_letters import DeadLetters
from ..journal.keys import QueueKeys
from ..journal.pack import VERSION, Item, Pack, UnreadableEntry
from ..journal.redis.link import checked, read_scores
from ..journal.status import layout_in_force
from ..journal.unreadable import as_count, is_wrong_type
from ..redaction.frame_locals import without_locals
from .connection import OpenApp, check_text, open_app
from .letters import as_dead_letter
from .scheduling import open_book

__all__ = ["FINDERS", "EventPlace", "Finder", "FoundEvent", "State", "find"]

#: In the order in which they are named when an event is at several places.
State: TypeAlias = Literal["scheduled", "waiting", "in delivery", "held", "dead", "cancelled", "not here"]

#: Entries of a stream in one read: each has up to 256 KiB.
PAGE = 50

#: Characters of a message id.
MAX_ID = 500


@dataclass(frozen=True)
class EventPlace:
    """One place of an event. ``id``: of the dead letter, or of the entry that holds the event. ``lane``: ``None``
    if it is scheduled.

    ``since_ms`` (Redis' time, 0: unknown): stored, or moved there; ``in delivery`` and ``dead``: its first attempt, or
    its death. ``detail``: why it is there, for a person.
    """

    state: State
    app: str
    channel: str
    name: str
    lane: int | None
    id: str
    since_ms: int = 0
    detail: str = ""


@dataclass(frozen=True)
class FoundEvent:
    """``places``: all that have an event of this id (one for each channel of the call); empty: it is not here.

    Then it was delivered, or it expired, was purged, or was never stored in this journal. ``was_cancelled``: it was
    scheduled and was cancelled, on one channel at least; known for ``SOCKUDO_KEY_TTL`` seconds.
    """

    message_id: str
    places: tuple[EventPlace, ...] = ()
    was_cancelled: bool = False

    @property
    def state(self) -> State:
        """The state of the first place; without one ``"cancelled"`` or ``"not here"``."""
        if self.places:
            return self.places[0].state
        return "cancelled" if self.was_cancelled else "not here"


#: Looks in one kind of place, for the events with this message id.
Finder: TypeAlias = Callable[[OpenApp, Sequence[int], str], Iterator[EventPlace]]


@without_locals
def find(message_id: str, *, app: str | None = None, settings: Settings | None = None) -> FoundEvent:
    """Find an event of an app (default: that of ``SOCKUDO_URL``) by its message id.

    Raises :class:`ValidationError` for a malformed id, and :class:`JournalUnavailable`.
    """
    check_text(message_id, "message_id", MAX_ID)
    opened = open_app(app, settings)
    lanes = layout_in_force(opened.link, opened.app, opened.settings.lanes).lanes
    places = tuple(place for finder in FINDERS for place in finder(opened, lanes, message_id))
    # Asked last: an event that is cancelled meanwhile is at no place.
    return FoundEvent(message_id, places, open_book(opened.settings, opened.app).is_cancelled(message_id))


def _find_in_schedule(opened: OpenApp, _lanes: Sequence[int], message_id: str) -> Iterator[EventPlace]:
    book = open_book(opened.settings, opened.app)
    if not book.is_scheduled(message_id):
        return
    for found in book.events():
        if found.message_id != message_id:
            continue
        event = read_fields(found.item.body) if found.item is not None else None
        due = datetime.fromtimestamp(found.due_ms / 1000, tz=timezone.utc).isoformat(timespec="seconds")
        detail = f"due {due}"
        if found.item is None:
            detail = "its record cannot be read, and is not delivered"
        elif found.is_parked:
            detail = "parked: its key was used for another event"
        channel = found.item.channel if found.item is not None else ""
        name = str((event or {}).get("name", ""))
        yield EventPlace("scheduled", opened.app, channel, name, None, found.name, detail=detail)


def _find_in_lanes(opened: OpenApp, lanes: Sequence[int], message_id: str) -> Iterator[EventPlace]:
    for lane in lanes:
        yield from _find_in_queue(opened, opened.link.keyspace.lane(opened.app, lane), message_id)


def _find_in_holds(opened: OpenApp, lanes: Sequence[int], message_id: str) -> Iterator[EventPlace]:
    for lane in lanes:
        keys = opened.link.keyspace.lane(opened.app, lane)
        answer = opened.link.run([("ZRANGE", keys.holds, 0, -1, "WITHSCORES")])[0]
        for channel, _ in () if is_wrong_type(answer) else read_scores(checked(answer)):
            yield from _find_in_queue(opened, keys.hold(channel), message_id)


def _find_in_letters(opened: OpenApp, lanes: Sequence[int], message_id: str) -> Iterator[EventPlace]:
    for found in DeadLetters(opened.link, opened.app, lanes).each():
        letter = as_dead_letter(opened.app, found)
        if letter.message_id == message_id:
            detail = f"{letter.reason}: {letter.message}" if letter.message else letter.reason
            yield EventPlace(
                *("dead", opened.app, letter.channel, letter.name, found.lane, letter.id, letter.dead_ms, detail)
            )


def _find_in_queue(opened: OpenApp, keys: QueueKeys, message_id: str) -> Iterator[EventPlace]:
    state, gone, time = opened.link.run([("HMGET", keys.state, "head", "marker"), ("HGETALL", keys.gone), ("TIME",)])
    head, marker = (None, None) if is_wrong_type(state) else checked(state)
    left = set() if is_wrong_type(gone) else {one.decode(errors="replace") for one in checked(gone)}
    marked = _read_marker(marker)
    skip = as_count(head or 0) or 0
    for entry_id, fields in _entries(opened, keys.stream, until_ms=int(checked(time)[0]) * 1000 + 1000):
        for index, item, event in _items_with(entry_id, fields, message_id):
            is_gone = index < skip or f"{entry_id.decode()}:{index}" in left
            if not is_gone:
                yield _place(opened, keys, entry_id, item, event, marked if _is_in(marked, entry_id, index) else None)
        skip = 0  # settled items are in the first entry only


def _place(
    opened: OpenApp, keys: QueueKeys, entry_id: bytes, item: Item, event: dict[str, Any], marked: _Marker | None
) -> EventPlace:
    name = str(event.get("name", ""))
    stored_ms = int(entry_id.partition(b"-")[0])
    where = (opened.app, item.channel, name, keys.lane, entry_id.decode())
    if marked is not None:
        detail = "sent, or about to be, and not settled"
        return EventPlace("in delivery", *where, since_ms=marked.first_ms, detail=detail)
    if keys.channel is not None:
        return EventPlace("held", *where, since_ms=stored_ms, detail="its channel waits behind a stuck event")
    return EventPlace("waiting", *where, since_ms=stored_ms)


@dataclass(frozen=True)
class _Marker:
    """All items before ``end`` may have been sent since ``first_ms``."""

    first_ms: int
    end: tuple[int, int, int]


def _read_marker(marker: bytes | None) -> _Marker | None:
    try:
        first_ms, entry_id, index = (marker or b"").decode().split(" ")[:3]
        ms, sequence = _numbers(entry_id.encode())
        return _Marker(int(first_ms), (ms, sequence, int(index)))
    except ValueError:  # none, or one that cannot be read (mend.lua)
        return None


def _is_in(marked: _Marker | None, entry_id: bytes, index: int) -> bool:
    return marked is not None and (*_numbers(entry_id), index) < marked.end


def _numbers(entry_id: bytes) -> tuple[int, int]:
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence)


def _entries(opened: OpenApp, stream: str, *, until_ms: int) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """The entries that came until then: producers may add more than are read."""
    after = "-"
    while True:
        answer = opened.link.run([("XRANGE", stream, after, until_ms, "COUNT", PAGE)])[0]
        entries: Sequence[Any] = () if is_wrong_type(answer) else checked(answer)
        for entry_id, fields in entries:
            yield entry_id, dict(zip(fields[::2], fields[1::2], strict=True))
        if len(entries) < PAGE:
            return
        after = f"({entries[-1][0].decode()}"


def _items_with(
    entry_id: bytes, fields: dict[bytes, bytes], message_id: str
) -> Iterator[tuple[int, Item, dict[str, Any]]]:
    """The items of an entry that are events of this id; none of an entry that cannot be read."""
    body = fields.get(b"b", b"")
    size = as_count(fields.get(b"n") or 0) or 0
    # Most entries are left after one search of their bytes.
    texts = {json.dumps(message_id, ensure_ascii=ascii)[1:-1].encode() for ascii in (False, True)}
    if fields.get(b"v") != VERSION.encode() or not size or not any(text in body for text in texts):
        return
    pack = Pack(entry_id, size, fields.get(b"m", b""), body, 0, size)
    for index in range(size):
        try:
            item = pack.item(index)
        except UnreadableEntry:
            return
        event = read_fields(item.body)
        if event is not None and event.get("message_id") == message_id:
            yield index, item, event


#: Each kind of place, in the order in which an event moves.
FINDERS: list[Finder] = [_find_in_schedule, _find_in_lanes, _find_in_holds, _find_in_letters]

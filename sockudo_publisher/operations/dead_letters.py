"""Dead letters: list them, show one, play them again, delete them.

The journal never parses item bytes; they are read here, for the event's name and message id. Each function connects
for itself, to ``settings.redis_url``, and raises :class:`JournalUnavailable` when Redis fails.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..canaries.store import DedupMemory
from ..config.settings import Settings
from ..errors import ValidationError
from ..journal.dead_letters import UNREADABLE, DeadLetters, Letter
from ..journal.pack import Item
from ..journal.redis.scripts import Answer
from ..journal.status import layout_in_force
from ..journal.wellformed import fault_of
from ..wiring.doorbell import doorbell
from .connection import connect

__all__ = ["DeadLetter", "dead_find", "dead_list", "dead_purge", "dead_replay", "dead_show"]

logger = logging.getLogger("sockudo_publisher.operations")


#: A dead letter's id as people see it: "lane-entryid".
_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,20}-[0-9]{1,20})")


@dataclass(frozen=True)
class DeadLetter:
    """An event that could not be delivered. Times are Redis', ms; ``size`` is that of ``item``, in bytes.

    ``reason``: ``refused``, ``too_large``, ``conflict``, ``uncertain``, ``expired``, ``miscounted`` (the server
    gave several receipts for it) or ``unreadable``; ``words`` are the server's. ``first_ms``: the start of its first
    attempt, 0 if it was never sent, or at an unknown time. ``item`` is the exact element of ``{"batch":[...]}``; it
    holds the payload and is in no repr. ``raw_entry``: the journal's entry that ``item`` is, whole, where that could
    not be read (each name and value as ``LENGTH:BYTES,``); else ``""``.
    """

    id: str
    app: str
    channel: str
    name: str
    message_id: str
    reason: str
    words: str
    attempts: int
    first_ms: int
    dead_ms: int
    size: int
    maybe_delivered: bool
    item: bytes = field(repr=False)
    raw_entry: str = ""

    @property
    def is_replayable(self) -> bool:
        """Whether it holds exactly one event, which can be sent again."""
        return not (self.reason == UNREADABLE or self.raw_entry or fault_of(Item(self.channel, self.item)))

    @property
    def data(self) -> Any:
        """The event's data; of what is no event, the whole of it as text."""
        event = _event(self.item)
        return self.item.decode(errors="replace") if event is None else event.get("data")


def dead_list(settings: Settings, app: str, limit: int) -> list[DeadLetter]:
    """At most ``limit`` dead letters of an app, oldest first."""
    return [_shown(app, letter) for letter in _letters(settings, app).oldest(limit)]


def dead_find(settings: Settings, app: str, id: str) -> DeadLetter | None:
    """One dead letter, ``None`` when there is none with this id. Raises :class:`ValidationError` for what is no id."""
    letter = _letters(settings, app).find(*_place(id))
    return None if letter is None else _shown(app, letter)


def dead_show(settings: Settings, app: str, id: str) -> DeadLetter:
    """One dead letter. Raises :class:`ValidationError` when there is none with this id."""
    letter = dead_find(settings, app, id)
    if letter is None:
        raise ValidationError(f"id: no dead letter {id} of app {app}")
    return letter


def dead_replay(settings: Settings, app: str, ids: Sequence[str], *, new_id: bool = False) -> int:
    """Move dead letters to the ends of their lanes, in the order of ``ids``; answers how many were still there.

    Their order towards their channels is given up. They keep their message ids, so that a server that
    remembers one answers instead of delivering again; ``new_id`` gives them new ones. Raises
    :class:`ValidationError`, with nothing moved, when one is a ``conflict`` and ``new_id`` is not set: the
    server knows its id with another payload; and when one is not exactly one event: it can be purged.
    """
    letters = _letters(settings, app)
    found = [letter for place in _places(ids) if (letter := letters.find(*place)) is not None]
    unreadable = [_id(letter) for letter in found if not _shown(app, letter).is_replayable]
    if unreadable:
        raise ValidationError(
            f"ids: {len(unreadable)} of them cannot be replayed ({', '.join(unreadable[:3])}): "
            "they do not hold exactly one event (dead show, dead purge)"
        )
    conflicts = [_id(letter) for letter in found if letter.reason == "conflict"]
    if conflicts and not new_id:
        raise ValidationError(
            f"ids: {len(conflicts)} of them died of a conflict ({', '.join(conflicts[:3])}): "
            "the server knows the message id with another payload, so they need new ids (new_id, --new-id)"
        )
    moved: list[Letter] = []
    ring: set[int] = set()
    try:
        for letter in found:
            answer = letters.replay(letter, _with_new_id(letter.item) if new_id else letter.item)
            if answer is not Answer.EMPTY:
                moved.append(letter)
            if answer is Answer.RING:
                ring.add(letter.lane)
    finally:
        if ring:
            doorbell.ring(app, sorted(ring))
    forgets = any(letter.maybe_delivered for letter in moved) and _forgets(settings, app, letters.now_ms())
    window_s = 0.0 if forgets else settings.dedup_window
    for letter in moved:
        if letter.maybe_delivered:
            _warn_of_copies(app, letter, letters.now_ms(), window_s, new_id=new_id)
    return len(moved)


def dead_purge(settings: Settings, app: str, ids: Sequence[str] | None) -> int:
    """Delete dead letters for good, all of the app's with ``None``; answers how many there were."""
    letters = _letters(settings, app)
    return letters.purge_all() if ids is None else letters.purge(_places(ids))


def _letters(settings: Settings, app: str) -> DeadLetters:
    link = connect(settings)
    return DeadLetters(link, app, layout_in_force(link, app, settings.lanes).lanes)


def _place(id: str) -> tuple[int, str]:
    match = _ID.fullmatch(id)
    if match is None or any(int(part) >= 2**64 for part in match[2].split("-")):
        raise ValidationError("id: not one of a dead letter, expected lane-milliseconds-sequence")
    return int(match[1]), match[2]


def _places(ids: Iterable[str]) -> list[tuple[int, str]]:
    # An id given twice is one dead letter.
    return [_place(id) for id in dict.fromkeys(ids)]


def _id(letter: Letter) -> str:
    return f"{letter.lane}-{letter.entry_id}"


def _shown(app: str, letter: Letter) -> DeadLetter:
    event = _event(letter.item) or {}
    return DeadLetter(
        id=_id(letter),
        app=app,
        channel=letter.channel,
        name=str(event.get("name", "")),
        message_id=str(event.get("message_id", "")),
        reason=letter.reason,
        words=letter.words,
        attempts=letter.attempts,
        first_ms=letter.first_ms,
        dead_ms=letter.dead_ms,
        size=len(letter.item),
        maybe_delivered=letter.maybe_delivered,
        item=letter.item,
        raw_entry=letter.raw_entry,
    )


def _event(item: bytes) -> dict[str, Any] | None:
    """The event that an item is; ``None`` where it is none."""
    try:
        event = json.loads(item)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _with_new_id(item: bytes) -> bytes:
    event = {**(_event(item) or {}), "message_id": uuid.uuid4().hex}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _forgets(settings: Settings, app: str, now_ms: int) -> bool:
    return DedupMemory(connect(settings), app).report().forgets_until_ms > now_ms


def _warn_of_copies(app: str, letter: Letter, now_ms: int, window_s: float, *, new_id: bool) -> None:
    """Log whether the server can still recognise the replay of a letter that may have been delivered."""
    forgotten = new_id or now_ms - letter.first_ms >= window_s * 1000
    logger.warning(
        "app %s: dead letter %s (%s) may have been delivered; %s",
        app,
        _id(letter),
        letter.reason,
        "subscribers may see it twice" if forgotten else "the server may still remember its message id",
    )

"""Dead letters: list, show, replay and purge them.

The journal never parses items; this module does, for the event's name and message id. Each function opens its own
connection to ``settings.redis_url`` and raises :class:`JournalUnavailable` when Redis fails.
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
from ..redaction.frame_locals import without_locals
from ..wiring.doorbell import doorbell
from .connection import connect

__all__ = ["DeadLetter", "dead_find", "dead_list", "dead_purge", "dead_replay", "dead_show"]

logger = logging.getLogger("sockudo_publisher.operations")


#: A dead letter's id as it is shown: "lane-entryid".
_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,20}-[0-9]{1,20})")


@dataclass(frozen=True)
class DeadLetter:
    """An event that could not be delivered. Times are Redis', in ms; ``size`` is the length of ``item`` in bytes.

    ``reason``: ``refused``, ``too_large``, ``conflict``, ``uncertain``, ``expired``, ``miscounted`` (the server
    gave several receipts for it) or ``unreadable``; ``message``: the server's error text. ``first_ms``: the start of
    its first attempt; 0: never sent, or the time is unknown. ``item`` is the exact element of ``{"batch":[...]}``; it
    contains the payload and is in no repr. ``raw_entry``: the whole entry of the journal if it could not be read (each
    name and value as ``LENGTH:BYTES,``); else ``""``.
    """

    id: str
    app: str
    channel: str
    name: str
    message_id: str
    reason: str
    message: str
    attempts: int
    first_ms: int
    dead_ms: int
    size: int
    maybe_delivered: bool
    item: bytes = field(repr=False)
    raw_entry: str = ""

    @property
    def is_replayable(self) -> bool:
        """Whether the dead letter holds exactly one event, which can be sent again."""
        return not (self.reason == UNREADABLE or self.raw_entry or fault_of(Item(self.channel, self.item)))

    @property
    def data(self) -> Any:
        """The event's data; if ``item`` is not an event, the whole item as text."""
        event = _parse_event(self.item)
        return self.item.decode(errors="replace") if event is None else event.get("data")


@without_locals
def dead_list(settings: Settings, app: str, limit: int) -> list[DeadLetter]:
    """At most ``limit`` dead letters of an app, oldest first."""
    return [_dead_letter(app, letter) for letter in _open_letters(settings, app).oldest(limit)]


@without_locals
def dead_find(settings: Settings, app: str, id: str) -> DeadLetter | None:
    """The dead letter with this id, or ``None``. Raises :class:`ValidationError` for a malformed id."""
    letter = _open_letters(settings, app).find(*_parse_id(id))
    return None if letter is None else _dead_letter(app, letter)


@without_locals
def dead_show(settings: Settings, app: str, id: str) -> DeadLetter:
    """The dead letter with this id. Raises :class:`ValidationError` if there is none."""
    letter = dead_find(settings, app, id)
    if letter is None:
        raise ValidationError(f"id: no dead letter {id} of app {app}")
    return letter


@without_locals
def dead_replay(settings: Settings, app: str, ids: Sequence[str], *, new_id: bool = False) -> int:
    """Move dead letters to the ends of their lanes, in the order of ``ids``. Returns the number of moved letters.

    The events lose their place in the order of their channels. They keep their message ids: a server that remembers one
    does not deliver the event again. ``new_id`` gives them new ids. Raises :class:`ValidationError`, and moves none, if
    a letter is a ``conflict`` and ``new_id`` is not set (the server knows its id with another payload), or if a letter
    does not hold exactly one event (it can only be purged).
    """
    letters = _open_letters(settings, app)
    found = [letter for place in _parse_ids(ids) if (letter := letters.find(*place)) is not None]
    unreadable = [_id_of(letter) for letter in found if not _dead_letter(app, letter).is_replayable]
    if unreadable:
        raise ValidationError(
            f"ids: {len(unreadable)} of them cannot be replayed ({', '.join(unreadable[:3])}): "
            "they do not hold exactly one event (see them with dead show, delete them with dead purge)"
        )
    conflicts = [_id_of(letter) for letter in found if letter.reason == "conflict"]
    if conflicts and not new_id:
        raise ValidationError(
            f"ids: {len(conflicts)} of them are conflicts ({', '.join(conflicts[:3])}): "
            "the server knows the message id with another payload, so they need new ids (new_id=True, --new-id)"
        )
    moved: list[Letter] = []
    lanes_to_ring: set[int] = set()
    try:
        for letter in found:
            answer = letters.replay(letter, _with_new_id(letter.item) if new_id else letter.item)
            if answer is not Answer.EMPTY:
                moved.append(letter)
            if answer is Answer.RING:
                lanes_to_ring.add(letter.lane)
    finally:
        if lanes_to_ring:
            doorbell.ring(app, sorted(lanes_to_ring))
    forgets = any(letter.maybe_delivered for letter in moved) and _is_forgetting(settings, app, letters.now_ms())
    window_s = 0.0 if forgets else settings.dedup_window
    for letter in moved:
        if letter.maybe_delivered:
            _warn_of_copies(app, letter, letters.now_ms(), window_s, new_id=new_id)
    return len(moved)


@without_locals
def dead_purge(settings: Settings, app: str, ids: Sequence[str] | None) -> int:
    """Delete dead letters for good; ``None``: all of the app. Returns the number of deleted letters."""
    letters = _open_letters(settings, app)
    return letters.purge_all() if ids is None else letters.purge(_parse_ids(ids))


def _open_letters(settings: Settings, app: str) -> DeadLetters:
    link = connect(settings)
    return DeadLetters(link, app, layout_in_force(link, app, settings.lanes).lanes)


def _parse_id(id: str) -> tuple[int, str]:
    match = _ID.fullmatch(id)
    if match is None or any(int(part) >= 2**64 for part in match[2].split("-")):
        raise ValidationError("id: not the id of a dead letter, expected lane-milliseconds-sequence")
    return int(match[1]), match[2]


def _parse_ids(ids: Iterable[str]) -> list[tuple[int, str]]:
    # Duplicate ids name one dead letter.
    return [_parse_id(id) for id in dict.fromkeys(ids)]


def _id_of(letter: Letter) -> str:
    return f"{letter.lane}-{letter.entry_id}"


def _dead_letter(app: str, letter: Letter) -> DeadLetter:
    event = _parse_event(letter.item) or {}
    return DeadLetter(
        id=_id_of(letter),
        app=app,
        channel=letter.channel,
        name=str(event.get("name", "")),
        message_id=str(event.get("message_id", "")),
        reason=letter.reason,
        message=letter.message,
        attempts=letter.attempts,
        first_ms=letter.first_ms,
        dead_ms=letter.dead_ms,
        size=len(letter.item),
        maybe_delivered=letter.maybe_delivered,
        item=letter.item,
        raw_entry=letter.raw_entry,
    )


def _parse_event(item: bytes) -> dict[str, Any] | None:
    """The item as an event; ``None`` if it is not one."""
    try:
        event = json.loads(item)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _with_new_id(item: bytes) -> bytes:
    event = {**(_parse_event(item) or {}), "message_id": uuid.uuid4().hex}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _is_forgetting(settings: Settings, app: str, now_ms: int) -> bool:
    return DedupMemory(connect(settings), app).report().forgets_until_ms > now_ms


def _warn_of_copies(app: str, letter: Letter, now_ms: int, window_s: float, *, new_id: bool) -> None:
    """Log whether the server can still recognise the replay of a letter that may have been delivered."""
    is_forgotten = new_id or now_ms - letter.first_ms >= window_s * 1000
    logger.warning(
        "dead letter replayed that may have been delivered app=%s id=%s reason=%s: %s",
        *(app, _id_of(letter), letter.reason),
        "subscribers may see it twice" if is_forgotten else "the server may still remember its message id",
        extra={"app": app, "id": _id_of(letter), "reason": letter.reason},
    )

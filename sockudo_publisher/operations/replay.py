"""Replay dead letters: store their events again. Purge them: delete them for good.

Both do what they can and name the rest: a letter that must be refused, or a lane that cannot be read, holds up no
other. Each function opens its own connection to ``settings.redis_url``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..canaries.store import DedupMemory
from ..config.settings import Settings
from ..errors import JournalUnavailable, JournalUnreadable
from ..journal.dead_letters import DeadLetters, Letter
from ..journal.redis.scripts import Answer
from ..redaction import package_logger
from ..redaction.frame_locals import without_locals
from ..wiring.doorbell import doorbell
from .connection import connect
from .dead_letters import as_dead_letter, open_letters, parse_event, parse_ids

__all__ = ["NOT_ONE_EVENT", "Purged", "RefusedLetter", "Replayed", "dead_purge", "dead_replay"]

logger = package_logger("sockudo_publisher.operations")

#: Moved letters after which the lanes are rung, so that workers begin before a long replay ends.
RING_EVERY = 1_000

#: Why a letter that is no event is not moved.
NOT_ONE_EVENT = "it does not hold exactly one event: see it with dead show, delete it with dead purge"
_CONFLICT = "the server knows its message id with another payload: replay it with a new id (--new-id, new_id=True)"


@dataclass(frozen=True)
class RefusedLetter:
    """A dead letter that was not moved: its id, the reason of its death, and why it stays."""

    id: str
    reason: str
    why: str


@dataclass(frozen=True)
class Replayed:
    """``replayed``: how many letters were moved; ``refused``: those that stay; ``absent``: ids that are no letters."""

    replayed: int
    refused: tuple[RefusedLetter, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Purged:
    """``purged``: how many letters were deleted; ``absent``: ids that were no letters; ``failed``: keys of lanes whose
    letters cannot be deleted, with the reason.
    """

    purged: int
    absent: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@without_locals
def dead_replay(settings: Settings, app: str, ids: Sequence[str] | None, *, new_id: bool = False) -> Replayed:
    """Move dead letters to the ends of their lanes, in the order of ``ids``; ``None``: all that there are now.

    The events lose their place in the order of their channels. They keep their message ids: a server that remembers one
    does not deliver the event again. ``new_id`` gives them new ids. These stay where they are, and are named in the
    result: a ``conflict`` without ``new_id`` (the server knows its id with another payload), a letter that does not
    hold exactly one event (it can only be purged), and letters of a lane that cannot be read.

    Raises :class:`ValidationError` for a malformed id, before any letter is moved, and :class:`JournalUnavailable` if
    Redis fails before the first letter is moved. After that, the result names the letters that were not moved.
    """
    letters = open_letters(settings, app)
    absent: list[str] = []
    chosen = (
        _find_letters(letters, parse_ids(ids), absent) if ids is not None else islice(letters.each(), letters.count())
    )
    done = _Replay(settings, app, letters, new_id=new_id).run(chosen, absent)
    return done if ids is not None else replace(done, absent=())  # another operator was faster


def _find_letters(letters: DeadLetters, places: Iterable[tuple[int, str]], absent: list[str]) -> Iterator[Letter]:
    for lane, entry_id in places:
        letter = letters.find(lane, entry_id)
        if letter is None:
            absent.append(f"{lane}-{entry_id}")
        else:
            yield letter


class _Replay:
    """One call of :func:`dead_replay`."""

    def __init__(self, settings: Settings, app: str, letters: DeadLetters, *, new_id: bool) -> None:
        self._settings = settings
        self._app = app
        self._letters = letters
        self._new_id = new_id
        self._window_s: float | None = None
        self._lanes: set[int] = set()
        self._moved = 0
        self._refused: list[RefusedLetter] = []

    def run(self, chosen: Iterator[Letter], absent: list[str]) -> Replayed:
        failure: JournalUnavailable | None = None
        try:
            for letter in chosen:
                why = _refusal(self._app, letter, new_id=self._new_id)
                if not why and failure is None:
                    try:
                        why = self._move(letter, absent)
                    except JournalUnavailable as error:
                        if not self._moved:
                            raise
                        failure = error
                if not why and failure is not None:
                    why = str(failure)
                if why:
                    self._refused.append(RefusedLetter(letter.id, letter.reason, why))
        except JournalUnavailable as error:  # the letters cannot be read any further
            if not self._moved:
                raise
            self._refused.append(RefusedLetter("the letters after them", "", str(error)))
        finally:
            self._ring()
        return Replayed(self._moved, tuple(self._refused), tuple(absent))

    def _move(self, letter: Letter, absent: list[str]) -> str:
        """Move one letter; returns why not, or ``""``."""
        try:
            answer = self._letters.replay(letter, _with_new_id(letter.item) if self._new_id else letter.item)
        except JournalUnreadable as error:
            return str(error)  # of this lane; the others go on
        if answer is Answer.EMPTY:
            absent.append(letter.id)
            return ""
        self._moved += 1
        if answer is Answer.RING:
            self._lanes.add(letter.lane)
        if self._moved % RING_EVERY == 0:
            self._ring()
        if letter.maybe_delivered:
            self._warn_of_copy(letter)
        return ""

    def _ring(self) -> None:
        if self._lanes:
            doorbell.ring(self._app, sorted(self._lanes))
            self._lanes.clear()

    def _warn_of_copy(self, letter: Letter) -> None:
        """Log whether the server can still recognise the replay of a letter that may have been delivered."""
        now_ms = self._letters.now_ms()
        if self._window_s is None:
            report = DedupMemory(connect(self._settings), self._app).report()
            self._window_s = 0.0 if report.forgets_until_ms > now_ms else self._settings.dedup_window
        is_forgotten = self._new_id or now_ms - letter.first_ms >= self._window_s * 1000
        shown = as_dead_letter(self._app, letter)
        fields = {
            "app": self._app,
            "id": letter.id,
            "reason": letter.reason,
            "channel": letter.channel,
            "event": shown.name,
            "message_id": shown.message_id,
        }
        logger.warning(
            "dead letter replayed that may have been delivered app=%s id=%s reason=%s channel=%s event=%s "
            "message_id=%s: %s",
            *fields.values(),
            "subscribers may see it twice" if is_forgotten else "the server may still remember its message id",
            extra=fields,
        )


def _refusal(app: str, letter: Letter, *, new_id: bool) -> str:
    """Why a letter must not be moved, or ``""``."""
    if not as_dead_letter(app, letter).is_replayable:
        return NOT_ONE_EVENT
    return _CONFLICT if letter.reason == "conflict" and not new_id else ""


def _with_new_id(item: bytes) -> bytes:
    event = {**(parse_event(item) or {}), "message_id": uuid.uuid4().hex}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


@without_locals
def dead_purge(settings: Settings, app: str, ids: Sequence[str] | None) -> Purged:
    """Delete dead letters for good; ``None``: all of the app.

    Raises :class:`ValidationError` for a malformed id, before any letter is deleted.
    """
    letters = open_letters(settings, app)
    if ids is None:
        answers = letters.purge_lanes()
        names = [""] * len(answers)
    else:
        places = parse_ids(ids)
        answers = letters.purge_each(places)
        names = [f"{lane}-{entry_id}" for lane, entry_id in places]
    done = sum(answer for answer in answers if isinstance(answer, int))
    absent = tuple(name for name, answer in zip(names, answers, strict=True) if name and answer == 0)
    failed = tuple(dict.fromkeys(str(answer) for answer in answers if not isinstance(answer, int)))
    return Purged(done, absent, failed)

"""Replay dead letters: store their events again. Purge them: delete them for good.

Both do what they can and name the rest: a letter that must be refused, or a lane that cannot be read, holds up no
other. Both are recorded in the app's audit.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..canaries.store import DedupMemory
from ..config.settings import Settings
from ..dead_event import read_fields
from ..errors import JournalUnavailable, JournalUnreadable
from ..journal.dead_letters import DeadLetters, Letter
from ..journal.redis.scripts import Answer
from ..redaction import package_logger
from ..redaction.frame_locals import without_locals
from ..wiring.doorbell import doorbell
from .audit_trail import begin_action, checked_actor, end_action
from .connection import OpenApp, connect, open_app
from .letter_filter import LetterFilter
from .letters import as_dead_letter, letters_of
from .selection import Selection

__all__ = ["NOT_ONE_EVENT", "Purged", "RefusedLetter", "Replayed", "dead_purge", "dead_replay", "purge", "replay"]

logger = package_logger("sockudo_publisher.operations")

#: Moved letters after which the lanes are rung, so that workers begin before a long replay ends.
RING_EVERY = 1_000

#: Letters of a filter that one round trip deletes.
PURGED_AT_ONCE = 500

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
    """``replayed``: how many letters were moved; ``refused``: those that stay; ``absent``: ids that are no letters.

    ``is_preview``: nothing was moved (``dry_run``).
    """

    replayed: int
    refused: tuple[RefusedLetter, ...] = ()
    absent: tuple[str, ...] = ()
    is_preview: bool = False


@dataclass(frozen=True)
class Purged:
    """``purged``: how many letters were deleted; ``absent``: ids that were no letters; ``failed``: keys of lanes whose
    letters cannot be deleted, with the reason; ``is_preview``: nothing was deleted (``dry_run``).
    """

    purged: int
    absent: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    is_preview: bool = False


@without_locals
def replay(
    ids: Sequence[str] | None = None,
    *,
    app: str | None = None,
    reason: str | None = None,
    channel: str | None = None,
    event: str | None = None,
    older_than_s: float | None = None,
    all: bool = False,
    new_id: bool = False,
    dry_run: bool = False,
    actor: str | None = None,
    settings: Settings | None = None,
) -> Replayed:
    """Move dead letters of an app (default: that of ``SOCKUDO_URL``) to the ends of their lanes.

    Exactly one of these says which: ``ids`` (in their order), filters (``reason``, exact ``channel`` and ``event``,
    ``older_than_s`` seconds dead), ``all=True``. With filters or ``all``, of those that there are now, oldest first.

    The events lose their place in the order of their channels. They keep their message ids: a server that remembers one
    does not deliver the event again. ``new_id`` gives them new ids. These stay where they are, and are named in the
    result: a ``conflict`` without ``new_id`` (the server knows its id with another payload), a letter that does not
    hold exactly one event (it can only be purged), and letters of a lane that cannot be read. ``dry_run`` moves
    nothing, and answers what would be moved and refused.

    Raises :class:`ValidationError` for a malformed selection, before any letter is moved, and
    :class:`JournalUnavailable` if Redis fails before the first letter is moved. After that, the result names the
    letters that were not moved.
    """
    selection = Selection.of(ids, LetterFilter(reason, channel, event, older_than_s), all=all)
    by, opened = checked_actor(actor), open_app(app, settings)
    letters = letters_of(opened)
    absent: list[str] = []
    chosen = selection.letters(opened.app, letters, absent)
    if dry_run:
        return replace(_preview(opened.app, chosen, new_id=new_id), absent=_absent(selection, absent))
    what = f"{selection} new_id" if new_id else str(selection)
    action = begin_action(opened, "replay", by, what)
    done = _Replay(opened.settings, opened.app, letters, new_id=new_id).run(chosen, absent)
    end_action(opened, action, replayed=done.replayed, refused=len(done.refused), absent=len(absent))
    return replace(done, absent=_absent(selection, absent))


@without_locals
def dead_replay(settings: Settings, app: str, ids: Sequence[str] | None, *, new_id: bool = False) -> Replayed:
    """As :func:`replay`, with settings of the caller's; ``None``: all letters."""
    return replay(ids, app=app, all=ids is None, new_id=new_id, settings=settings)


def _absent(selection: Selection, absent: Sequence[str]) -> tuple[str, ...]:
    # Of a letter that was selected by a filter, another operator was faster.
    return tuple(absent) if selection.names_ids else ()


def _preview(app: str, chosen: Iterable[Letter], *, new_id: bool) -> Replayed:
    moved, refused = 0, []
    for letter in chosen:
        why = _refusal(app, letter, new_id=new_id)
        if why:
            refused.append(RefusedLetter(letter.id, letter.reason, why))
        else:
            moved += 1
    return Replayed(moved, tuple(refused), is_preview=True)


class _Replay:
    """One call of :func:`replay`."""

    def __init__(self, settings: Settings, app: str, letters: DeadLetters, *, new_id: bool) -> None:
        self._settings = settings
        self._app = app
        self._letters = letters
        self._new_id = new_id
        self._window_s: float | None = None
        self._lanes: set[int] = set()
        self._moved = 0
        self._refused: list[RefusedLetter] = []

    def run(self, chosen: Iterable[Letter], absent: list[str]) -> Replayed:
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
    event = {**(read_fields(item) or {}), "message_id": uuid.uuid4().hex}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


@without_locals
def purge(
    ids: Sequence[str] | None = None,
    *,
    app: str | None = None,
    reason: str | None = None,
    channel: str | None = None,
    event: str | None = None,
    older_than_s: float | None = None,
    all: bool = False,
    dry_run: bool = False,
    actor: str | None = None,
    settings: Settings | None = None,
) -> Purged:
    """Delete dead letters for good; which, is said as for :func:`replay`. ``dry_run`` deletes nothing and counts.

    Raises :class:`ValidationError` for a malformed selection, before any letter is deleted, and
    :class:`JournalUnavailable`.
    """
    selection = Selection.of(ids, LetterFilter(reason, channel, event, older_than_s), all=all)
    by, opened = checked_actor(actor), open_app(app, settings)
    letters = letters_of(opened)
    if dry_run:
        absent: list[str] = []
        count = letters.count() if selection.is_all else sum(1 for _ in selection.letters(opened.app, letters, absent))
        return Purged(count, _absent(selection, absent), is_preview=True)
    action = begin_action(opened, "purge", by, str(selection))
    done = _purge(opened, letters, selection)
    end_action(opened, action, purged=done.purged, absent=len(done.absent), failed=len(done.failed))
    return done


@without_locals
def dead_purge(settings: Settings, app: str, ids: Sequence[str] | None) -> Purged:
    """As :func:`purge`, with settings of the caller's; ``None``: all letters."""
    return purge(ids, app=app, all=ids is None, settings=settings)


def _purge(opened: OpenApp, letters: DeadLetters, selection: Selection) -> Purged:
    answers: list[int | JournalUnreadable] = []
    names: tuple[str, ...] = ()
    if selection.is_all:
        answers = letters.purge_lanes()
    elif selection.names_ids:
        answers = letters.purge_each(selection.places)
        names = tuple([f"{lane}-{entry_id}" for lane, entry_id in selection.places])
    else:
        chosen = selection.letters(opened.app, letters, [])
        while places := [(letter.lane, letter.entry_id) for letter in islice(chosen, PURGED_AT_ONCE)]:
            answers += letters.purge_each(places)
    done = sum(answer for answer in answers if isinstance(answer, int))
    absent = tuple(name for name, answer in zip(names, answers, strict=False) if answer == 0)
    failed = tuple(dict.fromkeys(str(answer) for answer in answers if not isinstance(answer, int)))
    return Purged(done, absent, failed)

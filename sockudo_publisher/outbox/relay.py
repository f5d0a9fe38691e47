"""The relay: committed rows go to the journal in the order of their ids, and leave the table when they are there.

**What order rests on.** A relay always reads from the table's lowest id on, appends what it read in that order,
each row under its message id as key, and deletes a row only when it is known to be appended. So whoever appends a
row has seen every row that was committed before that one was inserted, and has appended it first, or it was deleted,
and so appended by somebody else. A second append under the same key does nothing (the ledger, for
``SOCKUDO_KEY_TTL``), so the first one counts, whichever relay made it: one that died before its delete, one that
was frozen and comes late, several at once. Ids are given at the insert and rows seen after the commit, so rows of
transactions that overlapped have no order among each other; those of one transaction are seen together, and keep
theirs.

**What the row locks are for.** ``FOR UPDATE SKIP LOCKED`` alone would break that order: the second relay would go on
behind the first one's rows. Here it only lets a relay stand by while another one is at work (:func:`rows_before_gap`),
so that two of them do not do everything twice. A database without such locks is served as well.

Imports the core, no framework: those give :func:`relay` a *move*, one batch in one transaction of theirs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import BacklogFull, ConfigurationError, IdempotencyConflict, JournalUnavailable
from ..journal.appended import OnRefusal
from ..publishing.store import store
from ..wiring.app import app_named
from .row import EventRow

__all__ = ["INTERVAL_S", "MAX_ROWS", "Move", "Moved", "Relayed", "append", "relay", "rows_before_gap", "run"]

logger = logging.getLogger("sockudo_publisher.outbox")

#: Rows of one batch: at most 2 MB of events of the default size in one flush, and some 10 ms of held row locks.
MAX_ROWS = 200

#: Seconds between two looks at the table: what a committed event waits on average is half of it.
INTERVAL_S = 0.25


@dataclass(frozen=True)
class Moved:
    """What one batch came to; the caller's transaction does to the rows what is said here, and commits.

    ``read``: how many rows there were. ``stored``: the ids of those that are in the journal, to be deleted;
    ``already_stored``: how many of them an earlier try, or another relay, had appended. ``parked``: by id, why a row
    will never be appended: to be written into it, so that it stands in nobody's way. ``waiting``: by app, why its
    other rows have to wait where they are.
    """

    read: int = 0
    stored: Sequence[int] = ()
    already_stored: int = 0
    parked: Mapping[int, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)


#: ``move(max_rows, without)``: read the first rows that are not parked and not of the apps ``without``, by id and
#: locked where the database can; :func:`append` them; delete and park as it says; commit.
Move: TypeAlias = Callable[[int, frozenset[str]], Moved]


@dataclass(frozen=True)
class Relayed:
    """What one pass over the table did. ``waiting``: by app, why rows of it are left (empty: none are known)."""

    stored: int = 0
    already_stored: int = 0
    parked: int = 0
    waiting: Mapping[str, str] = field(default_factory=dict)


def append(rows: Sequence[EventRow]) -> Moved:
    """Append rows in the order given, those of one app together, and ring their lanes. Raises nothing of the core's.

    Where one app cannot go on (Redis away, a full lane, an app that is not in the settings), its rows wait, all of
    them, since a later one must not overtake; the other apps go on.
    """
    by_app: dict[str, list[EventRow]] = {}
    for row in rows:
        by_app.setdefault(row.app, []).append(row)
    stored: list[int] = []
    already = 0
    parked: dict[int, str] = {}
    waiting: dict[str, str] = {}
    for name, of_app in by_app.items():
        one = _append_of(name, of_app)
        stored += one.stored
        already += one.already_stored
        parked.update(one.parked)
        waiting.update(one.waiting)
    return Moved(len(rows), stored, already, parked, waiting)


def _append_of(name: str, rows: list[EventRow]) -> Moved:
    try:
        # Each row for itself: what one is refused for is no reason for the others.
        appended = store(app_named(name), [row.keyed() for row in rows], on_refusal=OnRefusal.SKIP)
    except (JournalUnavailable, BacklogFull, ConfigurationError) as error:
        return Moved(len(rows), waiting={name: str(error)})
    parked: dict[int, str] = {}
    waiting: dict[str, str] = {}
    for index, refusal in appended.refused.items():
        row = rows[index]
        if isinstance(refusal, IdempotencyConflict):
            parked[row.id] = f"conflict: {refusal}"
            logger.error("row %d, event %s: parked, %s", row.id, row.message_id, parked[row.id])
        else:
            waiting.setdefault(name, str(refusal))
    stored = [row.id for index, row in enumerate(rows) if index not in appended.refused]
    return Moved(len(rows), stored, len(appended.already_stored), parked, waiting)


def rows_before_gap(head: Iterable[int], locked: Sequence[EventRow]) -> Sequence[EventRow]:
    """Of the rows that could be locked those before the first one of the ``head`` that could not. Pure.

    Another relay has that one. What comes after it is left to the other, or for later: its channel may be the same.
    """
    ours = {row.id for row in locked}
    count = 0
    for row_id in head:
        if row_id not in ours:
            break
        count += 1
    return locked[:count]


def relay(move: Move, *, max_rows: int = MAX_ROWS, stop: threading.Event | None = None) -> Relayed:
    """One pass: batch after batch, until one is not full (what is left is parked, waits, or is another relay's).

    Every full batch stores or parks a row or finds an app that has to wait, so a pass ends, unless the application
    is as fast as the relay; ``stop`` ends it between two batches.
    """
    stored, already, parked = 0, 0, 0
    waiting: dict[str, str] = {}
    while True:
        moved = move(max_rows, frozenset(waiting))
        stored += len(moved.stored)
        already += moved.already_stored
        parked += len(moved.parked)
        waiting.update(moved.waiting)
        if moved.read < max_rows or (stop is not None and stop.is_set()):
            return Relayed(stored, already, parked, waiting)


def run(
    once: Callable[[], Relayed],
    *,
    failures: tuple[type[Exception], ...],
    every_s: float = INTERVAL_S,
    stop: threading.Event | None = None,
) -> None:
    """Pass after pass, until ``stop`` is set. A database that is away (``failures``) is asked again.

    Says why it cannot go on when it first cannot, and when it can again; not at every look.
    """
    stop = stop or threading.Event()
    trouble: Mapping[str, str] = {}
    while not stop.is_set():
        try:
            now = once().waiting
        except failures as error:
            now = {"": f"the database failed ({type(error).__name__})"}  # its words may hold what was written
        for name, why in now.items():
            if name not in trouble:
                logger.warning("%srows wait: %s", f"app {name}: " if name else "", why)
        if trouble and not now:
            logger.warning("rows go on")
        trouble = now
        stop.wait(every_s)

"""The relay appends committed rows to the journal in the order of their ids, then deletes them from the table.

**Why the order is kept.** A relay always reads from the table's lowest id on, appends the rows in that order, each with
its message id as key, and deletes a row only after its append is confirmed. So a relay that appends a row has seen each
row that was committed before that row was inserted: it has appended the earlier row first, or another relay has
appended and deleted it. A second append with the same key does nothing (the ledger, for ``SOCKUDO_KEY_TTL``), so only
the first append counts, of whichever relay: one that died before its delete, one that was frozen, or several at once.
Ids are assigned at the insert and rows become visible at the commit. So rows of overlapping transactions have no order
among each other; rows of one transaction become visible together and keep their order.

**Why rows are locked.** ``FOR UPDATE SKIP LOCKED`` alone would break that order: a second relay would continue behind
the first one's rows. Here the locks only make a relay wait while another one works (:func:`rows_before_gap`), so that
two relays do not do all the work twice. A database without such locks works too.

Imports no framework. The framework's module gives :func:`relay` a *move*: one batch in one database transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from ..config.settings import get_settings
from ..errors import BacklogFull, ConfigurationError, IdempotencyConflict, JournalUnavailable
from ..journal.appended import OnRefusal
from ..publishing.store import store
from ..redaction import package_logger, printable
from ..wiring.app import app_named
from ..wiring.doorbell import load_client
from .figures import ReadFigures
from .relay_health import RelayState, beat, watched
from .row import EventRow

__all__ = [
    "INTERVAL_S",
    "MAX_ROWS",
    "Move",
    "Moved",
    "ParkedRow",
    "Relayed",
    "append",
    "describe_parked",
    "relay",
    "relayed_apps",
    "rows_before_gap",
    "run",
]

logger = package_logger("sockudo_publisher.outbox")

load_client()

#: Rows of one batch: at most 2 MB of events of the default size in one flush, with about 10 ms of row locks.
MAX_ROWS = 200

#: Seconds between two passes over the table: on average, a committed event waits half of it.
INTERVAL_S = 0.25

#: Parked rows that a text names; further ones are counted.
MAX_NAMED = 3


@dataclass(frozen=True)
class Moved:
    """The result of one batch. The caller's transaction deletes and parks the rows accordingly, and commits.

    ``read``: the number of rows read. ``stored``: ids of the rows that are in the journal: delete them.
    ``already_stored``: how many of them an earlier attempt, or another relay, had appended. ``parked``: row id -> why
    the row can never be appended: write it into the row, so that the row no longer blocks later ones. ``waiting``:
    app -> why its other rows stay in the table for now.
    """

    read: int = 0
    stored: Sequence[int] = ()
    already_stored: int = 0
    parked: Mapping[int, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)


#: ``move(max_rows, without)``: read the first rows by id that are not parked and not of the apps ``without``, with row
#: locks where the database has them; :func:`append` them; delete and park as the result says; commit.
Move: TypeAlias = Callable[[int, frozenset[str]], Moved]


@dataclass(frozen=True)
class Relayed:
    """The result of one pass over the table. ``waiting``: app -> why its rows stay; empty: no app has to wait."""

    stored: int = 0
    already_stored: int = 0
    parked: int = 0
    waiting: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ParkedRow:
    """A row that no relay tries again, and why; it stays in the table until a person deletes or releases it."""

    id: int
    app: str
    channel: str
    message_id: str
    reason: str


def append(rows: Sequence[EventRow]) -> Moved:
    """Append rows in the order given, one append per app, and ring their lanes. Raises no error of this package.

    When an app's rows cannot be appended (Redis is unreachable, a lane is full, the settings lack the app), all rows of
    the app wait, because a later row must not overtake an earlier one. The other apps' rows are appended.
    """
    by_app: dict[str, list[EventRow]] = {}
    for row in rows:
        by_app.setdefault(row.app, []).append(row)
    stored: list[int] = []
    already = 0
    parked: dict[int, str] = {}
    waiting: dict[str, str] = {}
    for name, of_app in by_app.items():
        one = _append_rows_of_app(name, of_app)
        stored += one.stored
        already += one.already_stored
        parked.update(one.parked)
        waiting.update(one.waiting)
    return Moved(len(rows), stored, already, parked, waiting)


def _append_rows_of_app(name: str, rows: list[EventRow]) -> Moved:
    try:
        # Each row on its own: a refused row does not stop the others.
        appended = store(app_named(name), [row.keyed_item() for row in rows], on_refusal=OnRefusal.SKIP)
    except (JournalUnavailable, BacklogFull, ConfigurationError) as error:
        return Moved(len(rows), waiting={name: f"{_named(rows[0])}: {error}"})
    parked: dict[int, str] = {}
    waiting: dict[str, str] = {}
    for index, refusal in appended.refused.items():
        row = rows[index]
        if isinstance(refusal, IdempotencyConflict):
            parked[row.id] = f"conflict: {refusal}"
            logger.error(
                "row parked row=%d app=%s channel=%s message_id=%s: %s",
                *(row.id, name, row.channel, row.message_id, refusal),
                extra={"row": row.id, "app": name, "channel": row.channel, "message_id": row.message_id},
            )
        else:
            waiting.setdefault(name, f"{_named(row)}: {refusal}")
    stored = [row.id for index, row in enumerate(rows) if index not in appended.refused]
    return Moved(len(rows), stored, len(appended.already_stored), parked, waiting)


def _named(row: EventRow | ParkedRow) -> str:
    """The fields by which a person finds a row."""
    return printable(f"row={row.id} channel={row.channel} message_id={row.message_id}")


def describe_parked(count: int, first: Sequence[ParkedRow]) -> str:
    """How many rows are parked, and the first of them with their reasons; ``""`` for none."""
    if not count:
        return ""
    named = [f"{_named(row)} app={row.app}: {row.reason}" for row in first[:MAX_NAMED]]
    more = [f"and {count - len(named)} more"] if count > len(named) else []
    return f"{count} parked, not tried again: {'; '.join(named + more)}"


def relayed_apps() -> str:
    """The names of the apps whose rows a relay moves, for a log line; ``-``: the settings name none."""
    try:
        return ",".join(sorted(get_settings().app_urls())) or "-"
    except ConfigurationError:
        return "-"  # the rows wait, with this error as the reason


def rows_before_gap(head: Iterable[int], locked: Sequence[EventRow]) -> Sequence[EventRow]:
    """The locked rows before the first row of the ``head`` that could not be locked. Pure.

    Another relay has that row. The rows after it stay for that relay or a later pass: their channel may be the same.
    """
    locked_ids = {row.id for row in locked}
    count = 0
    for row_id in head:
        if row_id not in locked_ids:
            break
        count += 1
    return locked[:count]


def relay(move: Move, *, max_rows: int = MAX_ROWS, stop: threading.Event | None = None) -> Relayed:
    """Make one pass: move batch after batch, until a batch is not full (the rest is parked, waits, or is locked).

    Every full batch stores or parks a row or finds an app that has to wait. So a pass ends, unless the application
    inserts rows as fast as the relay moves them; ``stop`` ends it between two batches.
    """
    stored, already, parked = 0, 0, 0
    waiting: dict[str, str] = {}
    while True:
        moved = move(max_rows, frozenset(waiting))
        beat()
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
    read_figures: ReadFigures | None = None,
    wait: Callable[[float], object] | None = None,
) -> Relayed:
    """Make one pass after another, until ``stop`` is set. Continues after errors of the database (``failures``).

    ``wait(every_s)`` waits between two passes; by default for that time, :meth:`.listen.Listener.wait` for less.

    Logs why rows wait once, when the trouble begins, and once when it is over; not at every pass. Returns the sums of
    all passes, with the reasons of the last one. Serves ``/healthz``, ``/readyz`` and ``/metrics``, there with what
    ``read_figures`` counts, if ``SOCKUDO_METRICS_PORT`` is set, and raises :class:`ConfigurationError` if that port is
    taken.
    """
    stop = stop or threading.Event()
    with watched(every_s, read_figures) as state:
        return _run_passes(once, failures, partial(wait or stop.wait, every_s), stop, state)


def _run_passes(
    once: Callable[[], Relayed],
    failures: tuple[type[Exception], ...],
    wait: Callable[[], object],
    stop: threading.Event,
    state: RelayState,
) -> Relayed:
    trouble: Mapping[str, str] = {}
    total = Relayed()
    while not stop.is_set():
        try:
            done = once()
            now = done.waiting
            total = Relayed(
                total.stored + done.stored,
                total.already_stored + done.already_stored,
                total.parked + done.parked,
                now,
            )
        except failures as error:
            now = {"": f"the database failed ({type(error).__name__})"}  # the error's text may hold a payload
        state.passed(now)
        for name, why in now.items():
            if name not in trouble:
                if name:
                    logger.warning("rows wait app=%s: %s", name, why, extra={"app": name})
                else:
                    logger.warning("rows wait: %s", why)
        if trouble and not now:
            logger.info("rows are moved again")
        trouble = now
        wait()
    return total

"""Records rows of an outbox when their transaction commits; a rollback, also to a savepoint, drops them.

Django calls back (``transaction.on_commit``); SQLAlchemy has events of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..outbox.row import EventRow
    from .recorder import Recorder

__all__ = ["PendingRows", "WatchedCommits"]


class PendingRows:
    """The rows of one transaction that is not committed, and which of them belong to which savepoint. Pure."""

    def __init__(self) -> None:
        self._rows: list[EventRow] = []
        self._before: dict[str, int] = {}

    def add(self, rows: Sequence[EventRow]) -> None:
        """Rows that were inserted."""
        self._rows += rows

    def begin_savepoint(self, name: str) -> None:
        """Rows from here on belong to a savepoint."""
        self._before[name] = len(self._rows)

    def roll_back_to(self, name: str) -> None:
        """Drop the rows after a savepoint. One that began before the first row is not known: all are after it."""
        del self._rows[self._before.get(name, 0) :]

    def take(self) -> list[EventRow]:
        """All that is left, at the end of the transaction."""
        rows, self._rows = self._rows, []
        self._before.clear()
        return rows


class WatchedCommits:
    """Watches the transactions of one recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pending: dict[int, tuple[Any, PendingRows]] = {}
        self._stops: list[Callable[[], None]] = []

    def after_django(self, _: None, rows: Sequence[EventRow], using: str | None) -> None:
        """After an insert by Django."""
        if self._recorder.immediate_on_commit:
            self._recorder.append_rows(rows)
            return
        from django.db import router, transaction

        from ..outbox.django.models import OutboxRow

        record = self._recorder.append_rows
        transaction.on_commit(lambda: record(rows), using=using or router.db_for_write(OutboxRow))

    def after_sqlalchemy(self, result: Any, _: Any, __: Any, rows: Sequence[EventRow]) -> None:
        """After an insert by SQLAlchemy; ``result`` names the connection."""
        if self._recorder.immediate_on_commit:
            self._recorder.append_rows(rows)
            return
        connection = result.context.root_connection
        if id(connection) not in self._pending:
            self._watch(connection)
        self._pending[id(connection)][1].add(rows)

    def stop(self) -> None:
        """Watch no more."""
        while self._stops:
            self._stops.pop()()
        self._pending.clear()

    def _watch(self, connection: Any) -> None:
        from sqlalchemy import event
        from sqlalchemy.sql.elements import SavepointClause

        pending = PendingRows()
        # The connection is kept: another one may get the same id.
        self._pending[id(connection)] = connection, pending

        def record(*_: Any) -> None:
            rows = pending.take()
            if rows:
                self._recorder.append_rows(rows)

        def drop(*_: Any) -> None:
            pending.take()

        def begin_savepoint(_connection: Any, clause: Any, *_: Any) -> None:
            # The event `savepoint` comes before the savepoint has a name.
            if isinstance(clause, SavepointClause):
                pending.begin_savepoint(clause.ident)

        for name, listener in (
            ("commit", record),
            ("commit_twophase", lambda _connection, _xid, _is_prepared: record()),
            ("rollback", drop),
            ("rollback_twophase", lambda _connection, _xid, _is_prepared: drop()),
            ("before_execute", begin_savepoint),
            ("rollback_savepoint", lambda _connection, name, _context: pending.roll_back_to(name)),
        ):
            event.listen(connection, name, listener)
            self._stops.append(lambda name=name, listener=listener: event.remove(connection, name, listener))  # type: ignore[misc]

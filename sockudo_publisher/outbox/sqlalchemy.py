"""The outbox for SQLAlchemy 2: a table in your metadata, ``add`` in your session, a relay on your engine.

Alone in importing SQLAlchemy: ``pip install 'sockudo-publisher[sqlalchemy]'``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from ..publishing.call import PublishCall
from .relay import INTERVAL_S, MAX_ROWS, Moved, Relayed, append, relay, rows_before_gap, run
from .row import CHANNEL_CHARACTERS, COLUMNS, FINGERPRINT_CHARACTERS, MESSAGE_ID_CHARACTERS, EventRow, build_rows

__all__ = ["Outbox"]

#: Databases whose ``SELECT`` takes no row locks: every statement for itself there, see :meth:`Outbox._move`.
_WITHOUT_ROW_LOCKS = frozenset({"sqlite"})


class Outbox:
    """A table of events that wait for their relay.

    ``metadata``: yours, so that ``create_all`` and Alembic know the table (``outbox.table``); ``name`` and
    ``schema`` of it. One object serves all threads; events of all apps go into it.
    """

    def __init__(self, metadata: MetaData, name: str = "sockudo_outbox", *, schema: str | None = None) -> None:
        self.table = Table(
            name,
            metadata,
            # 64 bits; SQLite numbers nothing but an INTEGER, which has 64 there.
            Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
            Column("app", Text, nullable=False),
            Column("channel", String(CHANNEL_CHARACTERS), nullable=False),
            Column("message_id", String(MESSAGE_ID_CHARACTERS), nullable=False),
            Column("fingerprint", String(FINGERPRINT_CHARACTERS), nullable=False),
            Column("body", LargeBinary, nullable=False),
            # Why it will never be appended; such a row waits for a person.
            Column("parked", Text, nullable=True),
            Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
            schema=schema,
            # An id is never given twice: a slow relay that deletes what it has appended, and another one has deleted
            # before, must not meet a new row under that id. (PostgreSQL's sequences never go back.)
            sqlite_autoincrement=True,
        )

    def add(
        self,
        session: Session | scoped_session[Session] | Connection,
        channel: str | Sequence[str],
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        app: str | None = None,
    ) -> str:
        """Insert an event in the session's transaction: it goes out if that commits. Returns its message id.

        The arguments are those of ``publish.delay``. Raises :class:`ValidationError` before anything is
        inserted. With an ``AsyncSession``: ``await session.run_sync(outbox.add, channel, event, data)``.
        """
        rows = build_rows(PublishCall(channel, event, data, key, socket_id, tags, extras, app))
        session.execute(insert(self.table), [row.columns() for row in rows])
        return rows[0].message_id

    def relay(self, engine: Engine, *, batch: int = MAX_ROWS, stop: threading.Event | None = None) -> Relayed:
        """Move what is committed to the journal, in batches, and return.

        Raises what the database raises; then nothing is lost, and what was appended is not appended again.
        """
        return relay(partial(self._move, engine), max_rows=batch, stop=stop)

    def run(
        self,
        engine: Engine,
        *,
        every_s: float = INTERVAL_S,
        batch: int = MAX_ROWS,
        stop: threading.Event | None = None,
    ) -> None:
        """Relay again and again, ``every_s`` seconds apart, until ``stop`` is set; survives a database that is away."""
        once = partial(self.relay, engine, batch=batch, stop=stop)
        run(once, failures=(SQLAlchemyError,), every_s=every_s, stop=stop)

    def _move(self, engine: Engine, max_rows: int, without: frozenset[str]) -> Moved:
        """One batch (:data:`.relay.Move`)."""
        if engine.dialect.name in _WITHOUT_ROW_LOCKS:
            # SQLite locks everything: no transaction is open while Redis is waited for.
            with engine.connect() as connection:
                rows = _rows(connection, self._head(max_rows, without, *self._item_columns()))
            moved = append(rows)
            if rows:
                with engine.begin() as connection:
                    self._settle(connection, moved)
            return moved
        with engine.begin() as connection:
            moved = append(self._lock(connection, max_rows, without))
            self._settle(connection, moved)
        return moved

    def _item_columns(self) -> list[Column[Any]]:
        return [self.table.c[name] for name in COLUMNS]

    def _head(self, max_rows: int, without: frozenset[str], *columns: Column[Any]) -> Select[Any]:
        table = self.table.c
        query = select(*columns).where(table.parked.is_(None))
        if without:
            query = query.where(table.app.not_in(sorted(without)))
        return query.order_by(table.id).limit(max_rows)

    def _lock(self, connection: Connection, max_rows: int, without: frozenset[str]) -> Sequence[EventRow]:
        row_id = self.table.c.id
        head = list(connection.scalars(self._head(max_rows, without, row_id)))
        if not head:
            return ()
        these = select(*self._item_columns()).where(row_id.in_(head)).order_by(row_id)
        return rows_before_gap(head, _rows(connection, these.with_for_update(skip_locked=True)))

    def _settle(self, connection: Connection, moved: Moved) -> None:
        row_id = self.table.c.id
        if moved.stored:
            connection.execute(delete(self.table).where(row_id.in_(moved.stored)))
        for parked_id, why in moved.parked.items():
            connection.execute(update(self.table).where(row_id == parked_id).values(parked=why))


def _rows(connection: Connection, query: Select[Any]) -> list[EventRow]:
    return [EventRow.read(columns) for columns in connection.execute(query)]

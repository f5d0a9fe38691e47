"""The outbox for SQLAlchemy 2: a table in your metadata, ``add`` in your session, a relay on your engine.

The only module that imports SQLAlchemy: ``pip install 'sockudo-publisher[sqlalchemy]'``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

try:
    from sqlalchemy import (
        BigInteger,
        Column,
        Connection,
        DateTime,
        Engine,
        Integer,
        LargeBinary,
        MetaData,
        Result,
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
    from sqlalchemy.exc import SQLAlchemyError, StatementError
    from sqlalchemy.orm import Session, scoped_session
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    raise ModuleNotFoundError(
        "the outbox for SQLAlchemy needs an extra (not installed: sqlalchemy): "
        "pip install 'sockudo-publisher[sqlalchemy]'",
        name=error.name,
    ) from None

from ..client.wire.extras import ExtrasLike
from ..publishing.call import PublishCall
from ..redaction.frame_locals import without_locals
from .relay import (
    INTERVAL_S,
    MAX_ROWS,
    Moved,
    ParkedRow,
    Relayed,
    append,
    logger,
    relay,
    relayed_apps,
    rows_before_gap,
    run,
)
from .row import CHANNEL_CHARACTERS, COLUMNS, FINGERPRINT_CHARACTERS, MESSAGE_ID_CHARACTERS, EventRow, build_rows

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

__all__ = ["Outbox"]

#: Databases without row locks in ``SELECT``: no transaction around a whole batch there, see :meth:`Outbox._move`.
_WITHOUT_ROW_LOCKS = frozenset({"sqlite"})


class Outbox:
    """A table of events that wait for their relay.

    ``metadata``: your metadata, so that ``create_all`` and Alembic know the table (``outbox.table``). ``name`` and
    ``schema`` are the table's. One object serves all threads; the table holds the events of all apps.
    """

    def __init__(self, metadata: MetaData, name: str = "sockudo_outbox", *, schema: str | None = None) -> None:
        self.table = Table(
            name,
            metadata,
            # 64 bits. SQLite can number only an INTEGER, which has 64 bits there.
            Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
            Column("app", Text, nullable=False),
            Column("channel", String(CHANNEL_CHARACTERS), nullable=False),
            Column("message_id", String(MESSAGE_ID_CHARACTERS), nullable=False),
            Column("fingerprint", String(FINGERPRINT_CHARACTERS), nullable=False),
            Column("body", LargeBinary, nullable=False),
            # Why the row can never be appended; such a row waits for an operator.
            Column("parked", Text, nullable=True),
            Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
            schema=schema,
            # Never reuse an id: a slow relay deletes the ids that it has appended, and another relay may already have
            # deleted them. A new row must not have such an id. (PostgreSQL's sequences never go back.)
            sqlite_autoincrement=True,
        )

    @without_locals
    def add(
        self,
        session: Session | scoped_session[Session] | Connection,
        channel: str | Sequence[str] | None,
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: ExtrasLike | None = None,
        app: str | None = None,
        delta: bool | None = None,
        user_id: str | None = None,
    ) -> str:
        """Insert an event in the session's transaction: it is published if that commits. Returns its message id.

        The arguments are those of ``publish.delay``. Raises :class:`ValidationError` before anything is
        inserted, and :class:`TypeError` for an ``AsyncSession``, which takes :meth:`aadd`.
        """
        if _is_async(session):
            raise TypeError(f"add() got {_type_name(session)}: call await outbox.aadd(session, channel, event, data)")
        rows = build_rows(PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id))
        self._insert(session, rows)
        return rows[0].message_id

    @without_locals
    async def aadd(
        self,
        session: AsyncSession | async_scoped_session[AsyncSession] | AsyncConnection,
        channel: str | Sequence[str] | None,
        event: str,
        data: Any,
        *,
        key: str | None = None,
        socket_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: ExtrasLike | None = None,
        app: str | None = None,
        delta: bool | None = None,
        user_id: str | None = None,
    ) -> str:
        """As :meth:`add`, in the transaction of SQLAlchemy's asynchronous session or connection.

        Cancelled during the insert, SQLAlchemy ends the transaction or the connection: the event is published if the
        transaction commits, as with any other statement. Raises :class:`TypeError` for a session that is not
        asynchronous.
        """
        if not _is_async(session):
            raise TypeError(
                f"aadd() got {_type_name(session)}, expected an AsyncSession or an AsyncConnection; "
                "a Session takes outbox.add(session, channel, event, data)"
            )
        rows = build_rows(PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id))
        if not hasattr(session, "run_sync"):  # a scoped session: that of the current task
            session = session()
        await session.run_sync(self._insert, rows)
        return rows[0].message_id

    def _insert(self, session: Session | scoped_session[Session] | Connection, rows: Sequence[EventRow]) -> Result[Any]:
        """Insert rows in the session's transaction. A recorder sees them here."""
        try:
            return session.execute(insert(self.table), [row.columns() for row in rows])
        except StatementError as error:
            # Its text quotes the parameters, and one of them is the payload.
            error.hide_parameters, error.params = True, None
            raise

    def relay(self, engine: Engine, *, batch: int = MAX_ROWS, stop: threading.Event | None = None) -> Relayed:
        """Move the committed rows to the journal, in batches, and return.

        Raises the errors of the database: no event is lost then, and none is stored twice.
        """
        return relay(partial(self._move, engine), max_rows=batch, stop=stop)

    def run(
        self,
        engine: Engine,
        *,
        every_s: float = INTERVAL_S,
        batch: int = MAX_ROWS,
        stop: threading.Event | None = None,
    ) -> Relayed:
        """Relay every ``every_s`` seconds until ``stop`` is set; continues after errors of the database.

        Returns the sums of all passes. Logs its start and its end at INFO (``sockudo_publisher.outbox``).
        """
        where = {"table": self.table.fullname, "database": engine.dialect.name, "apps": relayed_apps()}
        logger.info(
            "relay started table=%s database=%s apps=%s every_s=%s",
            *(*where.values(), every_s),
            extra={**where, "every_s": every_s},
        )
        once = partial(self.relay, engine, batch=batch, stop=stop)
        done = run(once, failures=(SQLAlchemyError,), every_s=every_s, stop=stop)
        logger.info(
            "relay ended table=%s stored=%d already_stored=%d parked=%d",
            *(self.table.fullname, done.stored, done.already_stored, done.parked),
            extra={**where, "stored": done.stored, "already_stored": done.already_stored, "parked": done.parked},
        )
        return done

    def parked(self, engine: Engine, *, limit: int = 100) -> list[ParkedRow]:
        """The first ``limit`` rows by id that can never be appended, with their reasons. No relay tries them again."""
        table = self.table.c
        columns = (table.id, table.app, table.channel, table.message_id, table.parked)
        query = select(*columns).where(table.parked.is_not(None)).order_by(table.id).limit(limit)
        with engine.connect() as connection:
            return [ParkedRow(*row) for row in connection.execute(query)]

    def _move(self, engine: Engine, max_rows: int, without: frozenset[str]) -> Moved:
        """One batch (:data:`.relay.Move`)."""
        if engine.dialect.name in _WITHOUT_ROW_LOCKS:
            # SQLite locks the whole database: keep no transaction open during the append to Redis.
            with engine.connect() as connection:
                rows = _read_rows(connection, self._select_head(max_rows, without, *self._item_columns()))
            moved = append(rows)
            if rows:
                with engine.begin() as connection:
                    self._settle_rows(connection, moved)
            return moved
        with engine.begin() as connection:
            moved = append(self._lock_rows(connection, max_rows, without))
            self._settle_rows(connection, moved)
        return moved

    def _item_columns(self) -> list[Column[Any]]:
        return [self.table.c[name] for name in COLUMNS]

    def _select_head(self, max_rows: int, without: frozenset[str], *columns: Column[Any]) -> Select[Any]:
        table = self.table.c
        query = select(*columns).where(table.parked.is_(None))
        if without:
            query = query.where(table.app.not_in(sorted(without)))
        return query.order_by(table.id).limit(max_rows)

    def _lock_rows(self, connection: Connection, max_rows: int, without: frozenset[str]) -> Sequence[EventRow]:
        row_id = self.table.c.id
        head = list(connection.scalars(self._select_head(max_rows, without, row_id)))
        if not head:
            return ()
        these = select(*self._item_columns()).where(row_id.in_(head)).order_by(row_id)
        return rows_before_gap(head, _read_rows(connection, these.with_for_update(skip_locked=True)))

    def _settle_rows(self, connection: Connection, moved: Moved) -> None:
        row_id = self.table.c.id
        if moved.stored:
            connection.execute(delete(self.table).where(row_id.in_(moved.stored)))
        for parked_id, why in moved.parked.items():
            connection.execute(update(self.table).where(row_id == parked_id).values(parked=why))


def _is_async(session: object) -> bool:
    """Whether it is one of SQLAlchemy's asynchronous sessions or connections. If there is one, its module is loaded."""
    asyncio = sys.modules.get("sqlalchemy.ext.asyncio")
    return asyncio is not None and isinstance(
        session, (asyncio.AsyncSession, asyncio.AsyncConnection, asyncio.async_scoped_session)
    )


def _type_name(value: object) -> str:
    return f"a {type(value).__name__}"


def _read_rows(connection: Connection, query: Select[Any]) -> list[EventRow]:
    return [EventRow.from_columns(columns) for columns in connection.execute(query)]

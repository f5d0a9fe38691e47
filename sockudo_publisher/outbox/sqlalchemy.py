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
        case,
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
from ..errors import ConfigurationError
from ..publishing.call import PublishCall
from ..redaction.frame_locals import without_locals
from .figures import OutboxFigures
from .listen import LISTEN, NOTIFY, Listener
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
from .row import (
    CHANNEL_CHARACTERS,
    COLLAPSE_CHARACTERS,
    COLUMNS,
    FINGERPRINT_CHARACTERS,
    MESSAGE_ID_CHARACTERS,
    EventRow,
    build_rows,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

__all__ = ["Outbox"]

#: Databases without row locks in ``SELECT``: no transaction around a whole batch there, see :meth:`Outbox._move`.
_WITHOUT_ROW_LOCKS = frozenset({"sqlite"})


class Outbox:
    """A table of events that wait for their relay.

    ``metadata``: your metadata, so that ``create_all`` and Alembic know the table (``outbox.table``). ``name`` and
    ``schema`` are the table's. ``notify``: wake a relay that listens at each commit (PostgreSQL; elsewhere nothing).
    One object serves all threads; the table holds the events of all apps.
    """

    def __init__(
        self, metadata: MetaData, name: str = "sockudo_outbox", *, schema: str | None = None, notify: bool = False
    ) -> None:
        self._notify = notify
        self.table = Table(
            name,
            metadata,
            # 64 bits. SQLite can number only an INTEGER, which has 64 bits there.
            Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
            Column("app", Text, nullable=False),
            Column("channel", String(CHANNEL_CHARACTERS), nullable=False),
            Column("message_id", String(MESSAGE_ID_CHARACTERS), nullable=False),
            Column("fingerprint", String(FINGERPRINT_CHARACTERS), nullable=False),
            # MySQL's BLOB ends at 64 KB, SOCKUDO_MAX_EVENT_BYTES may be above; with a length it takes a larger type.
            Column("body", LargeBinary().with_variant(LargeBinary(2**32 - 1), "mysql", "mariadb"), nullable=False),
            Column("collapse", String(COLLAPSE_CHARACTERS), nullable=False, server_default=""),
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
        collapse: str | None = None,
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
        rows = build_rows(
            PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id, collapse)
        )
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
        collapse: str | None = None,
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
        rows = build_rows(
            PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id, collapse)
        )
        if not hasattr(session, "run_sync"):  # a scoped session: that of the current task
            session = session()
        await session.run_sync(self._insert, rows)
        return rows[0].message_id

    def _insert(self, session: Session | scoped_session[Session] | Connection, rows: Sequence[EventRow]) -> Result[Any]:
        """Insert rows in the session's transaction. A recorder sees them here."""
        try:
            result = session.execute(insert(self.table), [row.columns() for row in rows])
            if self._notify:
                _notify_relay(result)
            return result
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
        listen: bool = False,
    ) -> Relayed:
        """Relay every ``every_s`` seconds until ``stop`` is set; continues after errors of the database.

        ``listen``: also after each commit of a process whose ``Outbox`` has ``notify=True``. Needs PostgreSQL with
        psycopg or psycopg2, else it raises :class:`ConfigurationError`. Returns the sums of all passes. Logs its start
        and its end at INFO (``sockudo_publisher.outbox``).
        """
        where = {"table": self.table.fullname, "database": engine.dialect.name, "apps": relayed_apps()}
        logger.info(
            "relay started table=%s database=%s apps=%s every_s=%s",
            *(*where.values(), every_s),
            extra={**where, "every_s": every_s},
        )
        once = partial(self.relay, engine, batch=batch, stop=stop)
        figures = partial(self.figures, engine)
        stop = stop or threading.Event()
        listener = _open_listener(engine, stop) if listen else None
        try:
            wait = None if listener is None else listener.wait
            done = run(once, failures=(SQLAlchemyError,), every_s=every_s, stop=stop, wait=wait, read_figures=figures)
        finally:
            if listener is not None:
                listener.close()
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

    def figures(self, engine: Engine) -> list[OutboxFigures]:
        """Count the rows of each app. Ages are by the database's clock, which wrote the rows' times."""
        table = self.table.c
        waiting = case((table.parked.is_(None), 1))
        oldest = func.min(case((table.parked.is_(None), table.created_at)))
        query = select(table.app, func.count(waiting), oldest, func.count(table.parked), func.now())
        with engine.connect() as connection:
            return [
                OutboxFigures(app, count, max(0.0, (now - first).total_seconds()) if first else 0.0, parked)
                for app, count, first, parked, now in connection.execute(query.group_by(table.app))
            ]

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


def _notify_relay(result: Result[Any]) -> None:
    connection = result.context.root_connection  # type: ignore[attr-defined] # of an insert
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(NOTIFY)


def _open_listener(engine: Engine, stop: threading.Event) -> Listener:
    if engine.dialect.name != "postgresql":
        raise ConfigurationError(f"listen: needs PostgreSQL, the database is {engine.dialect.name}")

    errors: type[Exception] = engine.dialect.loaded_dbapi.Error

    def connect() -> Any:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()  # a connection that listens must not go back to the pool
        try:
            driver.autocommit = True
            driver.cursor().execute(LISTEN)
        except errors:
            driver.close()
            raise
        return driver

    return Listener(connect, failures=(SQLAlchemyError, errors), stop=stop)


def _read_rows(connection: Connection, query: Select[Any]) -> list[EventRow]:
    return [EventRow.from_columns(columns) for columns in connection.execute(query)]

"""`aadd` in SQLAlchemy's asynchronous sessions, on real databases: commit, rollback, savepoints, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

from sockudo_publisher import ValidationError
from sockudo_publisher.testing import Published
from tests.integration.outbox.sqlalchemy_app import engine as sync_engine
from tests.integration.outbox.sqlalchemy_app import metadata, orders, outbox

pytestmark = pytest.mark.integration


@pytest.fixture(params=["aiosqlite", "psycopg", "asyncpg"])
def driver(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def databases(driver: str, request: pytest.FixtureRequest, tmp_path) -> Iterator[tuple[str, Engine]]:
    """The asynchronous URL of an empty database with the tables, and a synchronous engine for the relay."""
    if driver == "aiosqlite":
        url = f"sqlite:///{tmp_path}/app.sqlite3"
    else:
        server = request.getfixturevalue("postgres")
        name = f"test_{driver}"
        server.run(f"CREATE DATABASE {name}")
        url = server.url(name)
    engine = sync_engine(url)
    metadata.create_all(engine)
    yield url.replace(":", f"+{driver}:", 1), engine
    engine.dispose()
    if driver != "aiosqlite":
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def run(url: str, work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    """Run `work` with an engine of its own, in a loop of its own."""

    async def main() -> None:
        async with connected(url) as engine:
            await work(engine)

    asyncio.run(main())


def test_committed_events_are_published(databases, journal) -> None:
    """In the order of the calls, several channels too, with all options; nothing before the commit."""
    url, relaying = databases

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(orders.insert().values(id=1))
            for number in range(5):
                message_id = await outbox.aadd(session, "orders", "n", number, key=f"k-{number}")
                assert message_id == f"k-{number}"
            await outbox.aadd(session, ["orders", "audit"], "n", 5, tags={"t": "x"}, delta=False)
            await outbox.aadd(session, None, "n", 6, user_id="42")
            assert journal() == []
        async with engine.begin() as connection:
            await outbox.aadd(connection, "core", "n", 7)

    run(url, work)
    assert outbox.relay(relaying).stored == 9
    assert journal("orders") == list(range(6))
    assert (journal("audit"), journal("#server-to-user-42"), journal("core")) == ([5], [6], [7])


def test_rolled_back_events_are_not_published(databases, journal) -> None:
    """With the transaction, with an error inside of it, or with a savepoint."""
    url, relaying = databases

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            await outbox.aadd(session, "orders", "n", 1)
            await session.rollback()
        async with AsyncSession(engine) as session:
            await outbox.aadd(session, "orders", "n", 2)
            await session.execute(orders.insert().values(id=1))
            with pytest.raises(IntegrityError):
                await session.execute(orders.insert().values(id=1))
            await session.rollback()
        async with AsyncSession(engine) as session, session.begin():
            await outbox.aadd(session, "orders", "n", 3)
            async with session.begin_nested() as savepoint:
                await outbox.aadd(session, "orders", "n", 4)
                await savepoint.rollback()
            async with session.begin_nested():
                await outbox.aadd(session, "orders", "n", 5)

    run(url, work)
    outbox.relay(relaying)
    assert journal("orders") == [3, 5]


def test_cancelled_transaction_publishes_nothing(databases, journal) -> None:
    """A task that is cancelled between the insert and the commit, and one whose next task goes on."""
    url, relaying = databases

    async def work(engine: AsyncEngine) -> None:
        inserted = asyncio.Event()

        async def place() -> None:
            async with AsyncSession(engine) as session, session.begin():
                await outbox.aadd(session, "orders", "n", 1)
                inserted.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(place())
        await inserted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with AsyncSession(engine) as session, session.begin():
            await outbox.aadd(session, "orders", "n", 2)

    run(url, work)
    outbox.relay(relaying)
    assert journal("orders") == [2]


def test_scoped_session_is_that_of_the_task(databases, journal) -> None:
    url, relaying = databases

    async def work(engine: AsyncEngine) -> None:
        scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        await outbox.aadd(scoped, "orders", "n", 1)
        await scoped.commit()
        await outbox.aadd(scoped, "orders", "n", 2)
        await scoped.remove()  # rolls back

    run(url, work)
    outbox.relay(relaying)
    assert journal("orders") == [1]


def test_bad_input_inserts_nothing(databases, journal) -> None:
    url, relaying = databases

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            with pytest.raises(ValidationError, match="data: 20000 bytes, limit 10240"):
                await outbox.aadd(session, "orders", "n", "x" * 20_000)
            with pytest.raises(ValidationError, match="user_id: given together with channel"):
                await outbox.aadd(session, "orders", "n", 1, user_id="42")
            await outbox.aadd(session, "orders", "n", 2)

    run(url, work)
    outbox.relay(relaying)
    assert journal("orders") == [2]


def test_failed_insert_shows_no_payload(databases, environ) -> None:
    """The error of the database has no parameters: one of them is the event."""
    url, relaying = databases
    outbox.table.drop(relaying)

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            with pytest.raises(Exception, match="sockudo_outbox") as caught:
                await outbox.aadd(session, "orders", "n", "the payload")
            assert "the payload" not in str(caught.value)
            assert "the payload" not in repr(caught.value)

    run(url, work)


@pytest.mark.parametrize("kind", ["session", "connection", "scoped"])
def test_add_refuses_an_asynchronous_session(kind: str, environ) -> None:
    """It would only make a coroutine that is never awaited, and lose the event."""
    engine = create_async_engine("sqlite+aiosqlite://")
    sessions = {
        "session": AsyncSession(engine),
        "connection": AsyncConnection(engine),
        "scoped": async_scoped_session(async_sessionmaker(engine), lambda: 1),
    }
    with pytest.raises(TypeError, match=r"add\(\) got a \w+: call await outbox.aadd\("):
        outbox.add(sessions[kind], "orders", "n", 1)


def test_aadd_refuses_a_synchronous_session(environ) -> None:
    async def work() -> None:
        with Session(create_engine("sqlite://")) as session:
            await outbox.aadd(session, "orders", "n", 1)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"aadd\(\) got a Session, expected an AsyncSession"):
        asyncio.run(work())


def test_recorder_records_at_the_commit(published: Published, tmp_path) -> None:
    """As `add`: dropped by a rollback, also to a savepoint."""
    url = f"sqlite:///{tmp_path}/app.sqlite3"
    metadata.create_all(create_engine(url))

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await outbox.aadd(session, "kept", "e", {"n": 1}, key="k", delta=False)
            async with session.begin_nested() as savepoint:
                await outbox.aadd(session, "lost", "e", 2)
                await savepoint.rollback()
            published.assert_none()
        async with AsyncSession(engine) as session:
            await outbox.aadd(session, "lost", "e", 3)
            await session.rollback()

    run(url.replace("sqlite", "sqlite+aiosqlite", 1), work)
    event = published.assert_one("kept", "e", {"n": 1}, via="outbox", key="k", delta=False)
    assert event.given == {"n": 1}
    assert len(published) == 1

"""The SQLAlchemy outbox under a recorder: recorded at the commit, dropped by a rollback, also to a savepoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, MetaData, create_engine, func, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from sockudo_publisher import JournalUnavailable, ValidationError
from sockudo_publisher.outbox.sqlalchemy import Outbox
from sockudo_publisher.testing import Published, capture_published

pytestmark = pytest.mark.integration

metadata = MetaData()
outbox = Outbox(metadata)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_a_commit_records(engine: Engine, published: Published) -> None:
    with Session(engine) as session, session.begin():
        outbox.add(session, "orders", "shipped", {"id": 1}, key="k")
        outbox.add(session, ["a", "b"], "e", 2)
        published.assert_none()
    event = published.assert_one("orders", "shipped", {"id": 1})
    assert (event.via, event.key, event.given) == ("outbox", "k", {"id": 1})
    assert [event.key for event in published.named("e")] == [None, None]
    with engine.begin() as connection:
        outbox.add(connection, "core", "e", 3)
    published.assert_one("core", via="outbox")


def test_a_rollback_drops(engine: Engine, published: Published) -> None:
    with Session(engine) as session:
        outbox.add(session, "lost", "e", 1)
        session.rollback()
        outbox.add(session, "kept", "e", 2)
        session.commit()
    with engine.connect() as connection, connection.begin() as transaction:
        outbox.add(connection, "lost", "e", 3)
        transaction.rollback()
    assert [event.channel for event in published.events] == ["kept"]


def test_savepoints_are_honoured(engine: Engine, published: Published) -> None:
    with Session(engine) as session, session.begin():
        with session.begin_nested() as first:  # begins before the recorder knows of the connection
            outbox.add(session, "lost", "e", 1)
            first.rollback()
        outbox.add(session, "kept", "e", 2)
        with session.begin_nested():
            outbox.add(session, "kept", "e", 3)
            inner = session.begin_nested()
            outbox.add(session, "lost", "e", 4)
            inner.rollback()
            outbox.add(session, "kept", "e", 5)
    assert [event.data for event in published.on("kept")] == [2, 3, 5]
    published.assert_none("lost")


def test_a_relay_records_nothing_twice(engine: Engine, published: Published) -> None:
    """A test that runs the relay too: the rows are taken from the table, as already stored."""
    with Session(engine) as session, session.begin():
        outbox.add(session, "orders", "e", 1)
    relayed = outbox.relay(engine)
    assert (relayed.stored, relayed.already_stored) == (1, 1)
    published.assert_one("orders")
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(outbox.table)) == 0


def test_rows_of_before_are_recorded_by_the_relay(engine: Engine) -> None:
    with capture_published(), Session(engine) as session, session.begin():
        outbox.add(session, "orders", "e", {"id": 1})
    with capture_published() as published:
        outbox.relay(engine)
        assert published.assert_one("orders", data={"id": 1}).via == "outbox"


def test_the_journal_does_not_matter(engine: Engine, published: Published) -> None:
    """The outbox needs no journal, so an ordered failure of the journal is not its failure, but the relay's."""
    with published.fail(JournalUnavailable), Session(engine) as session, session.begin():
        outbox.add(session, "orders", "e", 1)
    published.assert_one("orders")
    with published.fail(JournalUnavailable):
        assert list(outbox.relay(engine).waiting) == ["default"]
    assert outbox.relay(engine).already_stored == 1
    with pytest.raises(ValidationError), Session(engine) as session:
        outbox.add(session, "a b", "e", 1)


@pytest.mark.sockudo(immediate_on_commit=True)
def test_immediate_needs_no_commit(engine: Engine, published: Published) -> None:
    with Session(engine) as session:
        outbox.add(session, "orders", "e", 1)
        published.assert_one("orders")
        session.rollback()
    assert outbox.relay(engine).stored == 0

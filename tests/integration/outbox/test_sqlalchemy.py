"""The outbox with SQLAlchemy on real databases: commit, rollback, kills, several relays, Redis away."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from sockudo_publisher import ValidationError, configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.outbox.relay import Relayed
from tests.integration.outbox.conftest import on
from tests.integration.outbox.sqlalchemy_app import orders, outbox
from tests.support.oracle import compare, numbers
from tests.support.parts import not_for_this_case
from tests.support.stack import Stack
from tests.support.warm import run_python, start_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
#: Events of each channel where relays die.
EACH = 12
APP = ["-m", "tests.integration.outbox.sqlalchemy_app"]


def left(engine: Engine) -> int:
    """Rows that are still in the table."""
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(outbox.table))


def parked(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(outbox.table.c.parked).where(outbox.table.c.parked.is_not(None))))


def place(engine: Engine, number: int, *, channel: str = "orders", **options: object) -> str:
    """One order with its event, committed."""
    with Session(engine) as session, session.begin():
        session.execute(orders.insert().values(id=number))
        return outbox.add(session, channel, "n", {"n": number}, **options)


def test_committed_events_go_out_once_in_order(engine: Engine, journal) -> None:
    """Those of one transaction in the order of the calls, batch by batch; the table is empty afterwards."""
    with Session(engine) as session, session.begin():
        for number in range(25):
            outbox.add(session, "orders", "n", number)
            outbox.add(session, ["orders", "audit"], "n", number + 100)
    assert journal() == [], "nothing is stored before the relay"
    assert outbox.relay(engine, batch=10).stored == 75
    assert journal("orders") == [n + extra for n in range(25) for extra in (0, 100)]
    assert journal("audit") == [n + 100 for n in range(25)]
    assert left(engine) == 0
    assert outbox.relay(engine).stored == 0


def test_rolled_back_events_never_go_out(engine: Engine, journal) -> None:
    """With the whole transaction, or with a savepoint of it."""
    with Session(engine) as session:
        session.execute(orders.insert().values(id=1))
        outbox.add(session, "orders", "n", 1)
        session.rollback()
    with Session(engine) as session, session.begin():
        outbox.add(session, "orders", "n", 2)
        savepoint = session.begin_nested()
        outbox.add(session, "orders", "n", 3)
        savepoint.rollback()
    outbox.relay(engine)
    assert journal("orders") == [2]


@on("sqlite")
def test_bad_input_raises_inside_the_transaction(engine: Engine, journal) -> None:
    """At the call, with nothing inserted; the transaction may go on."""
    with Session(engine) as session, session.begin():
        session.execute(orders.insert().values(id=1))
        with pytest.raises(ValidationError, match="data: 20000 bytes, limit 10240"):
            outbox.add(session, "orders", "n", "x" * 20_000)
        with pytest.raises(ValidationError, match="channel"):
            outbox.add(session, "not a channel", "n", 1)
        outbox.add(session, "orders", "n", 2)
    outbox.relay(engine)
    assert journal("orders") == [2]


def test_id_is_not_given_twice(engine: Engine, environ) -> None:
    """A relay that comes late with its delete must not find a new row under the id of one that is gone."""
    ids = []
    for number in range(2):
        place(engine, number)
        with engine.connect() as connection:
            ids.append(connection.scalar(select(outbox.table.c.id)))
        outbox.relay(engine)
    assert ids[0] < ids[1]


def test_large_event_fits(engine: Engine, journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """As large as the setting allows; a BLOB of MySQL would end at 64 KB."""
    monkeypatch.setenv("SOCKUDO_MAX_EVENT_BYTES", "300000")
    configure()
    with Session(engine) as session, session.begin():
        outbox.add(session, "orders", "n", ["x" * 200_000])
    assert outbox.relay(engine).stored == 1
    assert [len(text) for [text] in journal("orders")] == [200_000]


@on("sqlite")
def test_relay_rings_the_lane(engine: Engine, journal, redis_url: str) -> None:
    """So that a worker comes at once, and not with its next sweep."""
    with redis.Redis.from_url(redis_url) as client:
        place(engine, 1)
        assert client.llen("sockudo") == 0
        outbox.relay(engine)
        assert client.llen("sockudo") == 1


@on("sqlite")
def test_adding_needs_no_redis(engine: Engine, environ, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's transaction does not depend on the journal."""
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:9/0")
    configure()
    place(engine, 1)
    assert left(engine) == 1


@on("sqlite")
def test_encrypted_event_is_in_no_table_in_the_clear(
    engine: Engine, environ, monkeypatch: pytest.MonkeyPatch, journal
) -> None:
    """What the row holds are the bytes that go to Sockudo."""
    monkeypatch.setenv("SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")
    configure()
    with engine.begin() as connection:  # a Connection will do
        outbox.add(connection, "private-encrypted-diary", "n", {"secret": "attack at dawn"})
        body = connection.scalar(select(outbox.table.c.body))
    assert b"dawn" not in body
    assert outbox.relay(engine).stored == 1
    assert "ciphertext" in journal("private-encrypted-diary")[0]


@on("sqlite")
def test_message_id_repeats_the_same_event_safely(engine: Engine, journal) -> None:
    """The id is fixed at the insert: stored by the relay and again by hand under it, it is there once."""
    message_id = place(engine, 1)
    outbox.relay(engine)
    assert publish.delay("orders", "n", {"n": 1}, key=message_id).id == message_id
    assert journal("orders") == [{"n": 1}]


@on("sqlite")
def test_collapse_key_goes_with_the_row(engine: Engine, journal, collapse_fields) -> None:
    """It takes effect when the relay moves the row; a row without one has none."""
    place(engine, 1, collapse="é")
    place(engine, 2)
    assert collapse_fields() == set()
    assert outbox.relay(engine).stored == 2
    assert collapse_fields() == {"6:ordersé".encode()}
    with engine.begin() as connection, pytest.raises(ValidationError, match="collapse: 129 bytes, limit 128"):
        outbox.add(connection, "orders", "n", 3, collapse="x" * 129)


@on("sqlite")
def test_key_is_the_message_id_and_stores_once(engine: Engine, journal) -> None:
    """Two rows under one key with one payload: one event."""
    assert place(engine, 1, key="order-1") == "order-1"
    with engine.begin() as connection:
        outbox.add(connection, "orders", "n", {"n": 1}, key="order-1")
    relayed = outbox.relay(engine)
    assert (relayed.stored, relayed.already_stored, relayed.parked) == (2, 1, 0)
    assert journal("orders") == [{"n": 1}]


@pytest.mark.parametrize("batch", [1, 3, 200])
def test_conflict_is_parked_with_its_reason_and_blocks_no_row(engine: Engine, journal, batch: int) -> None:
    """A key that was used with another payload: its row stays with the reason, untried; all others go."""
    publish.delay("orders", "n", {"n": -1}, key="taken")
    place(engine, 1)
    place(engine, 2, key="taken")
    place(engine, 3, channel="audit", key="twice")
    place(engine, 4)
    place(engine, 5, channel="audit", key="twice")
    relayed = outbox.relay(engine, batch=batch)
    assert (relayed.stored, relayed.parked, relayed.waiting) == (3, 2, {})
    assert journal("orders") == [{"n": -1}, {"n": 1}, {"n": 4}]
    assert journal("audit") == [{"n": 3}]
    assert all(reason.startswith("conflict: key: used before") for reason in parked(engine))
    assert len(parked(engine)) == left(engine) == 2
    assert outbox.relay(engine, batch=batch).parked == 0


def test_app_that_cannot_go_on_lets_the_others(
    engine: Engine, journal, environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not in the relay's settings: its rows wait, however many, and say why; then they go."""
    for number in range(5):
        place(engine, number, app="eu")
    place(engine, 5)
    monkeypatch.delenv("SOCKUDO_APPS")
    configure()
    relayed = outbox.relay(engine, batch=2)
    assert relayed.stored == 1
    assert "no app named 'eu'" in relayed.waiting["eu"]
    assert journal("orders") == [{"n": 5}]
    monkeypatch.setenv("SOCKUDO_APPS", environ["SOCKUDO_APPS"])
    configure()
    assert outbox.relay(engine, batch=2).stored == 5
    assert journal("orders", app="eu") == [{"n": number} for number in range(5)]


@on("sqlite")
def test_full_lane_keeps_rows_in_the_table(engine: Engine, journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backpressure reaches the table, not the application; nothing overtakes."""
    monkeypatch.setenv("SOCKUDO_MAX_BACKLOG", "2")
    configure()
    for number in range(4):
        place(engine, number)
    relayed = outbox.relay(engine, batch=2)
    assert relayed.stored == 2
    assert "limit 2" in relayed.waiting["default"]
    assert left(engine) == 2
    monkeypatch.setenv("SOCKUDO_MAX_BACKLOG", "0")
    configure()
    outbox.relay(engine)
    assert journal("orders") == [{"n": number} for number in range(4)]


@on("sqlite")
def test_redis_away_rows_stay_and_go_later(
    engine: Engine, environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running relay says once why rows wait, and goes on when Redis is back."""
    with RedisServer(tmp_path / "redis") as server:
        monkeypatch.setenv("SOCKUDO_REDIS_URL", server.url)
        configure()
        server.stop()
        for number in range(3):
            place(engine, number)
        relayed = outbox.relay(engine)
        assert relayed.stored == 0
        assert list(relayed.waiting) == ["default"]
        assert left(engine) == 3
        stop = threading.Event()
        running = threading.Thread(target=outbox.run, args=(engine,), kwargs={"every_s": 0.05, "stop": stop})
        running.start()
        try:
            time.sleep(0.3)
            assert left(engine) == 3
            server.start()
            assert wait_for(lambda: left(engine) == 0, 60)
        finally:
            stop.set()
            running.join()


@on("sqlite", "postgresql")
@pytest.mark.parametrize("point", ["appended", "rung"])
def test_relay_killed_between_append_and_delete_stores_each_once(
    engine: Engine, database_url: str, environ, journal, point: str
) -> None:
    """SIGKILL after the journal has a batch and before the table knows: the next relay appends nothing twice."""
    for number in range(10):
        place(engine, number)
    victim = run_python(
        [*APP, "relay", database_url, "4"],
        env={**os.environ, **environ, "SOCKUDO_FAULTPOINT": f"{point}:2"},
        cwd=ROOT,
        timeout=60,
    )
    assert victim.returncode == -signal.SIGKILL, "the fault must have fired"
    assert left(engine) == 6
    assert len(journal("orders")) == 8
    relayed: list[Relayed] = []

    def has_stored() -> bool:
        """The database holds the rows for the killed relay until it has seen its end."""
        relayed.append(outbox.relay(engine))
        return relayed[-1].stored > 0

    assert wait_for(has_stored, 60)
    assert (relayed[-1].stored, relayed[-1].already_stored) == (6, 4)
    assert journal("orders") == [{"n": number} for number in range(10)]
    assert left(engine) == 0


@on("sqlite", "postgresql")
def test_application_killed_after_the_commit_loses_nothing(engine: Engine, database_url: str, environ, journal) -> None:
    """The row is the application's last word: whatever becomes of its process, the relay has it."""
    done = run_python([*APP, "order", database_url, "7"], env={**os.environ, **environ}, cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert journal() == []
    outbox.relay(engine)
    assert journal("orders") == [{"n": 7}]


def test_relay_stands_by_while_another_one_has_the_rows(database_url: str, engine: Engine, journal) -> None:
    """With row locks: what another relay has locked is not passed over, nor are the rows behind it taken."""
    if engine.dialect.name == "sqlite":
        not_for_this_case("SQLite has no row locks: the ledger alone keeps each event single there")
    for number in range(6):
        place(engine, number)
    with engine.begin() as other:
        third = select(outbox.table.c.id).order_by(outbox.table.c.id).offset(2).limit(1)
        other.execute(select(outbox.table).where(outbox.table.c.id == other.scalar(third)).with_for_update())
        assert outbox.relay(engine).stored == 2
        assert journal("orders") == [{"n": 0}, {"n": 1}]
    assert outbox.relay(engine).stored == 4
    assert journal("orders") == [{"n": number} for number in range(6)]


def test_late_append_of_a_frozen_relay_changes_nothing(engine: Engine, journal) -> None:
    """It read rows, lost its locks with its connection, and appends them after another relay did and went on."""
    from sockudo_publisher.outbox.relay import append
    from sockudo_publisher.outbox.row import COLUMNS, EventRow

    for number in range(4):
        place(engine, number)
    with engine.connect() as connection:
        query = select(*[outbox.table.c[name] for name in COLUMNS]).order_by(outbox.table.c.id).limit(3)
        read = [EventRow.from_columns(columns) for columns in connection.execute(query)]
    outbox.relay(engine)
    place(engine, 4)
    outbox.relay(engine)
    assert append(read).already_stored == 3
    assert journal("orders") == [{"n": number} for number in range(5)]


@on("sqlite", "postgresql")
def test_two_relays_that_die_keep_each_event_once_and_in_order(
    stack: Stack, database_url: str, engine: Engine, tmp_path: Path
) -> None:
    """Several writers, rollbacks between, relays killed and started again, a real worker and server: exactly once."""
    channels = stack.channels(8)
    seen = stack.subscribe(*channels)
    stack.worker()
    promised = {channel: list(range(EACH)) for channel in channels}

    def write(mine: list[str]) -> None:  # each channel has one writer, so its transactions do not overlap
        for number in range(EACH):
            if number == EACH // 3:
                died.wait(60)  # from here on commits are beside deaths and starts
            with Session(engine) as session:
                for channel in mine:
                    outbox.add(session, channel, "n", {"n": number})
                session.commit()
                outbox.add(session, mine[0], "n", {"n": -1})
                session.rollback()

    def start(*, doomed: bool) -> Any:
        fault = f"{random.choice(['appended', 'rung'])}:{random.randint(1, 3)}" if doomed else ""
        env = {**stack.python(), "SOCKUDO_FAULTPOINT": fault}
        return start_python([*APP, "run", database_url, "7"], env=env, cwd=ROOT)

    writers = [threading.Thread(target=write, args=(channels[i::2],)) for i in range(2)]
    relays = [start(doomed=True), start(doomed=True)]
    deaths, died = 0, threading.Event()
    try:
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers) or left(engine):
            for index, relay in enumerate(relays):
                if (code := relay.poll()) is not None:
                    assert code == -signal.SIGKILL
                    deaths += 1
                    died.set()
                    relays[index] = start(doomed=deaths < 2)
            time.sleep(0.02)
    finally:
        died.set()
        for relay in relays:
            relay.kill()
            relay.wait()
    assert deaths, "the fault must have fired"
    seen.wait_for_count(EACH * 8, 60)
    seen.wait_until_quiet(1.0)
    verdict = compare(promised, numbers(seen.events()))
    assert verdict.is_exact, verdict


def test_database_away_is_asked_again(engine: Engine, journal, caplog: pytest.LogCaptureFixture) -> None:
    """A running relay survives a failing database, and logs it without the text of its error."""
    stop = threading.Event()
    outbox.table.drop(engine)
    running = threading.Thread(target=outbox.run, args=(engine,), kwargs={"every_s": 0.05, "stop": stop})
    running.start()
    try:
        assert wait_for(lambda: "the database failed" in caplog.text, 60)
        outbox.table.create(engine)
        place(engine, 1)
        assert wait_for(lambda: journal("orders") == [{"n": 1}], 60)
    finally:
        stop.set()
        running.join()
    assert caplog.text.count("the database failed") == 1
    assert "SELECT" not in caplog.text


def test_parked_row_goes_when_a_person_lets_it(engine: Engine, journal, redis_url: str) -> None:
    """Its reason taken away, it is tried again."""
    publish.delay("orders", "n", {"n": -1}, key="taken")
    place(engine, 1, key="taken")
    outbox.relay(engine)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys("*ledger*taken"))
    with engine.begin() as connection:
        connection.execute(update(outbox.table).values(parked=None))
    outbox.relay(engine)
    assert journal("orders") == [{"n": -1}, {"n": 1}]
    assert left(engine) == 0


@on("sqlite")
def test_run_logs_its_start_and_its_end(engine: Engine, journal, caplog: pytest.LogCaptureFixture) -> None:
    """Table, kind of database, apps, interval; then the sums, which it returns too."""
    publish.delay("orders", "n", {"n": -1}, key="taken")
    place(engine, 1)
    place(engine, 2, key="taken")
    stop = threading.Event()
    done = []
    with caplog.at_level(logging.INFO, "sockudo_publisher.outbox"):
        running = threading.Thread(target=lambda: done.append(outbox.run(engine, every_s=0.05, stop=stop)))
        running.start()
        assert wait_for(lambda: left(engine) == 1, 60)
        stop.set()
        running.join(60)
    table, database = outbox.table.fullname, engine.dialect.name
    first, *_, last = caplog.messages
    assert first == f"relay started table={table} database={database} apps=default,eu every_s=0.05"
    assert last == f"relay ended table={table} stored=1 already_stored=0 parked=1"
    assert (done[0].stored, done[0].parked) == (1, 1)


def test_parked_rows_are_listed(engine: Engine, journal) -> None:
    """With what a person needs to find them, and no payload."""
    publish.delay("orders", "n", {"n": -1}, key="taken")
    place(engine, 1, key="taken")
    place(engine, 2)
    outbox.relay(engine)
    [row] = outbox.parked(engine)
    assert (row.app, row.channel, row.message_id) == ("default", "orders", "taken")
    assert row.reason.startswith("conflict")
    assert outbox.parked(engine, limit=0) == []


def test_age_of_the_oldest_row_is_the_databases(engine: Engine, environ: dict[str, str]) -> None:
    first = place(engine, 1)
    place(engine, 2)
    table = outbox.table
    ten_minutes_ago = datetime.now(timezone.utc) - timedelta(minutes=10)
    with engine.begin() as connection:
        connection.execute(update(table).where(table.c.message_id == first).values(created_at=ten_minutes_ago))
    [figures] = outbox.figures(engine)
    assert (figures.app, figures.waiting, figures.parked) == ("default", 2, 0)
    assert 590 < figures.oldest_age_s < 660

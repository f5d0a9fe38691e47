"""LISTEN/NOTIFY of PostgreSQL: a commit wakes the relay, whose interval is a minute here."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.orm import Session

from sockudo_publisher import ConfigurationError
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.outbox.sqlalchemy import Outbox
from tests.support.postgres import Postgres
from tests.support.warm import run_python, start_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ["-m", "tests.integration.outbox.django_app"]
#: Seconds between two looks: far more than a test takes.
INTERVAL_S = 60.0
#: Seconds within which a woken relay has moved a row, on a machine with a lot to do.
WOKEN_S = 20.0

metadata = MetaData()
outbox = Outbox(metadata, notify=True)
silent = Outbox(MetaData())


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """An empty database of PostgreSQL."""
    name = f"listen_{uuid.uuid4().hex[:8]}"
    postgres.run(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """With the outbox's table."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def place(engine: Engine, number: int, table: Outbox = outbox) -> None:
    with Session(engine) as session, session.begin():
        table.add(session, "orders", "n", number)


@contextmanager
def running(engine: Engine, **options: object) -> Iterator[threading.Event]:
    """A relay in a thread, which has looked once and listens."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(outbox.run, engine, every_s=INTERVAL_S, stop=stop, listen=True, **options)
        try:
            yield stop
        finally:
            stop.set()
            run.result(WOKEN_S)


def listeners(postgres: Postgres) -> list[int]:
    import psycopg

    with psycopg.connect(postgres.url()) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN sockudo_outbox'"
        return [pid for (pid,) in connection.execute(query)]


def test_commit_wakes_the_relay(engine: Engine, postgres: Postgres, journal) -> None:
    """Not the insert: a rollback wakes nothing, and so does an outbox that does not notify."""
    with running(engine):
        assert wait_for(lambda: bool(listeners(postgres)), WOKEN_S)
        time.sleep(0.5)  # the look that follows the start
        with Session(engine) as session:
            outbox.add(session, "orders", "n", -1)
            session.rollback()
        place(engine, 1, silent)
        time.sleep(0.5)
        assert journal("orders") == []
        place(engine, 2)
        assert wait_for(lambda: journal("orders") == [1, 2], WOKEN_S)
        place(engine, 3)
        assert wait_for(lambda: journal("orders") == [1, 2, 3], WOKEN_S)


def test_row_from_before_it_listened_is_found(engine: Engine, postgres: Postgres, journal) -> None:
    """One look follows each LISTEN."""
    place(engine, 1)
    with running(engine):
        assert wait_for(lambda: journal("orders") == [1], WOKEN_S)


def test_lost_connection_is_opened_again(
    engine: Engine, postgres: Postgres, journal, caplog: pytest.LogCaptureFixture
) -> None:
    """The loss is logged once, without text of the driver; the next commit wakes it again."""
    with running(engine):
        assert wait_for(lambda: bool(listeners(postgres)), WOKEN_S)
        [before] = listeners(postgres)
        postgres.run(f"SELECT pg_terminate_backend({before})")
        assert wait_for(lambda: bool(set(listeners(postgres)) - {before}), WOKEN_S)
        place(engine, 1)
        assert wait_for(lambda: journal("orders") == [1], WOKEN_S)
    lost = [record.getMessage() for record in caplog.records if "no notifications" in record.getMessage()]
    assert len(lost) == 1
    assert "127.0.0.1" not in lost[0]


def test_stop_ends_a_relay_that_listens(engine: Engine, journal) -> None:
    """Long before its interval."""
    start = time.monotonic()
    with running(engine):
        time.sleep(1.0)
    assert time.monotonic() - start < INTERVAL_S / 2


def test_other_databases_cannot_listen(environ) -> None:
    """The error names what is needed; NOTIFY is not sent there."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    place(engine, 1)
    with pytest.raises(ConfigurationError, match="listen: needs PostgreSQL, the database is sqlite"):
        outbox.run(engine, listen=True)
    engine.dispose()


def test_command_of_django_is_woken(url: str, environ, journal, tmp_path: Path) -> None:
    """`add` with `SOCKUDO["OUTBOX_NOTIFY"]` in one process, `sockudo_relay --listen` in another one."""
    env = {**os.environ, **environ}
    migrated = run_python([*PROJECT, url, "migrate", "-v0"], env=env, cwd=ROOT, timeout=120)
    assert migrated.returncode == 0, migrated.stderr
    command = [*PROJECT, url, "sockudo_relay", "--listen", f"--interval={INTERVAL_S:g}"]
    relay = start_python(command, env=env, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert relay.stdout.readline().endswith(b"every_s=60 batch=200 listens\n")
        for number in range(2):
            added = run_python([*PROJECT, url, "add", str(number)], env=env, cwd=ROOT, timeout=120)
            assert added.returncode == 0, added.stderr
            assert wait_for(lambda last=number: journal("orders") == list(range(last + 1)), WOKEN_S)
        relay.terminate()
        assert relay.wait(WOKEN_S) == 0
    finally:
        relay.kill()
        relay.communicate()
    refused = run_python(
        [*PROJECT, f"sqlite:///{tmp_path}/a", "sockudo_relay", "--listen"], env=env, cwd=ROOT, timeout=120
    )
    assert refused.returncode == 1
    assert "--listen: needs PostgreSQL, the database is sqlite" in refused.stderr

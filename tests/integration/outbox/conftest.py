"""A database of each kind, with empty tables for each test, and a look at what the journal holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from sockudo_publisher import configure
from tests.integration.journal.raw import read_lane
from tests.integration.outbox import sqlalchemy_app
from tests.integration.outbox.sqlalchemy_app import metadata
from tests.support.cases import in_depth
from tests.support.mariadb import MariaDB
from tests.support.parts import need
from tests.support.postgres import Postgres

LANES = 4
#: Databases that the outbox is for.
KINDS = ["sqlite", "postgresql", "mariadb"]


def on(*quick: str) -> pytest.MarkDecorator:
    """For what is alike on all databases: `make test` has it on these, the others are depth."""
    return pytest.mark.parametrize("database_url", in_depth(KINDS, quick=quick), indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests."""
    server = Postgres(need("postgres"))
    try:
        server.initialize()
        with server:
            yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """One server for all tests."""
    server = MariaDB(need("mariadb"))
    try:
        server.initialize()
        with server:
            yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """One database for all tests that leave it as it is."""
    postgres.run("CREATE DATABASE shared")
    return postgres.url("shared")


@pytest.fixture(scope="session")
def mariadb_url(mariadb: MariaDB) -> str:
    """As `postgres_url`."""
    mariadb.run("CREATE DATABASE shared")
    return mariadb.url("shared")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database, `sqlite:///...`, `postgresql://...` or `mysql+pymysql://...`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.sqlite3"
    url: str = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "mariadb_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Its engine, with the tables of `sqlalchemy_app`, which are empty."""
    engine = sqlalchemy_app.engine(database_url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def environ(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Settings with an empty journal and no server: nothing is delivered, everything is looked at."""
    for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
        monkeypatch.delenv(name)
    settings = {
        "SOCKUDO_URL": "http://key:secret@127.0.0.1:9/apps/app-id",
        "SOCKUDO_APPS": '{"eu": "http://key:secret@127.0.0.1:9/apps/eu"}',
        "SOCKUDO_REDIS_URL": redis_url,
        "SOCKUDO_LANES": str(LANES),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    configure()
    yield settings
    monkeypatch.undo()
    configure()


@pytest.fixture
def collapse_fields(redis_url: str) -> Callable[[], set[bytes]]:
    """Channels and collapse keys whose latest event waits in the journal."""

    def look() -> set[bytes]:
        with redis.Redis.from_url(redis_url) as client:
            return {field for key in client.keys("*:latest") for field in client.hkeys(key)}

    return look


@pytest.fixture
def journal(redis_url: str, environ: dict[str, str]) -> Iterator[Callable[..., list[tuple[str, object]]]]:
    """`journal()`: what waits in it, as (channel, data), lane after lane; `journal(channel)`: the data of one."""
    with redis.Redis.from_url(redis_url) as client:

        def look(channel: str | None = None, app: str = "default") -> list[object]:
            items = [item for lane in range(LANES) for item in read_lane(client, app, lane).queue.items]
            found = [(item.channel, json.loads(json.loads(item.body)["data"])) for item in items]
            return found if channel is None else [data for name, data in found if name == channel]

        yield look

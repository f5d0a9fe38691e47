"""A database of each kind, empty for each test, and a look at what the journal holds."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher import configure
from tests.integration.journal.raw import read_lane
from tests.support.mariadb import MariaDB
from tests.support.parts import need
from tests.support.postgres import Postgres

LANES = 4


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


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, `sqlite:///...`, `postgresql://...` or `mysql+pymysql://...`."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/app.sqlite3"
        return
    name = f"test_{uuid.uuid4().hex[:8]}"
    server = request.getfixturevalue("postgres" if request.param == "postgresql" else "mariadb")
    server.run(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name}{' WITH (FORCE)' if request.param == 'postgresql' else ''}")


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

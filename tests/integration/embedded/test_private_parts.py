"""What parts keep is for this user alone: modes of their files, arguments of their processes, a password for Redis."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import (
    ChildProcess,
    DevServerProcess,
    RedisServer,
    SockudoApp,
    SockudoServer,
    WorkerProcess,
)
from sockudo_publisher.dev.embedded.private import append_private, make_private_directory, write_private
from tests.support.secrecy import files_that_hold, open_to_others, processes_that_show

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    """As on a machine whose files are readable by default."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that does not exist yet."""
    return tmp_path / "made" / "here"


def test_redis_keeps_events_from_other_users(home: Path) -> None:
    """Its append-only file, its snapshot, its log and its password are private, over a restart too."""
    with RedisServer(home) as server, redis.Redis.from_url(server.url) as client:
        client.set("event", "payload")
        client.bgrewriteaof()
        client.save()
        server.restart()
        assert client.get("event") == b"payload"
        assert open_to_others(home) == []
        assert open_to_others(home.parent) == []
        assert {"redis.log", "dump.rdb"} < {path.name for path in home.rglob("*")}
        assert list(home.rglob("*.aof"))


def test_redis_wants_its_password(home: Path) -> None:
    """Random, in the URL, in no argument of any process; every database has it."""
    with RedisServer(home) as server, RedisServer(home.parent / "other") as other:
        assert len(server.password) >= 32
        assert server.password != other.password
        with redis.Redis(port=server.port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        for number in (0, 3):
            with redis.Redis.from_url(server.database_url(number)) as client:
                assert client.ping()
        assert processes_that_show(server.password, other.password) == []
        assert files_that_hold(home, [server.password]) <= {"redis-password.conf"}


@pytest.mark.parametrize("password", ['with "quotes" and spaces', "p:a@b/c%20#d", "ü\n\\x41$(id)"])
def test_any_password_can_be_given(home: Path, password: str) -> None:
    """The URL and Redis' file spell it in their own ways."""
    with RedisServer(home, password=password) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert server.password == password


def test_redis_without_a_password_is_asked_for(home: Path) -> None:
    """With an empty one."""
    with RedisServer(home, password="") as server, redis.Redis(port=server.port) as client:
        assert client.ping()
        assert "@" not in server.url


def test_sockudo_keeps_its_secrets(home: Path, sockudo: SockudoServer) -> None:
    """Configuration and log are private; no process shows the secret."""
    app = SockudoApp(secret=secrets.token_hex(16))
    with SockudoServer(home, [app], program=sockudo.program):
        assert open_to_others(home) == []
        assert processes_that_show(app.secret) == []
        assert files_that_hold(home, [app.secret]) == {"sockudo.toml"}


def test_the_development_server_keeps_its_secrets(home: Path) -> None:
    """Its secret is not among its arguments."""
    app = SockudoApp(secret=secrets.token_hex(16))
    with DevServerProcess(home, [app]):
        assert open_to_others(home) == []
        assert processes_that_show(app.secret) == []


def test_a_worker_keeps_its_secrets(home: Path, redis_url: str) -> None:
    """Key, secret and password are in its environment, which other users cannot read, and not in its log."""
    secret = secrets.token_hex(16)
    settings = {"SOCKUDO_URL": f"http://key:{secret}@127.0.0.1:1/apps/app", "SOCKUDO_REDIS_URL": redis_url}
    password = redis_url.partition("://:")[2].partition("@")[0]
    with WorkerProcess(settings, directory=home) as worker:
        assert open_to_others(home) == []
        assert processes_that_show(secret, password) == []
        assert files_that_hold(home, [secret, password]) == set()
        assert (Path("/proc") / str(worker.pid) / "environ").stat().st_mode & 0o077 == 0


def test_an_older_file_is_made_private(home: Path) -> None:
    """Before anything is written into it; a directory that exists keeps its mode."""
    home.parent.mkdir(mode=0o755)
    make_private_directory(home)
    for name in ("log", "configuration"):
        (home / name).write_text("before")
        (home / name).chmod(0o644)
    with append_private(home / "log") as log:
        assert (home / "log").stat().st_mode & 0o777 == 0o600
        log.write(b" and after")
    write_private(home / "configuration", "anew")
    assert (home / "log").read_text() == "before and after"
    assert (home / "configuration").read_text() == "anew"
    assert open_to_others(home) == []
    assert home.parent.stat().st_mode & 0o777 == 0o755


def test_what_a_part_makes_is_private(home: Path) -> None:
    """Whatever program it is: the mask is set for all."""

    class Writer(ChildProcess):
        def _command(self) -> list[str]:
            make = "import os, time; os.mkdir('made'); open('made/file', 'w').close(); print('ready', flush=True)"
            return [sys.executable, "-c", f"{make}; time.sleep(60)"]

        def _is_ready(self) -> bool:
            return "ready" in self.log_text()

    with Writer("writer", home / "log"):
        assert open_to_others(home) == []

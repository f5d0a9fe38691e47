"""Fixtures for all tests: the real parts, started once, and found or left out out loud.

A test that needs the real Sockudo is skipped where there is none, but fails in CI, unless `WITHOUT_SOCKUDO` says that
this is known (.ci/run).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from sockudo_publisher.embedded import (
    DevServer,
    EmbeddedError,
    RedisServer,
    SockudoServer,
    find_redis_server,
    find_sockudo,
    redis_server_version,
)
from sockudo_publisher.embedded.sockudo import sockudo_version
from tests.support.postgres import find_postgres
from tests.support.stack import DEDUP_TTL_S, Server, Stack, SubscriberFactory
from tests.support.subscriber import Subscriber


def pytest_report_header() -> str:
    """Which real parts there are: a green run without them is worth less."""
    return "real parts: " + ", ".join(f"{name} {where or 'NOT FOUND'}" for name, where in _parts().items())


def _parts() -> dict[str, str | Path | None]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return {
        "redis": _redis(),
        "sockudo": _sockudo(),
        "nginx": shutil.which("nginx", path=path),
        "rabbitmq": shutil.which("rabbitmq-server", path=path),
        "postgres": find_postgres(),
        "browser": browser,
        "node": shutil.which("node"),
    }


def _redis() -> str | None:
    try:
        program = find_redis_server()
    except EmbeddedError:
        return None
    return f"{program} ({'.'.join(map(str, redis_server_version(program)))})"


def _sockudo() -> str | None:
    try:
        program = find_sockudo()
    except EmbeddedError as error:
        return f"BROKEN ({error})"
    return f"{program} ({sockudo_version(program)})" if program else None


def _without_sockudo() -> None:
    reason = "no Sockudo: set SOCKUDO_BIN, or put `sockudo` on PATH"
    if os.environ.get("CI") == "true" and not os.environ.get("WITHOUT_SOCKUDO"):
        pytest.fail(f"{reason} (CI=true, and WITHOUT_SOCKUDO is not set)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of this run. Tests that stop or freeze it start their own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty database."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def sockudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """The real server as the promise needs it: a million ids, 60 s, no history. Tests use channels of their own."""
    if find_sockudo() is None:
        _without_sockudo()
    with SockudoServer(tmp_path_factory.mktemp("sockudo"), dedup_ttl_s=DEDUP_TTL_S) as server:
        yield server


@pytest.fixture(scope="session")
def devserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """The look-alike, with the same settings."""
    with DevServer(tmp_path_factory.mktemp("devserver"), dedup_ttl_s=DEDUP_TTL_S) as server:
        yield server


@pytest.fixture
def subscriber() -> Iterator[SubscriberFactory]:
    """`subscriber(server, *channels)`: a confirmed subscriber, closed with the test; a `ws_url` does too."""
    with ExitStack() as ends:

        def subscribe(server: Server | str, *channels: str, secret: str | None = None) -> Subscriber:
            url = server if isinstance(server, str) else server.ws_url()
            secret = secret or (None if isinstance(server, str) else server.apps[0].secret)
            return ends.enter_context(Subscriber(url, *channels, secret=secret))

        yield subscribe


@pytest.fixture
def stack(
    redis_server: RedisServer,
    redis_url: str,
    sockudo: SockudoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """An empty Redis, the real server, and their settings in this process' environment."""
    from sockudo_publisher.apps import forget_apps

    with ExitStack() as ends:
        stack = Stack(redis_server, sockudo, tmp_path, ends)
        for name in [name for name in os.environ if name.startswith("SOCKUDO_") and name != "SOCKUDO_BIN"]:
            monkeypatch.delenv(name)
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        forget_apps()
        yield stack
    monkeypatch.undo()
    forget_apps()

"""A server with all that protocol 2 has, and the settings that name it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import RedisServer, SockudoApp, SockudoServer
from tests.conformance.http import Address, App
from tests.conformance.socket import Socket
from tests.support.parts import need
from tests.support.stack import DEDUP_TTL_S, Stack

APP = SockudoApp(
    "features",
    "features-key",
    "features-secret",
    {"max_event_batch_size": 2000},
    {"features": {"enable_user_authentication": True}},
)

SETTINGS = {
    "connection_recovery": {"enabled": True},
    "tag_filtering": {"enabled": True, "enable_tags": True},
    "delta_compression": {"enabled": True},
}

#: `native()`: a connection of protocol 2, or of another one.
Native = Callable[..., Socket]


@pytest.fixture(scope="session")
def native_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    need("sockudo")
    directory = tmp_path_factory.mktemp("native")
    with SockudoServer(directory, (APP,), dedup_ttl_s=DEDUP_TTL_S, history=True, settings=SETTINGS) as server:
        yield server


@pytest.fixture
def stack(
    redis_server: RedisServer,
    redis_url: str,
    native_server: SockudoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """As the `stack` of all tests, with that server."""
    with ExitStack() as ends:
        stack = Stack(redis_server, native_server, tmp_path, ends)
        for name in [name for name in os.environ if name.startswith("SOCKUDO_") and name != "SOCKUDO_BIN"]:
            monkeypatch.delenv(name)
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        configure()
        yield stack
    monkeypatch.undo()
    configure()


@pytest.fixture
def native(native_server: SockudoServer) -> Iterator[Native]:
    """`native()`, closed with the test."""
    with ExitStack() as ends:
        address, app = Address("127.0.0.1", native_server.port), App(APP.id, APP.key, APP.secret)
        yield lambda protocol="protocol=2": ends.enter_context(Socket(address, app, protocol=protocol))

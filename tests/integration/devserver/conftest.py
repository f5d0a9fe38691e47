"""A real server and the embedded one with the same apps: each conformance test runs on both, so that they cannot drift.

A fact that the real server shows belongs in a test here first, and then into `devserver`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sockudo_publisher.dev.embedded import DevServerProcess, SockudoServer, find_sockudo
from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.devserver.conformance import APP, DEDUP_TTL_S, SECOND_APP
from tests.integration.devserver.lively import Client, Hook, lively_app
from tests.support.browser import browser, chromium
from tests.support.http_api import HttpApi
from tests.support.stack import Server

__all__ = ["api", "browser", "calls", "chromium", "client", "hook", "listener", "lively", "name", "server"]


@pytest.fixture(scope="module", params=["devserver", "sockudo"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each of the two, with an app of tight limits."""
    directory = tmp_path_factory.mktemp(request.param)
    apps = [APP, SECOND_APP]
    if request.param == "devserver":
        with DevServerProcess(directory, apps, dedup_ttl_s=DEDUP_TTL_S) as devserver:
            yield devserver
        return
    if find_sockudo() is None:
        request.getfixturevalue("sockudo")  # skips, or fails in CI
    with SockudoServer(directory, apps, dedup_ttl_s=DEDUP_TTL_S) as sockudo:
        yield sockudo


@pytest.fixture
def api(server: Server) -> HttpApi:
    return HttpApi(server)


@pytest.fixture
def name() -> str:
    """A text that no other test has: a channel, an id."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def listener(server: Server, name: str) -> Iterator[Subscriber]:
    """A subscriber of the channel `name`."""
    with Subscriber(server.ws_url(), name, secret=APP.secret) as subscriber:
        yield subscriber


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    """Where the lively app's webhooks go."""
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture(scope="module", params=["devserver", "sockudo"])
def lively(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Server]:
    """Each of the two, with an app that has everything switched on, and both histories."""
    directory, app = tmp_path_factory.mktemp(request.param), lively_app(hook.url)
    settings = {"presence_history": {"enabled": True, "backend": "memory"}}
    if request.param == "devserver":
        with DevServerProcess(directory, [app], history=True, settings=settings) as devserver:
            yield devserver
        return
    if find_sockudo() is None:
        request.getfixturevalue("sockudo")  # skips, or fails in CI
    with SockudoServer(directory, [app], history=True, settings=settings) as sockudo:
        yield sockudo


@pytest.fixture
def calls(lively: Server) -> HttpApi:
    """The HTTP API of the lively server."""
    return HttpApi(lively)


@pytest.fixture
def client(lively: Server) -> Iterator[Callable[[], Client]]:
    """`client()`: a connection to the lively server, closed with the test."""
    with ExitStack() as ends:
        yield lambda: ends.enter_context(Client(lively.ws_url()))

"""A real server and the embedded one with the same app: tests of applications' features run on both.

A fact about one answer belongs in `tests/conformance`, which records what both servers answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sockudo_publisher.dev.embedded import DevServerProcess, SockudoServer, find_sockudo
from tests.integration.devserver.lively import Client, Hook, lively_app
from tests.support.browser import browser, chromium
from tests.support.http_api import HttpApi
from tests.support.stack import Server

__all__ = ["browser", "calls", "chromium", "client", "hook", "lively", "name"]


@pytest.fixture
def name() -> str:
    """A text that no other test has: a channel, an id."""
    return f"t-{uuid.uuid4().hex[:12]}"


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

"""A real server and the embedded one with the same apps: each conformance test runs on both, so that they cannot drift.

A fact that the real server shows belongs in a test here first, and then into `devserver`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from sockudo_publisher.dev.embedded import DevServerProcess, SockudoServer, find_sockudo
from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.devserver.conformance import APP, DEDUP_TTL_S, SECOND_APP
from tests.support.http_api import HttpApi
from tests.support.stack import Server


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

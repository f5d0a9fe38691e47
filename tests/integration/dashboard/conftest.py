"""The dashboard as a process of its own, on an empty Redis; and what a test puts into that."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from sockudo_publisher import configure
from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.keys import lane_keys
from tests.integration.journal.one_lane import OneLane
from tests.support.browser import browser, chromium
from tests.support.warm import start_python

__all__ = ["browser", "chromium"]

#: No server answers there: nothing is sent.
URL = "http://key:secret-of-mine@127.0.0.1:1/apps/app"
APP = "default"
TOKEN = "a-token-of-the-tests-0123456789"

#: Seconds for an answer on a busy machine.
ANSWER_S = 60.0


class Dashboard:
    """A running command; requests are made as a program on this machine makes them, unless headers say otherwise."""

    def __init__(self, process: Any, port: int) -> None:
        self.process, self.port = process, port
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}/"

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Host": self.host, **(headers or {})}
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in given.items():
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        status, _, body = self.request("GET", path, headers=headers)
        return status, json.loads(body)

    def act(self, name: str, /, _headers: Mapping[str, str] | None = None, **values: Any) -> tuple[int, Any]:
        """As the page does it."""
        headers = {"Content-Type": "application/json", "Origin": f"http://{self.host}", **(_headers or {})}
        status, _, body = self.request("POST", f"/api/{name}", values, headers)
        return status, json.loads(body)

    def look(self) -> Any:
        return self.get("/api/look")[1]["look"]


Serve = Callable[..., Dashboard]


def settings(redis_url: str) -> dict[str, str]:
    return {"SOCKUDO_URL": URL, "SOCKUDO_REDIS_URL": redis_url, "SOCKUDO_LANES": "1"}


@pytest.fixture
def environ(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """One lane; the broker is the same Redis. These settings are this process' too."""
    ours = settings(redis_url)
    for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
        monkeypatch.delenv(name)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    configure()
    yield dict(os.environ)
    monkeypatch.undo()
    configure()


def start_dashboard(environ: Mapping[str, str], directory: Path, *options: str) -> Dashboard:
    """A running dashboard; `end_dashboard` ends it."""
    process: Any = start_python(
        ["-m", "sockudo_publisher.cli", "dashboard", "--port", "0", "--json", *options],
        env=environ,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    line = process.stdout.readline()
    assert line, process.communicate()
    return Dashboard(process, json.loads(line)["port"])


def end_dashboard(dashboard: Dashboard) -> None:
    if dashboard.process.poll() is None:
        dashboard.process.terminate()
    dashboard.process.communicate()


@pytest.fixture
def serve(tmp_path: Path, environ: dict[str, str]) -> Iterator[Callable[[Mapping[str, str]], Serve]]:
    """`serve(environ)(*options, **variables)`: a running dashboard, ended with the test."""
    assert environ, "made before: its end comes after that of the processes"
    with ExitStack() as ends:

        def with_environ(environ: Mapping[str, str]) -> Serve:
            def start(*options: str, **variables: str) -> Dashboard:
                dashboard = start_dashboard({**environ, **variables}, tmp_path, *options)
                ends.callback(end_dashboard, dashboard)
                return dashboard

            return start

        yield with_environ


@pytest.fixture
def dashboard(serve: Callable[[Mapping[str, str]], Serve], environ: dict[str, str]) -> Dashboard:
    """Without a token, on the loopback address."""
    return serve(environ)()


@pytest.fixture(scope="module")
def kept(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """As `serve(environ)`, but one for all tests of a file that ask for the same: its look may be a second old."""
    running: dict[tuple[object, ...], Dashboard] = {}
    directory = tmp_path_factory.mktemp("kept")

    def start(*options: str, **variables: str) -> Dashboard:
        asked = (*options, *sorted(variables.items()))
        if asked not in running:
            others = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
            running[asked] = start_dashboard({**others, **settings(redis_server.url), **variables}, directory, *options)
        return running[asked]

    yield start
    for dashboard in running.values():
        end_dashboard(dashboard)


@pytest.fixture
def shared(kept: Serve, environ: dict[str, str]) -> Dashboard:
    """As `dashboard`, for tests that ask for no look and end nothing; Redis is empty at their start."""
    assert environ
    return kept()


@pytest.fixture
def guarded(kept: Serve, environ: dict[str, str]) -> Dashboard:
    """With a token, for such tests."""
    assert environ
    return kept(SOCKUDO_DASHBOARD_TOKEN=TOKEN)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def lane(environ: dict[str, str]) -> Iterator[OneLane]:
    """The default app's."""
    lane = OneLane(environ["SOCKUDO_REDIS_URL"], APP)
    yield lane
    lane.close()


def item(channel: str, name: str, message_id: str, data: str = "the payload") -> bytes:
    """The bytes of an event."""
    return json.dumps({"name": name, "channel": channel, "data": data, "message_id": message_id}).encode()


def bury(
    client: redis.Redis,
    message_id: str,
    *,
    reason: str = "refused",
    channel: str = "c",
    name: str = "e",
    body: bytes | None = None,
) -> str:
    """A dead letter as the scripts write it; its id."""
    body = body or item(channel, name, message_id)
    fields = {"channel": channel, "reason": reason, "message": "the server's text", "attempts": 1, "first_ms": 0}
    entry_id = client.xadd(lane_keys(APP, 0).dead, {**fields, "expiry": 0, "item": body})
    return f"0-{entry_id.decode()}"


def rung(client: redis.Redis) -> int:
    """Doorbells that no worker has read."""
    return int(client.llen(QUEUE))

"""A server that stops: what is still answered in its grace period, as seen on 5.2.0 (docs/server.md, 10.3)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sockudo_publisher import ServerError, Sockudo
from sockudo_publisher.dev.devserver.config import AppConfig, ServerConfig
from sockudo_publisher.dev.embedded import DevServer, DevServerProcess
from tests.support.timing import BUSY_S

pytestmark = pytest.mark.integration

#: Seconds; the test stops the server before they are over.
GRACE_S = 60


def test_answers_of_a_server_that_stops(tmp_path: Path) -> None:
    with DevServerProcess(tmp_path, shutdown_grace_s=GRACE_S) as server:
        client = Sockudo.from_url(server.url, retries=None)
        base = f"http://127.0.0.1:{server.port}"
        server.terminate()
        deadline = time.monotonic() + BUSY_S
        while requests.get(f"{base}/up", timeout=10).status_code == 200:
            assert time.monotonic() < deadline
        for path in ("/up", f"/up/{server.apps[0].id}", "/ready", "/accept-traffic"):
            answer = requests.get(base + path, timeout=10)
            assert (answer.status_code, answer.text) == (503, "DRAINING"), path
        assert requests.get(f"{base}/live", timeout=10).status_code == 200
        assert client.channels_info() == {"channels": {}}
        with pytest.raises(ServerError) as refused:
            client.trigger("orders", "e", 1)
        assert (refused.value.status, refused.value.retry_after) == (503, GRACE_S)
        with pytest.raises(InvalidStatus) as denied:
            connect(server.ws_url(), proxy=None)
        assert denied.value.response.status_code == 503
        server.kill()


def test_without_a_grace_period_it_ends_at_once(tmp_path: Path) -> None:
    with DevServerProcess(tmp_path) as server:
        server.terminate()
        assert server.wait(30.0) == 0


def test_a_server_in_a_thread_has_none() -> None:
    """A file of the real server may name one; who stops a thread waits for it."""
    with DevServer(config=ServerConfig((AppConfig("a", "k", "s"),), shutdown_grace_s=GRACE_S)) as server:
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < GRACE_S / 2

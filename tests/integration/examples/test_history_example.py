"""``examples/history.py`` as it stands, against a server with history and one without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.dev.embedded import SockudoServer
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server(sockudo: SockudoServer, tmp_path: Path) -> Iterator[SockudoServer]:
    """One that gives three events a page."""
    settings = {"history": {"max_page_size": 3}}
    with SockudoServer(tmp_path, history=True, settings=settings, program=sockudo.program) as server:
        yield server


def run(url: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the example to its end."""
    env = {**os.environ, "SOCKUDO_URL": url, "PYTHONPATH": str(ROOT)}
    return run_python(["examples/history.py", *args], cwd=ROOT, env=env, timeout=60)


def test_each_run_prints_what_came_since_the_last(server: SockudoServer) -> None:
    """Over several pages, in order, each event in one run; what is no longer kept is said."""
    client = Sockudo.from_url(server.url)
    client.trigger_batch([("orders", "shipped", n) for n in range(8)])
    first = run(server.url, "orders")
    assert first.stdout.splitlines() == [f"{n + 1} shipped {n}" for n in range(8)] + [
        "next time: python examples/history.py orders 8"
    ]
    assert (first.returncode, first.stderr) == (0, "")

    client.trigger_batch([("orders", "shipped", n) for n in range(8, 12)])
    again = run(server.url, "orders", "8")
    assert again.stdout.splitlines()[:-1] == [f"{n + 1} shipped {n}" for n in range(8, 12)]

    client.purge_history("orders", "before_serial", "a test", before_serial=11)
    late = run(server.url, "orders", "4")
    assert late.stdout.splitlines()[:-1] == ["11 shipped 10", "12 shipped 11"]
    assert late.stderr == "6 events are no longer kept\n"


def test_server_without_history(sockudo: SockudoServer) -> None:
    """A word and a status, no traceback."""
    done = run(sockudo.url, "orders")
    assert (done.returncode, done.stderr) == (1, "this server keeps no history\n")

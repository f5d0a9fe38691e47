"""The recipe of docs/metrics.md for gunicorn: its blocks as they stand, several processes, one sum."""

from __future__ import annotations

import os
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.metrics.page import parse
from tests.support.parts import need_module
from tests.support.stack import Stack
from tests.support.warm import start_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text()
SECTION = PAGE.partition("### gunicorn")[2].partition("\n### ")[0]
CONFIG, METRICS = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)

APPLICATION = """
import os
import sockudo_publisher

def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        body = metrics()
    else:
        sockudo_publisher.publish.delay("orders", "placed", {"n": 1})
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def count_stored(port: int) -> float | None:
    """The number on the page; ``None``: it failed, as a process was just making its file (docs/metrics.md)."""
    try:
        return parse(get(port, "/metrics")).value("events_stored_total")
    except urllib.error.HTTPError:
        return None


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_processes_of_gunicorn_are_counted_together(stack: Stack, tmp_path: Path, options: tuple[str, ...]) -> None:
    need_module("gunicorn")
    files = tmp_path / "numbers"
    files.mkdir()
    (tmp_path / "gunicorn.conf.py").write_text(CONFIG)
    (tmp_path / "served.py").write_text(METRICS + APPLICATION)
    port = free_port()
    env = {**stack.python(), "SOCKUDO_TELEMETRY": "prometheus", "PROMETHEUS_MULTIPROC_DIR": str(files)}
    command = ["-m", "gunicorn", "served:app", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        server = start_python([*command, *options], cwd=tmp_path, env=env, stdout=log, stderr=log)
    try:

        def is_up() -> bool:
            try:
                get(port, "/metrics")
            except (urllib.error.URLError, ConnectionError):
                return False
            return True

        assert wait_for(is_up, 60), (tmp_path / "log").read_text()
        pids: set[str] = set()
        sent = 0
        while len(pids) < 2 or sent < 30:
            pids.add(get(port, "/"))
            sent += 1
            assert sent < 3000, "one process answered all requests"
        assert wait_for(lambda: count_stored(port) == sent, 20), (count_stored(port), sent)
        # A process that ends takes nothing away, and its successor adds to the sum.
        os.kill(int(pids.pop()), signal.SIGTERM)
        for _ in range(10):
            get(port, "/")
        assert wait_for(lambda: count_stored(port) == sent + 10, 20), (count_stored(port), sent + 10)
    finally:
        server.terminate()
        server.wait(20)

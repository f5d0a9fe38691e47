"""The log of a real worker: a start line, a summary, no line per drain, and JSON where the settings want it."""

from __future__ import annotations

import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from sockudo_publisher import __version__, publish, publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.parts import part_is_absent
from tests.support.stack import Stack
from tests.support.warm import start_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_log_has_no_line_per_drain(stack: Stack, pool: str) -> None:
    channel = stack.channel()
    seen = stack.subscribe(channel)
    worker = stack.worker(pool, 2)
    publish_many((channel, "n", {"n": n}) for n in range(50))
    seen.wait_for_count(50, 30)
    assert worker.stop() == 0
    log = worker.log_text()
    assert f"worker started version={__version__} queue=sockudo lanes=8 apps=default" in log
    assert log.count("worker ready queue=sockudo apps=default redis=redis://") == 1
    assert "delivered app=default" in log
    assert "settled=50 " in log, "the last summary is of all processes of the pool"
    assert "sockudo_publisher.drain[" not in log, "no line per drain"


def test_json_log_is_one_object_a_line(stack: Stack) -> None:
    channel = stack.channel()
    seen = stack.subscribe(channel)
    worker = stack.worker(env={"SOCKUDO_LOG": "json"}, wait=False)
    publish_many((channel, "ai-output" if n == 0 else "n", {"n": n}) for n in range(5))
    seen.wait_for_count(4, 20)
    worker.stop()
    lines = [json.loads(line) for line in worker.log_text().splitlines() if line.startswith("{")]
    assert all({"time", "level", "logger", "message", "process"} <= set(line) for line in lines)
    [start] = [line for line in lines if line["message"] == "worker started"]
    assert (start["version"], start["lanes"], start["apps"]) == (__version__, 8, "default")
    [ready] = [line for line in lines if line["message"] == "worker ready"]
    assert (ready["queue"], ready["apps"]) == ("sockudo", "default")
    [letter] = [line for line in lines if line["message"] == "dead letter"]
    assert (letter["channel"], letter["event"], letter["reason"]) == (channel, "ai-output", "refused")
    assert letter["level"] == "ERROR"
    assert any(line["message"] == "delivered" and line["settled"] == 4 for line in lines)
    assert "data" not in letter, "no payload"
    text = [line for line in worker.log_text().splitlines() if "sockudo_publisher." in line and line[:1] != "{"]
    assert not [line for line in text if "WARNING" in line or "ERROR" in line], "no other line of this package"


def test_sentry_gets_errors_of_the_worker_without_payloads(stack: Stack, tmp_path: Path) -> None:
    """The module of docs/metrics.md with Sentry's own SDK, and a server in Sentry's place that keeps what comes."""
    if find_spec("sentry_sdk") is None:  # not imported here: it imports eventlet
        part_is_absent("sentry_sdk", "no module sentry_sdk: pip install --editable '.[dev]'")
    envelopes: list[bytes] = []

    class Sentry(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            envelopes.append(gzip.decompress(body) if is_packed else body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    page = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text()
    [module] = re.findall(r"^```python\n(# sentry_worker.*?)^```", page, re.MULTILINE | re.DOTALL)
    with ThreadingHTTPServer(("127.0.0.1", 0), Sentry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dsn = f"http://key@127.0.0.1:{server.server_address[1]}/1"
        (tmp_path / "sentry_worker.py").write_text(module.replace("dsn=...", f"dsn={dsn!r}"))
        command = ["-m", "celery", "-A", "sentry_worker", "worker", "--loglevel=INFO", "--without-mingle"]
        env = {**stack.python(), "PYTHONPATH": str(tmp_path)}
        with (tmp_path / "log").open("wb") as log:
            worker = start_python(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
        try:
            publish.delay(stack.channel(), "ai-output", {"secret": "s3cr3t-payload"})  # refused: an error in the log
            sent = wait_for(lambda: any(b"dead letter" in one for one in envelopes), 60)
            assert sent, (tmp_path / "log").read_text()
        finally:
            worker.terminate()
            worker.wait(60)
            server.shutdown()
    [error] = [one for one in envelopes if b"dead letter" in one]
    assert stack.channel().encode() in error
    assert b'"reason": "refused"' in error or b'"reason":"refused"' in error, "the fields are there"
    assert b"s3cr3t-payload" not in b"".join(envelopes)

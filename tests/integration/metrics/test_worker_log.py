"""The log of a real worker: a start line, a summary, no line per drain, and JSON where the settings want it."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher import __version__, publish_many
from tests.support.stack import Stack

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
    [letter] = [line for line in lines if line["message"] == "dead letter"]
    assert (letter["channel"], letter["event"], letter["reason"]) == (channel, "ai-output", "refused")
    assert letter["level"] == "ERROR"
    assert any(line["message"] == "delivered" and line["settled"] == 4 for line in lines)
    assert "data" not in letter, "no payload"
    text = [line for line in worker.log_text().splitlines() if "sockudo_publisher." in line and line[:1] != "{"]
    assert not [line for line in text if "WARNING" in line or "ERROR" in line], "no other line of this package"

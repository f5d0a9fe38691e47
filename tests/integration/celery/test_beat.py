"""`celery beat` of an application with its own broker and `publish` in its schedule."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import ChildProcess, wait_for
from tests.integration.celery.theirs import APP
from tests.support.caller import ROOT
from tests.support.stack import Stack
from tests.support.warm import Warm

pytestmark = pytest.mark.integration


class Beat(Warm, ChildProcess):
    """`celery -A <their app> beat`."""

    def __init__(self, env: Mapping[str, str], directory: Path) -> None:
        super().__init__("beat", directory / "beat.log")
        self._env, self._directory_ = dict(env), directory

    def _command(self) -> list[str]:
        options = ["--max-interval=1", f"--schedule={self._directory_ / 'schedule'}", "--pidfile="]
        return [sys.executable, "-m", "celery", "-A", APP, "beat", "--loglevel=INFO", *options]

    def _environ(self) -> Mapping[str, str]:
        return {**self._env, "PYTHONUNBUFFERED": "1"}

    def _directory(self) -> Path:
        return ROOT

    def _is_ready(self) -> bool:
        return "beat: Starting..." in self.log_text()


def entry(*args: Any, **options: Any) -> dict[str, Any]:
    """A line of `beat_schedule`, due several times a second."""
    return {"task": "sockudo_publisher.publish", "schedule": 0.3, "args": args, "options": options}


def test_scheduled_events_arrive_and_no_message_stays(stack: Stack, their_broker: RedisServer, tmp_path: Path) -> None:
    """Beat gives each call its own producer and a header: neither makes a message, a countdown goes to our broker."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    stack.worker()
    schedule = {
        "plain": entry(channel, "e", "plain"),
        "options": entry(channel, "e", "options", queue="sockudo", expires="2999-01-01T00:00:00Z", priority=3),
        "theirs": entry(channel, "e", "theirs", queue="celery"),
        "later": entry(channel, "e", "later", countdown=0.1),
    }
    environ = {**stack.python(), "MY_BROKER": their_broker.url, "MY_SETTINGS": json.dumps({"beat_schedule": schedule})}
    with redis.Redis.from_url(their_broker.url) as client:
        client.flushall()
        with Beat(environ, tmp_path):
            arrived = wait_for(lambda: all(seen.data().count(name) >= 2 for name in schedule), 40)
            assert arrived, seen.data()
        assert [key for key in client.keys("*") if client.type(key) == b"list"] == []

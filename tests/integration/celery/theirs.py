"""Another Celery application beside ours (their_app.py): its broker, its workers, and calls from its processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import redis

from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.caller import ROOT, call
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack

APP = "tests.integration.celery.their_app"

PRELUDE = f"""
BEFORE = publish.s(C, "e", "made before the app")
from celery import chain, chord, group
from {APP} import app, audit, failed, give, long_text, parent, replaced, work
"""


class Theirs:
    """Their broker, and calls from a process that has their app. `settings` is more of their configuration."""

    def __init__(self, stack: Stack, broker_url: str, client: redis.Redis, **settings: Any) -> None:
        self.stack = stack
        self.redis = client
        self.environ = {"MY_BROKER": broker_url, "MY_SETTINGS": json.dumps(settings)}

    def call(self, source: str, **env: str) -> list[Any]:
        """What a process with their app says."""
        return call(self.stack, PRELUDE + source, **{**self.environ, **env})

    def worker(self, logs: Path, queues: str = "celery", **env: str) -> ForeignWorker:
        """A worker of that app, not started yet."""
        return ForeignWorker(APP, queues, {**self.stack.python(), **self.environ, **env}, logs, ROOT)

    def read_list(self, name: str) -> list[str]:
        """What their tasks told."""
        return [value.decode() for value in self.redis.lrange(f"told:{name}", 0, -1)]

    def forget_lists(self) -> None:
        """What they told an earlier test."""
        for key in self.redis.scan_iter("told:*"):
            self.redis.delete(key)

    def wait_for_list(self, name: str, count: int) -> list[str]:
        """The same, when there is so much of it."""
        assert wait_for(lambda: len(self.read_list(name)) >= count, 30), f"{name}: {self.read_list(name)}"
        return self.read_list(name)

"""Two deployments that share a Redis and an app's name: each with a Sockudo app, callers and workers of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from sockudo_publisher import publish
from sockudo_publisher.dev.embedded import DevServerProcess, SockudoApp, WorkerProcess
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.in_process import run_command, settings_from
from tests.support.warm import WarmWorker, run_python

#: Seconds that one script of a caller may take on a busy machine.
SCRIPT_S = 60.0

APPS = (SockudoApp("blue", "blue-key", "blue-secret"), SockudoApp("green", "green-key", "green-secret"))


class Deployment:
    """One of the two: its settings, and what it starts."""

    def __init__(
        self, server: DevServerProcess, app: SockudoApp, redis_url: str, directory: Path, ends: ExitStack, **more: str
    ) -> None:
        self.app = app
        self.environ = {
            "SOCKUDO_URL": app.url("127.0.0.1", server.port),
            "SOCKUDO_REDIS_URL": redis_url,
            "SOCKUDO_LANES": "4",
            "SOCKUDO_DELIVERY_TIMEOUT": "10",
            **more,
        }
        self._server = server
        self._directory = directory
        self._ends = ends

    def worker(self, *, env: Mapping[str, str] | None = None, wait: bool = True) -> WorkerProcess:
        """A worker of this deployment; `wait=False` returns before it is ready."""
        worker = WarmWorker({**self.environ, **(env or {})}, directory=self._directory)
        self._ends.callback(worker.kill)
        worker.launch()
        if wait:
            worker.wait_until_ready()
        return worker

    def subscribe(self, *channels: str) -> Subscriber:
        """A subscriber of this deployment's Sockudo app."""
        url = f"ws://127.0.0.1:{self._server.port}/app/{self.app.key}?protocol=7"
        return self._ends.enter_context(Subscriber(url, *channels, secret=self.app.secret))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python ARGUMENTS` with these settings."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
        return run_python(arguments, env={**others, **self.environ}, timeout=SCRIPT_S)

    def publish(self, channel: str, count: int, how: str = "publish.delay(C, 'e', n)") -> None:
        """A caller that publishes 0 to `count` - 1 on a channel."""
        with settings_from(self.environ):
            exec(f"for n in range({count}): {how}", {"publish": publish, "C": channel})

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`sockudo-publisher ARGUMENTS`, of what does not run on."""
        return run_command(self.environ, *arguments)

"""The parts around the demo and the bench: Redis, Sockudo, a worker. ``embedded`` finds, starts and ends them.

Here they are put together, announced, and made this process' settings: whatever ``SOCKUDO_*`` the caller
has set is left aside, so that neither ever publishes to a real server.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ...config.settings import Settings, configure
from ...terminal import Terminal, plain
from ..embedded import ChildProcess, DevServerProcess, RedisServer, SockudoApp, SockudoServer, WorkerProcess
from ..embedded.sockudo import sockudo_version

__all__ = ["HOST", "Stage", "start"]

HOST = "127.0.0.1"

#: Messages that a real Sockudo lets wait for one subscriber. Past it, it drops them in silence
#: (worker/sockudo.toml); ours is in one process with the publisher and may fall behind for a moment.
MAX_WAITING_MESSAGES = 100_000


@dataclass(frozen=True)
class Stage:
    """What is running. ``port`` and ``key`` are where a WebSocket goes, on :data:`HOST`."""

    port: int
    key: str
    server_name: str
    redis_name: str
    processes: Mapping[str, int]
    worker: WorkerProcess

    @property
    def description(self) -> str:
        """The parts in one line of text."""
        return f"{self.redis_name}, {self.server_name}, Celery {version('celery')} worker"

    def values(self) -> dict[str, Any]:
        """For programs."""
        return {
            "sockudo": f"http://{HOST}:{self.port}",
            "server": self.server_name,
            "redis": self.redis_name,
            "processes": dict(self.processes),
        }


def start(stack: ExitStack, console: Terminal, *, real: bool) -> Stage:
    """Start everything and leave its end to ``stack``.

    Raises :class:`~sockudo_publisher.dev.embedded.PartMissing` or ``PartFailed``.
    """
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="sockudo-demo-", ignore_cleanup_errors=True))
    app = SockudoApp(id="demo", key="demo-key", secret=secrets.token_hex(16))
    redis = RedisServer(f"{directory}/redis")
    server: DevServerProcess | SockudoServer
    if real:
        waiting = {"websocket": {"max_messages": MAX_WAITING_MESSAGES}}
        server = SockudoServer(f"{directory}/sockudo", [app], settings=waiting)
        server_name = f"Sockudo {sockudo_version(server.program)}"
    else:
        server = DevServerProcess(f"{directory}/sockudo", [app])
        server_name = "embedded Sockudo"
    settings = {"SOCKUDO_URL": server.url, "SOCKUDO_REDIS_URL": redis.url}
    worker = WorkerProcess(settings, directory=f"{directory}/worker")
    redis_name = f"{'Valkey' if 'valkey' in redis.program.name else 'Redis'} {'.'.join(map(str, redis.version))}"

    with console.status("Starting Redis, Sockudo and a worker ..."):
        # Ended in the opposite order: the worker first, while what it needs to hand over still runs.
        for part in (redis, server, worker):
            stack.callback(part.stop)
        redis.start()
        server.launch()
        worker.launch()
        _ready(console, redis, redis_name, redis.port)
        server.wait_until_ready()
        _ready(console, server, server_name, server.port)
        worker.wait_until_ready()
        _ready(console, worker, "Celery worker", None)
    # Not the caller's environment: nothing here ever reaches the Sockudo that it names.
    stack.callback(configure)
    configure(Settings(url=server.url, redis_url=redis.url))
    return Stage(
        port=server.port,
        key=app.key,
        server_name=server_name,
        redis_name=redis_name,
        processes={"redis": redis.pid, "sockudo": server.pid, "worker": worker.pid},
        worker=worker,
    )


def _ready(console: Terminal, part: ChildProcess, name: str, port: int | None) -> None:
    where = f"{HOST}:{port}" if port else ""
    console.print(f"[green]✓[/] {plain(name):<22} {where:<16} [dim]process {part.pid}[/]")

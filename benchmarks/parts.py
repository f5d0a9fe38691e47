"""The real parts of a run and their processes: one Redis, a fresh Sockudo for every drain, Celery workers.

The embedded room knows how to start a Redis and a Sockudo; workers are started here by the command that production
uses, ``celery -A worker worker``, and the peers' by theirs.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import ChildProcess, RedisServer, SockudoServer
from sockudo_publisher.wiring.private_celery import celery_app

__all__ = ["ROOT", "CeleryWorker", "Parts", "parts", "peer_worker", "worker"]

ROOT = Path(__file__).resolve().parents[1]

_READY = re.compile(r"\S+@\S+ ready\.$", re.MULTILINE)

#: Seconds between SIGTERM and SIGKILL. A peer that still has events would go on for minutes: nothing here needs them.
STOP_S = 5.0


class CeleryWorker(ChildProcess):
    """``celery -A APP worker ...`` from the repository's root; ready when Celery logs it."""

    def __init__(self, app: str, directory: Path, env: Mapping[str, str], args: Sequence[str] = ()) -> None:
        super().__init__(f"worker of {app}", directory / f"{app}.log")
        self._app = app
        self._env = dict(env)
        self._args = tuple(args)

    def stop(self, timeout_s: float = STOP_S) -> int:
        return super().stop(timeout_s)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", self._app, "worker", "--loglevel=INFO", *self._args]

    def _directory(self) -> Path:
        return ROOT

    def _environ(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "CELERY"))}
        return {**ours, "PYTHONUNBUFFERED": "1", **self._env}

    def _is_ready(self) -> bool:
        return _READY.search(self.log_text()) is not None


@dataclass
class Parts:
    """What a run has started, and where it keeps its files."""

    directory: Path
    redis: RedisServer
    sockudo: SockudoServer

    @property
    def env(self) -> dict[str, str]:
        """The settings of publishers and workers."""
        return self.env_of(0)

    def env_of(self, database: int) -> dict[str, str]:
        """The same with the journal in another of Redis' databases; doorbells go through the first, always."""
        return {
            "SOCKUDO_URL": self.sockudo.url,
            "SOCKUDO_REDIS_URL": self.redis.database_url(database),
            "SOCKUDO_BROKER_URL": self.redis.url,
        }

    def use(self, database: int = 0) -> None:
        """Let this process publish to these parts."""
        os.environ.update(self.env_of(database))
        configure()
        # Celery read its configuration when the package was imported, before there was a broker.
        celery_app.conf.broker_url = self.redis.url

    def fresh(self) -> None:
        """An empty Redis, and a server that has seen no event yet: every drain starts from the same."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()
        self.sockudo.restart()
        self.use()


@contextmanager
def parts() -> Iterator[Parts]:
    """A Redis with its append-only file and a Sockudo, until the block ends; their files are removed."""
    directory = Path(tempfile.mkdtemp(prefix="sockudo-bench-"))
    try:
        with RedisServer(directory / "redis") as redis_server, SockudoServer(directory / "sockudo") as sockudo:
            both = Parts(directory, redis_server, sockudo)
            both.use()
            yield both
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def worker(parts: Parts, database: int = 0) -> CeleryWorker:
    """This package's worker with its own settings; not started yet."""
    return CeleryWorker("worker", parts.directory, parts.env_of(database))


def peer_worker(parts: Parts, module: str, done: Path, args: Sequence[str]) -> CeleryWorker:
    """A worker of ``benchmarks/peers/MODULE.py``, which writes a byte to ``done`` for each event; not started yet."""
    env = {"BENCH_BROKER_URL": parts.redis.url, "BENCH_SOCKUDO_URL": parts.sockudo.url, "BENCH_DONE": str(done)}
    return CeleryWorker(f"benchmarks.peers.{module}", parts.directory, env, args)

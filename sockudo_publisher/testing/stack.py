"""The parts of the fixture ``sockudo_stack``: a Redis, the embedded Sockudo and a worker, started once."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import redis

from ..config.settings import Settings
from ..dev.embedded import RedisServer, WorkerProcess
from ..operations import resume, status
from .server import APP, TestServer

__all__ = ["Stack"]

#: Seconds in which the worker delivers what a test has left.
DRAIN_S = 5.0
_POLL_S = 0.005

#: Lanes of the stack: few, as each test looks at all of them.
LANES = 2

#: Records of the journal that would be seen by the next test: used keys and dead letters.
_OF_A_TEST = ("*:ledger:*", "*:dead*")


class Stack:
    """``url``, ``redis_url``, ``key``, ``secret``; ``server``, ``redis`` and ``worker`` are its parts.

    ``names``: apps beside the default one, as ``app=`` names them. The apps are fixed, since a worker reads its
    settings at its start.
    """

    def __init__(self, directory: Path, names: list[str]) -> None:
        self._ends = ExitStack()
        self._directory = directory
        self._apps = {name: replace(APP, id=f"test-app-{name}", key=f"test-key-{name}") for name in names}
        try:
            self.redis = self._ends.enter_context(RedisServer(directory / "redis", appendonly=False))
            self.server = self._ends.enter_context(TestServer([APP, *self._apps.values()]))
            self._start_worker()
        except BaseException:
            self._ends.close()
            raise

    @property
    def url(self) -> str:
        """``SOCKUDO_URL``."""
        return self.server.url

    @property
    def redis_url(self) -> str:
        """``SOCKUDO_REDIS_URL``."""
        return self.redis.url

    @property
    def key(self) -> str:
        """The app's key, which subscribers name."""
        return self.server.key

    @property
    def secret(self) -> str:
        """The app's secret."""
        return self.server.secret

    def ws_url(self) -> str:
        """Where subscribers connect."""
        return self.server.ws_url()

    @property
    def lanes(self) -> int:
        """``SOCKUDO_LANES``."""
        return LANES

    def app_urls(self) -> dict[str, str]:
        """The further apps, by name."""
        return {name: self.server.url_of(app) for name, app in self._apps.items()}

    def wait_until_delivered(self, timeout_s: float = DRAIN_S) -> bool:
        """Wait until no event waits in the journal; returns whether that is so."""
        until = time.monotonic() + timeout_s
        settings = self._settings()
        while any(lane.depth for app in status(settings=settings) for lane in app.lanes):
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_S)
        return True

    def empty(self) -> None:
        """Make the parts as new: the worker delivers what is left, then keys, dead letters and ids are forgotten.

        If something cannot be delivered, worker and journal begin anew.
        """
        self.server.faults.clear()
        settings = self._settings()
        for name in ("default", *self._apps):
            resume(name, settings=settings)
        with redis.Redis.from_url(self.redis_url) as client:
            if self.wait_until_delivered():
                for pattern in _OF_A_TEST:
                    for key in client.scan_iter(pattern, count=1000):
                        client.delete(key)
            else:
                self.worker.kill()
                client.flushall()
                self._start_worker()
        self.server.empty()

    def stop(self) -> None:
        """End all parts; the worker's end is not waited for."""
        self._ends.close()

    def _settings(self) -> Settings:
        return Settings(url=self.url, redis_url=self.redis_url, apps=self.app_urls(), lanes=LANES)

    def _start_worker(self) -> None:
        env = {
            "SOCKUDO_URL": self.url,
            "SOCKUDO_REDIS_URL": self.redis_url,
            "SOCKUDO_APPS": json.dumps(self.app_urls()),
            "SOCKUDO_LANES": str(LANES),
        }
        self.worker = WorkerProcess(env, args=["--without-mingle"], directory=self._directory / "worker")
        self._ends.callback(self.worker.kill)
        self.worker.start()

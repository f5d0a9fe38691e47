"""The parts of one test as one thing: a Redis, a Sockudo, the settings that name them, workers and subscribers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer, SockudoServer, WorkerProcess
from sockudo_publisher.dev.subscriber import Subscriber

from .warm import WarmWorker

#: What the real server of the tests remembers, so that a dropped request's claim ends in a test's time.
DEDUP_TTL_S = 60

Server = SockudoServer | DevServerProcess


class Stack:
    """`environ` holds the settings; they are this process' too while the fixture `stack` lives.

    What `worker` and `subscribe` start ends with the test: workers by SIGKILL, as a warm shutdown takes seconds.
    """

    def __init__(self, redis_server: RedisServer, server: Server, directory: Path, ends: ExitStack) -> None:
        self.redis_server = redis_server
        self.server = server
        self.directory = directory
        self._ends = ends
        self.environ: dict[str, str] = {
            "SOCKUDO_URL": server.url,
            "SOCKUDO_REDIS_URL": redis_server.url,
            "SOCKUDO_DEDUP_WINDOW": str(DEDUP_TTL_S),
            "SOCKUDO_DELIVERY_TIMEOUT": "10",
        }
        #: A text that no other test has: for channels, as the servers live longer than a test.
        self.unique = uuid.uuid4().hex[:8]

    @property
    def redis(self) -> redis.Redis:
        """A client of the journal's Redis; closed with the test."""
        client = redis.Redis.from_url(self.redis_server.url)
        self._ends.callback(client.close)
        return client

    def channel(self, name: str = "c") -> str:
        """A channel that no other test uses."""
        return f"{name}-{self.unique}"

    def channels(self, count: int, name: str = "c") -> list[str]:
        """That number of them."""
        return [f"{name}{index}-{self.unique}" for index in range(count)]

    def worker(
        self,
        pool: str | None = None,
        concurrency: int | None = None,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> WorkerProcess:
        """A running worker with `environ` (and `env` over it); `wait=False` returns before it is ready."""
        worker = WarmWorker({**self.environ, **(env or {})}, pool, concurrency, args, directory=self.directory)
        self._ends.callback(worker.kill)
        worker.launch()
        if wait:
            worker.wait_until_ready()
        return worker

    def subscribe(self, *channels: str) -> Subscriber:
        """A subscriber of these channels, each confirmed."""
        return self._ends.enter_context(Subscriber(self.server.ws_url(), *channels, secret=self.server.apps[0].secret))

    def python(self) -> dict[str, str]:
        """The environment for another Python process (a script that publishes) with these settings."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
        return {**others, **self.environ}


SubscriberFactory = Callable[..., Subscriber]


def set_settings(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    """These `SOCKUDO_*` variables and no others; what was made of others is dropped."""
    from sockudo_publisher import configure

    for name in [name for name in os.environ if name.startswith("SOCKUDO_") and name != "SOCKUDO_BIN"]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    configure()


@contextmanager
def settings_of(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of a stack are this process' own while it lasts. All that was patched is undone at its end."""
    from sockudo_publisher import configure

    set_settings(monkeypatch, stack.environ)
    try:
        yield
    finally:
        monkeypatch.undo()
        configure()


class SharedStack:
    """What the tests of one file share: a Redis of their own, which is not emptied, and the workers of `base`.

    For tests that stop, freeze and empty nothing. Each uses channels, keys and ids of its own.
    """

    def __init__(self, base: Stack) -> None:
        self.base = base

    @contextmanager
    def of_test(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
        """The stack of one test: what it starts ends with it, and what `base` runs goes on."""
        ends = ExitStack()
        stack = Stack(self.base.redis_server, self.base.server, self.base.directory, ends)
        stack.environ = dict(self.base.environ)
        with settings_of(stack, monkeypatch), ends:
            yield stack

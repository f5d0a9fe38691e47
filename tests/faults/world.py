"""The parts of one scenario: Redis, Sockudo behind a proxy that misbehaves, workers that are killed, a subscriber.

Everything is real and of this scenario's own, since everything is killed, frozen or restarted.
"""

from __future__ import annotations

import itertools
import os
import queue
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer, WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.errors import JournalUnavailable
from sockudo_publisher.operations import status
from tests.support.nginx import nginx_before
from tests.support.oracle import compare, numbers
from tests.support.proxied import counts
from tests.support.proxy import Connection, Meanwhile, Pass, Proxy, at_port

#: Seconds that the server remembers an id in most scenarios, so that a claim ends in a test's time.
TTL_S = 40
#: The server's own default.
DEFAULT_TTL_S = 120
#: Seconds of one attempt; the window must be longer by 5 s at least.
DELIVERY_TIMEOUT_S = 10
CHANNELS = tuple(f"flights-{number}" for number in range(64))
#: Seconds in which a worker that shall die at a point must have come there.
FIRE_S = 120.0
#: Items of a request that the server is busy with for some milliseconds; seconds in which that number waits in a lane.
LARGE, LARGE_AFTER_S = 250, 1.5
#: Seconds without a request that are a gap between two bursts.
SILENCE_S = 0.1


@dataclass(frozen=True)
class Setup:
    """What a scenario runs on."""

    cache: str = "memory"  # the server's memory of ids: "memory" or "redis"
    history: bool = False
    nodes: int = 1
    nginx: bool = False
    proxy_behind_nginx: bool = False  # between nginx and Sockudo, not between the workers and nginx
    workers: int = 2
    ttl_s: int = TTL_S  # how long the server remembers an id, and the workers trust it to
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FaultWorld:
    """The running parts, and what was done to them."""

    setup: Setup
    directory: Path
    chance: random.Random
    redis: RedisServer
    cache: RedisServer | None
    nodes: list[SockudoServer]
    proxy: Proxy
    env: dict[str, str]
    subscriber: Subscriber
    ends: ExitStack
    workers: list[WorkerProcess] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    timeline: list[tuple[float, str]] = field(default_factory=list)  # monotonic seconds, what was done

    def did(self, what: str, times: int = 1) -> None:
        """A fault has happened."""
        self.done[what] += times
        self.timeline.append((time.monotonic(), what if times == 1 else f"{times} {what}"))

    @property
    def sockudo(self) -> SockudoServer:
        """The node that the subscriber is connected to."""
        return self.nodes[0]

    def start_worker(
        self, faultpoint: str | None = None, *, wait: bool = False, slots: int | None = None
    ) -> WorkerProcess:
        """Another worker; with `faultpoint` it dies there ("taken:3": the third time)."""
        env = self.env if faultpoint is None else {**self.env, "SOCKUDO_FAULTPOINT": faultpoint}
        worker = WorkerProcess(env, concurrency=slots, directory=self.directory)
        self.ends.callback(worker.kill)
        worker.launch()
        if wait:
            worker.wait_until_ready()
        return worker

    def kill_worker(self) -> WorkerProcess:
        """SIGKILL one at random, and start another in its place; answers the new one."""
        index = self.chance.randrange(len(self.workers))
        worker = self.workers[index]
        code = worker.kill()
        assert code == -signal.SIGKILL, f"{worker.node} had ended by itself ({code}): {worker.log_tail()}"
        self.did("workers killed")
        self.workers[index] = self.start_worker()
        return self.workers[index]

    def kill_in_mid_batch(self) -> None:
        """SIGKILL all of them while the server works on a large request, and start others in their places."""
        met = queue.SimpleQueue[Connection]()
        first = threading.Lock()
        groups = [worker.pid for worker in self.workers]

        def kill(connection: Connection) -> None:
            if first.acquire(blocking=False):
                for group in groups:
                    os.killpg(group, signal.SIGKILL)
                met.put(connection)

        self.proxy.behaviour = Meanwhile(kill, LARGE, LARGE_AFTER_S)
        try:
            connection = met.get(timeout=FIRE_S)
        except queue.Empty:
            most = max(one.item_count for one in self.proxy.connections)
            raise AssertionError(f"no large request came, but of {most} items") from None
        finally:
            self.proxy.behaviour = Pass()
        for index, worker in enumerate(self.workers):
            assert worker.kill() == -signal.SIGKILL
            self.workers[index] = self.start_worker()
        self.did("workers killed", len(groups))
        assert wait_for(lambda: connection.closed, 60)
        if connection.is_unanswered:
            self.did("requests unanswered")

    def waiting(self) -> int:
        """Events in the journal, held ones too."""
        return sum(lane.depth + lane.held for app in status() for lane in app.lanes)

    def wait_until_found(self, promised: Mapping[str, Sequence[int]], timeout_s: float = 60.0) -> None:
        """Until all of this was seen but what is held or parked (every search is over), or the time is."""

        def is_found() -> bool:
            try:
                return everything_is_found()
            except (JournalUnavailable, redis.RedisError):
                return False  # another fault has Redis restart at the same time

        def everything_is_found() -> bool:
            held = sum(lane.held for app in status() for lane in app.lanes)
            missing = compare(promised, numbers(self.subscriber.events())).lost
            return missing <= held + self.counts().get("parked_uncertain", 0)

        wait_for(is_found, timeout_s, poll_s=1.0)

    def counts(self) -> dict[str, int]:
        """The journal's counters, over all lanes."""
        with redis.Redis.from_url(self.redis.url) as client:
            return counts(client)


class RoundRobin(Proxy):
    """A proxy in front of several nodes, each connection to the next one."""

    def __init__(self, ports: list[int], *, closes: bool = False) -> None:
        self._ports = itertools.cycle(ports)
        super().__init__(ports[0], closes=closes)

    def target(self) -> int:
        return next(self._ports)


@contextmanager
def running(setup: Setup, directory: Path, seed: int) -> Iterator[FaultWorld]:
    """Start the parts, and this process' settings; end them all."""
    with ExitStack() as ends:
        journal = ends.enter_context(RedisServer(directory / "redis", appendonly=True))
        cache = None
        if setup.cache == "redis" or setup.nodes > 1:
            cache = ends.enter_context(RedisServer(directory / "cache"))
        nodes = [
            ends.enter_context(
                SockudoServer(
                    directory / f"sockudo-{number}",
                    dedup_ttl_s=setup.ttl_s,
                    cache_redis_url=None if cache is None else cache.url,
                    history=setup.history,
                    settings=_cluster(cache) if setup.nodes > 1 and cache else None,
                )
            )
            for number in range(setup.nodes)
        ]
        behind = [node.port for node in nodes]
        if setup.nginx and not setup.proxy_behind_nginx:
            behind = [nginx_before(nodes[0].port, directory / "nginx", ends)]
        proxy = ends.enter_context(RoundRobin(behind, closes=setup.nginx))
        url = proxy.url(nodes[0].url)
        if setup.proxy_behind_nginx:
            url = at_port(url, nginx_before(proxy.port, directory / "nginx", ends))
        env = {
            "SOCKUDO_URL": url,
            "SOCKUDO_REDIS_URL": journal.url,
            "SOCKUDO_DEDUP_WINDOW": str(setup.ttl_s),
            "SOCKUDO_DELIVERY_TIMEOUT": str(DELIVERY_TIMEOUT_S),
            **setup.settings,
        }
        _set_environment(ends, env)
        subscriber = ends.enter_context(Subscriber(nodes[0].ws_url(), *CHANNELS))
        world = FaultWorld(setup, directory, random.Random(seed), journal, cache, nodes, proxy, env, subscriber, ends)
        world.workers = [world.start_worker() for _ in range(setup.workers)]
        for worker in world.workers:
            worker.wait_until_ready()
        yield world
        proxy.behaviour = Pass()


def _cluster(cache: RedisServer) -> dict[str, Any]:
    """Nodes that broadcast to each other over Redis."""
    place = {"host": "127.0.0.1", "port": cache.port, "password": cache.password}
    return {"adapter": {"driver": "redis"}, "database": {"redis": place}}


def _set_environment(ends: ExitStack, env: Mapping[str, str]) -> None:
    """The settings for the publisher in this process; what was there comes back."""
    before = {name: value for name, value in os.environ.items() if name.startswith("SOCKUDO_")}

    def restore() -> None:
        for name in [name for name in os.environ if name.startswith("SOCKUDO_")]:
            del os.environ[name]
        os.environ.update(before)
        configure()

    for name in before:
        if name != "SOCKUDO_BIN":
            del os.environ[name]
    os.environ.update(env)
    configure()
    ends.callback(restore)


def wait_for_progress(world: FaultWorld, events: int, timeout_s: float = 60.0) -> None:
    """Until the subscriber has seen that number of further events: faults shall meet traffic."""
    wanted = world.subscriber.count + events
    deadline = time.monotonic() + timeout_s
    while world.subscriber.count < wanted:
        assert time.monotonic() < deadline, f"no progress: {world.subscriber.count} events, {world.counts()}"
        time.sleep(0.02)


def wait_until_nothing_is_sent(world: FaultWorld, timeout_s: float = 60.0) -> None:
    """Until no request is on its way, and none was for a moment: the gap between two bursts."""
    deadline = time.monotonic() + timeout_s
    before, since = -1, 0.0
    while True:
        now, connections = time.monotonic(), world.proxy.connections
        assert now < deadline, "requests all the time"
        if len(connections) != before or not all(one.closed for one in connections[-100:]):
            before, since = len(connections), now
        elif now - since > SILENCE_S:
            return
        time.sleep(0.005)

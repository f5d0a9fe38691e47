"""The promise, against real parts: three workers, a real Sockudo, a real Redis, a real subscriber, and faults.

The server remembers ids for a shorter time here than its 120 s, so that an orphaned claim ends in a test's time. That
the faults meet the server in the middle of a batch is not left to chance: it is waited for, and asserted.
"""

from __future__ import annotations

import os
import queue
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import redis

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer, WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.operations import status
from tests.support.oracle import Comparison, compare, numbers
from tests.support.proxied import counts
from tests.support.proxy import Connection, Cut, Meanwhile, Pass, Proxy
from tests.support.publisher import Publisher
from tests.support.warm import WarmWorker

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

CHANNELS = [f"flights-{number}" for number in range(64)]
WORKERS = 3
#: Events of a burst, and seconds between two: some 600 a lane, so that there can be batches of 500.
BURST, PAUSE_S = 5000, 1.0
#: Items of a request that the server is busy with for some milliseconds.
LARGE = 500
#: Seconds in which such a request must come.
LARGE_S = 60.0
#: Seconds in which a successor has found what is stuck: a lease (6 s), and a search whose every question takes one.
SEARCH_S = 40.0


@dataclass
class Faulty:
    """Redis, Sockudo, workers with a proxy each, and a subscriber that sees every channel."""

    directory: Path
    redis: RedisServer
    sockudo: SockudoServer
    proxies: list[Proxy]
    env: dict[str, str]
    subscriber: Subscriber
    workers: list[WorkerProcess]
    exits: ExitStack

    def launch_worker(self, index: int) -> WorkerProcess:
        """In this place, behind its proxy; not waiting until it is ready."""
        url = self.proxies[index].url(self.sockudo.url)
        worker = WarmWorker({**self.env, "SOCKUDO_URL": url}, directory=self.directory)
        self.exits.callback(worker.kill)
        worker.launch()
        return worker

    def replace_killed(self, index: int) -> None:
        """SIGKILL a worker, and start another in its place."""
        assert self.workers[index].kill() == -signal.SIGKILL
        self.workers[index] = self.launch_worker(index)

    def kill_in_mid_batch(self) -> bool:
        """SIGKILL the worker of the next large request while the server works on it; whether it stayed unanswered."""
        first, killed = threading.Lock(), queue.SimpleQueue[tuple[int, Connection]]()

        def kill(index: int, connection: Connection) -> None:
            if first.acquire(blocking=False):
                os.killpg(self.workers[index].pid, signal.SIGKILL)
                killed.put((index, connection))

        for index, proxy in enumerate(self.proxies):
            proxy.behaviour = Meanwhile(partial(kill, index), LARGE, PAUSE_S)
        index, connection = killed.get(timeout=LARGE_S)
        for proxy in self.proxies:
            proxy.behaviour = Pass()
        self.replace_killed(index)
        assert wait_for(lambda: connection.closed, 60)
        return connection.is_unanswered

    def cuts(self) -> int:
        """Requests that were cut when the server had them, and had not answered."""
        return sum(one.fired and one.is_unanswered for proxy in self.proxies for one in proxy.connections)

    def counts(self) -> dict[str, int]:
        """The counters of all lanes."""
        with redis.Redis.from_url(self.redis.url) as client:
            return counts(client)

    def found_stuck(self) -> bool:
        """Whether a worker has searched, and held what was stuck."""
        now = self.counts()
        return now.get("searched", 0) >= 1 and now.get("stuck", 0) >= 1

    def has_found(self, promised: Mapping[str, Sequence[int]]) -> bool:
        """Whether all of this was seen but what is held: no search is under way for it."""
        held = sum(lane.held for app in status() for lane in app.lanes)
        return compare(promised, numbers(self.subscriber.events())).lost <= held


@pytest.fixture
def make_faulty(
    sockudo: SockudoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Faulty]]:
    """`make_faulty(dedup_ttl_s)`; the session's server, which is not stopped or frozen, says whether there is any."""
    with ExitStack() as exits:

        def make(dedup_ttl_s: int) -> Faulty:
            server = exits.enter_context(RedisServer(tmp_path / "redis", appendonly=True))
            sockudo = exits.enter_context(SockudoServer(tmp_path / "sockudo", dedup_ttl_s=dedup_ttl_s))
            proxies = [exits.enter_context(Proxy(sockudo.port)) for _ in range(WORKERS)]
            env = {
                "SOCKUDO_URL": sockudo.url,
                "SOCKUDO_REDIS_URL": server.url,
                "SOCKUDO_DEDUP_WINDOW": str(dedup_ttl_s),
                "SOCKUDO_DELIVERY_TIMEOUT": "10",
            }
            for name, value in env.items():
                monkeypatch.setenv(name, value)
            configure()
            exits.callback(configure)
            subscriber = exits.enter_context(Subscriber(sockudo.ws_url(), *CHANNELS))
            made = Faulty(tmp_path, server, sockudo, proxies, env, subscriber, [], exits)
            made.workers = [made.launch_worker(index) for index in range(WORKERS)]
            for worker in made.workers:
                worker.wait_until_ready()
            return made

        yield make


def verdict(faulty: Faulty, publisher: Publisher, timeout_s: float) -> Comparison:
    """End the traffic, wait for everything that was promised, then for silence, and compare."""
    publisher.stop.set()
    publisher.join(timeout_s)
    assert publisher.error is None
    assert not publisher.is_alive(), "the publisher did not end"
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if compare(publisher.promised, numbers(faulty.subscriber.events())).lost == 0:
            break
        time.sleep(0.5)
    faulty.subscriber.wait_until_quiet(2.0)
    return compare(publisher.promised, numbers(faulty.subscriber.events()))


@pytest.mark.long
def test_five_killed_workers_lose_and_repeat_nothing(make_faulty: Callable[[int], Faulty]) -> None:
    """Workers SIGKILLed while the server works on their batch of 500: each event once, in order per channel."""
    faulty = make_faulty(50)
    publisher = Publisher(CHANNELS, 10**9, BURST, PAUSE_S)
    publisher.start()
    kills = in_mid_batch = 0
    while kills < 5 or not (in_mid_batch and wait_for(faulty.found_stuck, SEARCH_S)):
        assert kills < 10, f"{in_mid_batch} of {kills} killed in mid-batch, {faulty.counts()}"
        wait_for_progress(faulty, publisher, 2000)
        in_mid_batch += faulty.kill_in_mid_batch()
        kills += 1
    result = verdict(faulty, publisher, 120)
    assert result.promised >= 20_000
    assert result.is_exact, f"{result}, {in_mid_batch} of {kills} in mid-batch, {faulty.counts()}"


@pytest.mark.long
def test_all_faults_together_lose_and_repeat_nothing(
    make_faulty: Callable[[int], Faulty],
) -> None:
    """Kills, requests cut in mid-batch, Redis restarted, Sockudo frozen, in one run: each event once, in order."""
    faulty = make_faulty(60)
    chance = random.Random(20_000)
    publisher = Publisher(CHANNELS, 10**9, BURST, PAUSE_S)
    publisher.start()
    wait_for_progress(faulty, publisher, 1600)

    # Requests are cut while the server is somewhere in their batch; more of them, until something was stuck.
    rounds = 0
    while faulty.cuts() < 5 or not wait_for(faulty.found_stuck, SEARCH_S):
        assert rounds < 12, f"{faulty.cuts()} requests cut, {faulty.counts()}"
        for proxy in faulty.proxies:
            proxy.next(*(Cut(after_s=chance.uniform(0.0, 0.012), reset=chance.random() < 0.5) for _ in range(5)))
        wait_for_progress(faulty, publisher, 3000)
        for proxy in faulty.proxies:
            proxy.no_more()
        rounds += 1
    # Every search ends before the next faults break it off again: it has the window for that, and no longer.
    publisher.burst, publisher.pause_s = 1600, 0.8
    assert wait_for(partial(faulty.has_found, publisher.promises()), SEARCH_S, poll_s=0.5), faulty.counts()
    faulty.replace_killed(0)
    faulty.redis.restart()
    time.sleep(2)
    faulty.sockudo.pause()
    time.sleep(8)
    faulty.sockudo.resume()
    for kill in range(1, 5):
        time.sleep(2)
        faulty.replace_killed(kill % WORKERS)

    result = verdict(faulty, publisher, 240)
    told = f"{result}, {faulty.counts()}, {faulty.cuts()} cuts, {publisher.repeats} repeats"
    assert result.promised >= 20_000
    assert publisher.longest_delay_s < 2.5, "delay raises within two seconds while Redis is away"
    assert result.is_exact, told


def wait_for_progress(faulty: Faulty, publisher: Publisher, events: int) -> None:
    """Until that number of further events was seen."""
    wanted = faulty.subscriber.count + events
    deadline = time.monotonic() + 60
    while faulty.subscriber.count < wanted:
        assert publisher.error is None
        assert time.monotonic() < deadline, f"{faulty.subscriber.count} of {publisher.count} events after 60 s"
        time.sleep(0.02)

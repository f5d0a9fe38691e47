"""The promise, against real parts: three workers, a real Sockudo, a real Redis, a real subscriber, and faults.

The server remembers ids for 60 s here instead of 120, so that an orphaned claim ends in a test's time.
"""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from sockudo_publisher.apps import forget_apps
from sockudo_publisher.embedded import RedisServer, SockudoServer, WorkerProcess
from tests.support.oracle import Verdict, compare, numbers
from tests.support.proxy import Cut, Pass, Proxy
from tests.support.publisher import Publisher
from tests.support.subscriber import Subscriber

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

CHANNELS = [f"flights-{number}" for number in range(64)]
WORKERS = 3
DEDUP_TTL_S = 60


@dataclass
class Faulty:
    """Redis, Sockudo behind a proxy, and workers, with a subscriber that sees every channel."""

    directory: Path
    redis: RedisServer
    sockudo: SockudoServer
    proxy: Proxy
    env: dict[str, str]
    subscriber: Subscriber
    workers: list[WorkerProcess]
    exits: ExitStack

    def start_worker(self, **options: object) -> WorkerProcess:
        worker = WorkerProcess(self.env, directory=self.directory, **options)  # type: ignore[arg-type]
        self.exits.callback(worker.kill)
        worker.start()
        return worker

    def replace_killed(self, index: int) -> None:
        """SIGKILL a worker, and start another in its place (not waiting until it is ready)."""
        assert self.workers[index].kill() == -signal.SIGKILL
        worker = WorkerProcess(self.env, directory=self.directory)
        self.exits.callback(worker.kill)
        worker.launch()
        self.workers[index] = worker

    def counts(self) -> dict[str, int]:
        """The counters of all lanes."""
        total: dict[str, int] = defaultdict(int)
        client = redis.Redis.from_url(self.redis.url)
        for key in client.scan_iter("sockudo:*:counts"):
            for name, value in client.hgetall(key).items():
                total[name.decode()] += int(value)
        client.close()
        return dict(total)


@pytest.fixture
def faulty(sockudo: SockudoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    with ExitStack() as exits:
        server = exits.enter_context(RedisServer(tmp_path / "redis", appendonly=True))
        # The session's server is not stopped or frozen: this one is.
        sockudo = exits.enter_context(SockudoServer(tmp_path / "sockudo", dedup_ttl_s=DEDUP_TTL_S))
        proxy = exits.enter_context(Proxy(sockudo.port))
        env = {
            "SOCKUDO_URL": proxy.url(sockudo.url),
            "SOCKUDO_REDIS_URL": server.url,
            "SOCKUDO_DEDUP_WINDOW": str(DEDUP_TTL_S),
            "SOCKUDO_DELIVERY_TIMEOUT": "10",
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        forget_apps()
        exits.callback(forget_apps)
        subscriber = exits.enter_context(Subscriber(sockudo.ws_url(), *CHANNELS))
        made = Faulty(tmp_path, server, sockudo, proxy, env, subscriber, [], exits)
        made.workers = [made.start_worker() for _ in range(WORKERS)]
        yield made


def verdict(faulty: Faulty, publisher: Publisher, timeout_s: float) -> Verdict:
    """Wait for everything that was promised, then for silence, and compare."""
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


def test_five_killed_workers_lose_and_repeat_nothing(faulty: Faulty) -> None:
    """20,000 events, a worker SIGKILLed five times on the way: each event once, in order per channel."""
    publisher = Publisher(CHANNELS, 20_000, burst=2000, pause_s=0.6)
    publisher.start()
    for kill in range(5):
        wait_for_progress(faulty, publisher, (kill + 1) * 3000)
        faulty.replace_killed(kill % WORKERS)
    result = verdict(faulty, publisher, 120)
    assert result.promised == 20_000
    assert result.is_exact, f"{result}, {faulty.counts()}"


def test_kills_cuts_restart_and_freeze_together_lose_and_repeat_nothing(faulty: Faulty) -> None:
    """Kills, requests cut in mid-batch, Redis restarted, Sockudo frozen, in one run: each event once, in order."""
    chance = random.Random(20_000)
    publisher = Publisher(CHANNELS, 20_000, burst=1600, pause_s=0.8)
    publisher.start()
    wait_for_progress(faulty, publisher, 1600)

    # 40 requests are cut while the server is somewhere in their batch.
    faulty.proxy.next(*(Cut(after_s=chance.uniform(0.0, 0.012), reset=chance.random() < 0.5) for _ in range(40)))
    time.sleep(2)
    faulty.replace_killed(0)
    faulty.redis.restart()
    time.sleep(2)
    faulty.sockudo.pause()
    time.sleep(8)
    faulty.sockudo.resume()
    for kill in range(1, 5):
        time.sleep(2)
        faulty.replace_killed(kill % WORKERS)
    faulty.proxy.behaviour = Pass()

    result = verdict(faulty, publisher, 240)
    counts = faulty.counts()
    assert result.promised == 20_000
    assert faulty.proxy.fired >= 5, "the cuts must have happened; many requests are answered before theirs comes"
    assert publisher.longest_call_s < 2.5, "delay raises within two seconds while Redis is away"
    assert result.is_exact, f"{result}, {counts}, {faulty.proxy.fired} cuts, {publisher.repeats} repeats"


def wait_for_progress(faulty: Faulty, publisher: Publisher, count: int) -> None:
    """Until so many events were seen, or everything that is published (a lane may wait for a killed worker's lease)."""
    deadline = time.monotonic() + 60
    while faulty.subscriber.count < min(count, publisher.total):
        assert publisher.error is None
        assert time.monotonic() < deadline, f"{faulty.subscriber.count} of {publisher.count} events after 60 s"
        time.sleep(0.02)

"""A deployment with the shipped files is broken in ten ways: the right alert fires, and its page ends it.

One deployment for all of them, one after the other; each test leaves it with no alert firing. The page's commands are
read from docs/operate/runbook and run. How long a condition has to hold before an alert fires is
tests/integration/metrics/test_alert_rules.py's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import redis

from sockudo_publisher.deploy_files import sockudo_file
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.deploy.world import APP, LONG_S, World, running
from tests.integration.metrics.page import scrape
from tests.support.proxy import Cut, Pass

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("deployment")
    directory.chmod(0o700)
    with running(directory) as started:
        yield started


@pytest.fixture
def world(deployment: World) -> Iterator[World]:
    """Healthy before and after: nothing fires, and an event arrives."""
    deployment.wait_until_calm()
    yield deployment
    deployment.wait_until_calm()
    before = _settled(deployment)
    deployment.publish()
    assert wait_for(lambda: _settled(deployment) > before, LONG_S), deployment.worker.log_tail()


def _settled(world: World) -> float:
    with redis.Redis.from_url(world.redis.url) as client:
        return sum(int(client.hget(key, "settled") or 0) for key in client.scan_iter("sockudo:*:counts"))


def _value(world: World, name: str) -> float | None:
    return scrape(world.worker.port).value(name)


def test_redis_away(world: World) -> None:
    world.redis.stop()
    world.wait_until_fires("RedisAway")
    world.end_by_page("redis-away")


def test_redis_frozen(world: World) -> None:
    """Stopped in the middle, it accepts connections and answers nothing."""
    world.publish(10)
    world.redis.pause()
    world.wait_until_fires("RedisAway")
    world.end_by_page("redis-away")


def test_redis_full(world: World) -> None:
    with redis.Redis.from_url(world.redis.url) as client:
        piece = 0
        while client.info("memory")["used_memory"] < 0.87 * 64 * 2**20:
            client.set(f"of-another-program-{piece}", b"x" * 500_000)
            piece += 1
    world.wait_until_fires("RedisFull")
    assert "redis-cli CONFIG SET maxmemory 2gb" in world.end_by_page("redis-full")


def test_sockudo_away(world: World) -> None:
    world.server.kill()
    world.publish(10)
    world.wait_until_fires("SockudoAway")
    world.end_by_page("sockudo-away")


def test_sockudo_answers_401(world: World) -> None:
    """The secret was changed at the server alone."""
    world.server.secret = "secret-two"
    world.server.restart()
    world.publish(10)
    world.wait_until_fires("CredentialsRefused")
    world.write_secret("sockudo_url", world.sockudo_url("secret-two"))  # "Correct SOCKUDO_URL"
    world.end_by_page("credentials-refused")


def test_sockudo_forgets(world: World) -> None:
    """Its memory has room for one event a second; more come."""
    world.server.configure(sockudo_file(events_per_second=1))
    world.server.restart()
    world.publish(2_000)
    world.wait_until_fires("ServerForgets")
    world.end_by_page("server-forgets")


def test_worker_dead(world: World) -> None:
    world.worker.kill()
    world.wait_until_fires("WorkerDead")
    world.publish(10)
    world.end_by_page("worker-dead")


def test_consumer_cancelled(world: World) -> None:
    world._run("celery -A sockudo_publisher control --timeout 10 cancel_consumer sockudo")
    world.wait_until_fires("ConsumerCancelled")
    world.end_by_page("consumer-cancelled")


def test_poison(world: World) -> None:
    """An event that Sockudo refuses for its rules."""
    world.publish(event="ai-output")
    world.wait_until_fires("DeadLetters")
    assert _value(world, "dead_letters") == 1
    world.end_by_page("dead-letters")
    assert wait_for(lambda: _value(world, "dead_letters") == 0, LONG_S)


def test_held_channel(world: World) -> None:
    """A request is cut when the subscriber has the first events of a large batch: Sockudo keeps the claim of one event.

    One cut in a round: the resend must meet the claim before it ends.
    """
    _hold_a_channel(world)
    world.wait_until_fires("HeldChannel")
    world.end_by_page("held-channel")
    # A figure is shown for a second.
    assert wait_for(lambda: _value(world, "held_channels") == 0, 10.0), "the page's command waits for the end"


def _set_niceness(pid: int, niceness: int) -> None:
    """Of all threads."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.setpriority(os.PRIO_PROCESS, int(thread), niceness)


#: Items of a batch that is cut: canaries are fewer. Seconds from the cut until the stuck event is found by a search.
LARGE, FOUND_S = 150, 12.0


def _hold_a_channel(world: World) -> None:
    until = time.monotonic() + 3 * LONG_S
    round_ = 0
    while not _value(world, "held_channels"):
        assert time.monotonic() < until, world.worker.log_tail()
        round_ += 1
        channel = f"held-{round_}"
        with Subscriber(f"ws://127.0.0.1:{world.server.port}/app/{APP.key}?protocol=7", channel) as seen:
            cut = _CutOnce(seen)
            before = world.cable.fired
            world.cable.behaviour = Cut(when=cut.is_due, items=LARGE, reset=True)
            _set_niceness(world.server.pid, 10)  # on a busy machine the cut comes before the server has ended too
            try:
                world.publish(4_000, channel=channel, size=500)
                wait_for(lambda before=before: world.cable.fired > before, 20.0, 0.05)
            finally:
                world.cable.behaviour = Pass()
                with suppress(PermissionError):  # not root's: it stays as it is
                    _set_niceness(world.server.pid, 0)
            wait_for(lambda: bool(_value(world, "held_channels")), FOUND_S, 0.2)


class _CutOnce:
    """Due once: when some events have come since it was first asked, and so the server is in the middle."""

    def __init__(self, seen: Subscriber) -> None:
        self._seen = seen
        self._from: int | None = None
        self._is_done = False

    def is_due(self) -> bool:
        if self._is_done:
            return False
        if self._from is None:
            self._from = self._seen.count
        self._is_done = self._seen.count >= self._from + 3
        return self._is_done

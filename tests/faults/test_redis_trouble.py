"""The journal's Redis is full, the broker's is emptied: nothing is lost, and callers get errors."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import redis

from sockudo_publisher import BacklogFull, BulkError, configure, publish, publish_many
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.oracle import compare, numbers
from tests.support.publisher import Publisher
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

PAD = "x" * 5000


def use(stack: Stack, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """These settings too, for us and for the workers to come."""
    for name, value in settings.items():
        stack.environ[name] = value
        monkeypatch.setenv(name, value)
    configure()


def test_full_redis_refuses_callers_and_is_drained(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`BacklogFull` in bulk and one by one; then, with no byte to spare, all that was stored is delivered in order."""
    with RedisServer(tmp_path / "journal", maxmemory="8mb") as journal, redis.Redis.from_url(journal.url) as client:
        use(stack, monkeypatch, SOCKUDO_REDIS_URL=journal.url, SOCKUDO_BROKER_URL=stack.redis_server.url)
        channels = stack.channels(8)
        seen = stack.subscribe(*channels)
        with pytest.raises(BulkError) as caught:
            publish_many((channels[n % 8], "n", {"n": n, "pad": PAD}) for n in range(100_000))
        assert isinstance(caught.value.cause, BacklogFull)
        assert caught.value.stored > 100
        single = itertools.count(1_000_000)
        promised = set(range(caught.value.index))

        def is_refused() -> bool:
            n = next(single)
            try:
                publish.delay(channels[0], "n", {"n": n, "pad": PAD})
            except BacklogFull:
                return True
            promised.add(n)
            return False

        assert wait_for(is_refused, 60), "freed buffers may let a few more in"
        client.config_set("maxmemory", "1mb")
        assert is_refused()
        worker = stack.worker()
        assert wait_for(lambda: not any(client.xlen(key) for key in client.scan_iter("sockudo:*:stream")), 60)
        assert worker.is_running
        client.config_set("maxmemory", "8mb")
        assert wait_for(lambda: not is_refused(), 60), "there is room again"

        def came() -> dict[str, list[int]]:
            return numbers(seen.events())

        assert wait_for(lambda: promised <= {n for got in came().values() for n in got}, 60, 0.3)
        seen.wait_until_quiet(1.0)
        for channel, got in came().items():
            assert got == sorted(set(got)), f"{channel}: each once, in order"


def test_broker_emptied_under_traffic_loses_nothing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doorbells, bindings and whatever else Celery keeps there: the journal is in another Redis."""
    with RedisServer(tmp_path / "broker", appendonly=False) as broker, redis.Redis.from_url(broker.url) as client:
        use(stack, monkeypatch, SOCKUDO_BROKER_URL=broker.url)
        channels = stack.channels(16)
        seen = stack.subscribe(*channels)
        stack.worker()
        publisher = Publisher(channels, 1_000_000, 40, 0.05)
        publisher.start()
        for _ in range(3):
            before = seen.count
            assert wait_for(lambda before=before: seen.count > before + 150, 60)
            client.flushall()
        before = seen.count
        assert wait_for(lambda: seen.count > before + 150, 60)
        publisher.stop.set()
        publisher.join(60)
        assert publisher.error is None
        assert publisher.repeats == 0
        wait_for(lambda: compare(publisher.promised, numbers(seen.events())).lost == 0, 60, 0.3)
        seen.wait_until_quiet(1.0)
        verdict = compare(publisher.promised, numbers(seen.events()))
        assert verdict.is_exact, verdict

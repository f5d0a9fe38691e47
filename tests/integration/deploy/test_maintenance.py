"""docs/operate/maintenance.md, upgrades.md: parts stop, start and are replaced; each event arrives once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from sockudo_publisher import configure, operations, publish_many
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.deploy.traffic import LONG_S, publishing
from tests.support.parts import need
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last)]


def publish_numbers(channel: str, first: int, last: int) -> None:
    publish_many((channel, "n", number) for number in numbers(first, last))


def use(stack: Stack, journal: RedisServer, server: SockudoServer) -> None:
    """The settings of this process, and of the workers that start from now on."""
    stack.server = server
    stack.environ |= {"SOCKUDO_URL": server.url, "SOCKUDO_REDIS_URL": journal.url, "SOCKUDO_DEDUP_WINDOW": "110"}
    configure(url=server.url, redis_url=journal.url)


def test_planned_stop_and_a_start_in_any_order(stack: Stack, tmp_path: Path) -> None:
    """Stopped as the page says; started the wrong way round: the worker, then Redis, then Sockudo."""
    need("sockudo")
    channel = stack.channel()
    journal = RedisServer(tmp_path / "journal", port=free_port())
    server = SockudoServer(tmp_path / "sockudo", dedup_ttl_s=120)
    use(stack, journal, server)
    worker = stack.worker(wait=False)
    with journal, server:
        publish_numbers(channel, 0, 20)
        with stack.subscribe(channel) as first:
            publish_numbers(channel, 20, 40)
            assert wait_for(lambda: "39" in first.data(), LONG_S), worker.log_tail()
            operations.wait_until_empty(LONG_S)
            assert worker.stop() == 0
            before = first.data()
        assert before == numbers(int(before[0]), 40), "in order from the first that the subscriber was there for"
        server.stop()
        journal.stop()
        again = stack.worker(wait=False)
        journal.start()
        publish_numbers(channel, 40, 60)
        server.start()
        with stack.subscribe(channel) as second:
            publish_numbers(channel, 60, 70)
            assert wait_for(lambda: "69" in second.data(), LONG_S), again.log_tail()
            after = second.data()
        assert after == numbers(int(after[0]), 70)
        assert int(after[0]) >= 40, "nothing from before the stop came again"
        operations.wait_until_empty(LONG_S)
        assert again.stop() == 0
        with redis.Redis.from_url(journal.url) as client:
            counted = [int(client.hget(key, "settled") or 0) for key in client.scan_iter("sockudo:*:counts")]
            assert sum(counted) == 70, "each event was settled once"


def test_redis_is_replaced_under_traffic(stack: Stack, tmp_path: Path) -> None:
    """Restarted in its place with its append-only file; callers repeat their calls by the message id of the error."""
    channel = stack.channel()
    with RedisServer(tmp_path / "journal", port=free_port()) as journal:
        stack.environ["SOCKUDO_REDIS_URL"] = journal.url
        configure(url=stack.server.url, redis_url=journal.url)
        seen = stack.subscribe(channel)
        worker = stack.worker()
        with publishing(channel, 0.02, repeats=True) as sent:
            for _ in range(2):
                enough = len(sent) + 20
                assert wait_for(lambda enough=enough: len(sent) >= enough, LONG_S)
                journal.stop()
                journal.start()
            enough = len(sent) + 20
            assert wait_for(lambda: len(sent) >= enough, LONG_S)
        assert wait_for(lambda: seen.count >= len(sent), LONG_S), worker.log_tail()
        assert seen.data() == sent


def test_workers_are_replaced_one_by_one(stack: Stack) -> None:
    """Two releases run together for a while; each worker that stops hands its lanes over."""
    channels = stack.channels(8)
    seen = stack.subscribe(*channels)
    old = [stack.worker(), stack.worker()]
    with publishing(channels[0], 0.01) as sent:
        for worker in old:
            enough = len(sent) + 30
            assert wait_for(lambda enough=enough: len(sent) >= enough, LONG_S)
            publish_many((channel, "n", str(n)) for n in range(50) for channel in channels[1:])
            stack.worker()
            assert worker.stop() == 0
    assert wait_for(lambda: seen.count >= len(sent) + 2 * 50 * 7, LONG_S)
    assert seen.data(channels[0]) == sent
    for channel in channels[1:]:
        assert seen.data(channel) == numbers(0, 50) * 2

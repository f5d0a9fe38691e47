"""Group commit under load, with workers, kills and changes of lanes: each event once, in order per channel."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.layout.layout import read_layout
from tests.support.async_publisher import AsyncPublisher
from tests.support.cases import in_depth
from tests.support.loops import LOOPS
from tests.support.oracle import compare, numbers
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


def check(publisher: AsyncPublisher, seen: Subscriber) -> None:
    """All that was promised arrived once, in order."""
    publisher.join(120)
    assert not publisher.is_alive()
    assert publisher.error is None
    wait_for(lambda: compare(publisher.promised, numbers(seen.events())).lost == 0, 60, 0.3)
    seen.wait_until_quiet(1.0)
    verdict = compare(publisher.promised, numbers(seen.events()))
    assert verdict.is_exact, verdict


@pytest.mark.parametrize("loop_name", in_depth(LOOPS, quick=["asyncio"]))
def test_load_arrives_once_and_in_order(stack: Stack, loop_name: str) -> None:
    """Hundreds of calls at once, keyed and plain in turn on every channel."""
    channels = stack.channels(5)
    seen = stack.subscribe(*channels)
    stack.worker()
    publisher = AsyncPublisher(channels, 1000, 500, 0.0)
    publisher.loop_name = loop_name
    publisher.start()
    check(publisher, seen)
    assert publisher.repeats == 0


@pytest.mark.parametrize("at_once", in_depth([160, 1], quick=["160"]))
def test_redis_is_killed_and_frozen_under_load(stack: Stack, tmp_path: Path, at_once: int) -> None:
    """Failed calls are repeated with their ids; nothing is lost, doubled or out of order. A caller alone appends in its
    loop.
    """
    channels = stack.channels(16)
    seen = stack.subscribe(*channels)
    with RedisServer(tmp_path / "journal") as journal:
        stack.environ |= {"SOCKUDO_REDIS_URL": journal.url, "SOCKUDO_BROKER_URL": stack.redis_server.url}
        configure(redis_url=journal.url, broker_url=stack.redis_server.url)
        stack.worker()
        publisher = AsyncPublisher(channels, 1_000_000, at_once, 0.05 if at_once > 1 else 0.0)
        publisher.one_by_one = True
        publisher.start()
        assert wait_for(lambda: publisher.count > 300, 60)
        journal.kill()
        journal.start()
        before = publisher.count
        assert wait_for(lambda: publisher.count > before + 500, 60), "full rate again"
        journal.pause()
        time.sleep(2.5)
        journal.resume()
        before = publisher.count
        assert wait_for(lambda: publisher.count > before + 500, 60), "full rate again"
        assert publisher.repeats > 0
        publisher.stop.set()
        check(publisher, seen)
    configure()


@pytest.mark.long
def test_lanes_change_under_waiting_calls(stack: Stack) -> None:
    """8, 11, 3 lanes with a killed worker: no call fails, and the order of calls that wait together is kept."""
    channels = stack.channels(24)
    seen = stack.subscribe(*channels)
    stack.environ["SOCKUDO_BATCH_MAX_EVENTS"] = "50"
    victim = stack.worker()
    stack.worker()
    publisher = AsyncPublisher(channels, 1_000_000, 120, 0.05)
    publisher.start()
    assert wait_for(lambda: seen.count > 300, 60)
    for count in (11, 3):
        stack.worker(env={"SOCKUDO_LANES": str(count)}, wait=False)

        def is_steady(count: int = count) -> bool:
            layout = read_layout(stack.redis.get(AppKeys.of("default").lanes))
            return (layout.span.count, layout.phase.value) == (count, "steady")

        if count == 11:
            assert victim.kill() == -signal.SIGKILL
        assert wait_for(is_steady, 90)
        before = seen.count
        assert wait_for(lambda before=before: seen.count > before + 300, 60)
    publisher.stop.set()
    check(publisher, seen)
    assert publisher.repeats == 0, "no call fails for a change"

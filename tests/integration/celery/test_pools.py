"""Every pool delivers, stops warmly under load, and hands its lanes over; no lane starves."""

from __future__ import annotations

import time
from collections import defaultdict

import pytest

from sockudo_publisher import publish, publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.oracle import compare, numbers
from tests.support.parts import need_module
from tests.support.proxy import Delay, Proxy
from tests.support.stack import Stack
from tests.support.timing import BUSY_S

pytestmark = pytest.mark.integration

POOLS = {
    "threads": {},
    "prefork": {"pool": "prefork", "concurrency": 4},
    "gevent": {"pool": "gevent", "concurrency": 20},
}


class Numbered:
    """Publishes numbered events round the channels, and knows what it promised."""

    def __init__(self, channels: list[str]) -> None:
        self.channels = channels
        self.count = 0
        self.promised: dict[str, list[int]] = defaultdict(list)

    def publish(self, count: int) -> None:
        burst = []
        for n in range(self.count, self.count + count):
            channel = self.channels[n % len(self.channels)]
            self.promised[channel].append(n)
            burst.append((channel, "n", {"n": n, "pad": "x" * 180}))
        publish_many(burst)
        self.count += count


@pytest.mark.parametrize("pool", POOLS)
def test_pool_delivers_and_stops_warmly_under_load(stack: Stack, pool: str) -> None:
    """SIGTERM under load ends in time, loses and repeats nothing, and another worker goes on at once."""
    if pool == "gevent":
        need_module("gevent")
    numbered = Numbered(stack.channels(16))
    seen = stack.subscribe(*numbered.channels)
    first = stack.worker(**POOLS[pool])
    if pool == "prefork":
        assert len(first.pids) > 4, "children, and not threads"
    numbered.publish(800)
    seen.wait_for_count(800, 30)
    second = stack.worker(**POOLS[pool])
    for _ in range(10):
        numbered.publish(400)
    started = time.monotonic()
    code = first.stop(60)
    stopping_s = time.monotonic() - started
    numbered.publish(400)
    seen.wait_for_count(numbered.count)
    seen.wait_until_quiet(0.5)
    assert code == 0
    assert stopping_s < 10 + BUSY_S, "the delivery timeout"
    assert compare(numbered.promised, numbers(seen.events())).is_exact
    assert second.is_running
    assert "Traceback" not in first.log_text() + second.log_text()


@pytest.mark.long
def test_one_slot_serves_eight_flooded_lanes(stack: Stack) -> None:
    """With `--concurrency 1` and every lane kept full, all lanes progress, again and again."""
    from sockudo_publisher.journal.keys import lane_of

    by_lane: dict[int, str] = {}
    for index in range(1000):
        by_lane.setdefault(lane_of(stack.channel(f"c{index}"), 8), stack.channel(f"c{index}"))
    assert len(by_lane) == 8
    numbered = Numbered(list(by_lane.values()))
    seen = stack.subscribe(*numbered.channels)
    # Requests of two events and a slice of 5 s: the flood outlasts the test, so that no lane empties by itself.
    stack.worker(concurrency=1, env={"SOCKUDO_BATCH_MAX_EVENTS": "2"})
    numbered.publish(8 * 8000)
    deadline = time.monotonic() + 120
    while True:
        progress = {channel: len(numbers_) for channel, numbers_ in numbers(seen.events()).items()}
        if len(progress) == 8 and all(progress.values()):
            break
        assert time.monotonic() < deadline, f"after two minutes: {progress}"
        time.sleep(0.5)
    assert seen.count < numbered.count, "the flood must not have run dry"


#: Events of a lane that gets one away in `REQUEST_S`: more than there is time for.
FLOOD, REQUEST_S = 2_000, 0.05


def test_hot_lane_with_one_slot_lets_others_through(stack: Stack) -> None:
    """A lane that always has something new gives its slot back when another lane's doorbell or a message waits.

    Either waits in the pool, where no drain can see it: the slot is given back after each slice.
    """
    from sockudo_publisher.journal.keys import lane_of

    hot = stack.channel("hot")
    other = next(name for index in range(1000) if lane_of(name := stack.channel(f"other{index}"), 8) != lane_of(hot, 8))
    seen = stack.subscribe(hot, other)
    with Proxy(stack.server.port, Delay(request_s=REQUEST_S), closes=True) as proxy:
        slow = {"SOCKUDO_URL": proxy.url(stack.server.url), "SOCKUDO_BATCH_MAX_EVENTS": "1"}
        stack.worker(concurrency=1, env=slow)
        publish_many((hot, "n", {"n": n}) for n in range(FLOOD))
        seen.wait_for_count(10, 20)
        publish.delay(other, "n", "doorbell")
        assert wait_for(lambda: "doorbell" in seen.data(other), 40, 0.1), "the other lane starves"
        publish.apply_async((other, "n", "countdown"), countdown=0.1)
        publish.apply_async((other, "n", "message"), countdown=0.1, group_id="g")
        assert wait_for(lambda: {"countdown", "message"} <= {*seen.data(other)}, 40, 0.1), seen.data(other)
    assert len(seen.data(hot)) < FLOOD, "the hot lane must still have been busy"


@pytest.mark.long
def test_solo_pool_takes_messages_between_drains(stack: Stack) -> None:
    """A drain keeps the consumer from fetching; Celery calls its one slot twelve, and empty lanes were watched."""
    numbered = Numbered(stack.channels(8))
    seen = stack.subscribe(stack.channel(), *numbered.channels)
    stack.worker(pool="solo")
    for n in range(20):
        publish.apply_async((stack.channel(), "later", {"n": n}), countdown=1)
    numbered.publish(20_000)
    seen.wait_for_count(20_020, 40)
    arrived = numbers(seen.events())
    assert sorted(arrived.pop(stack.channel())) == list(range(20))
    assert compare(numbered.promised, arrived).is_exact

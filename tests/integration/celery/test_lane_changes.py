"""The number of lanes changes under traffic, with real workers, a real Redis and a real Sockudo."""

from __future__ import annotations

import json
import signal

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.layout.layout import read_layout
from sockudo_publisher.wiring.app import app_named
from tests.support.oracle import compare, numbers
from tests.support.publisher import Publisher
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


def lanes(stack: Stack) -> tuple[int, str]:
    """The newest number of lanes, and the phase of the change to it."""
    layout = read_layout(stack.redis.get(AppKeys.of("default").lanes))
    return layout.span.count, layout.phase.value


@pytest.mark.long
def test_lanes_change_under_traffic_with_a_killed_worker(stack: Stack) -> None:
    """8, 11, 3 lanes while one caller publishes and notices nothing: each event once, in order per channel."""
    channels = stack.channels(24)
    seen = stack.subscribe(*channels)
    # The server finishes a batch of so few whose client is gone: a stuck event would hold up the change.
    stack.environ["SOCKUDO_BATCH_MAX_EVENTS"] = "50"
    victim = stack.worker()
    stack.worker()
    publisher = Publisher(channels, 1_000_000, 60, 0.05)
    publisher.start()
    assert wait_for(lambda: seen.count > 300, 60)

    stack.worker(env={"SOCKUDO_LANES": "11"}, wait=False)
    assert wait_for(lambda: lanes(stack)[0] == 11, 60), "begun by a worker that starts"
    assert victim.kill() == -signal.SIGKILL
    assert wait_for(lambda: lanes(stack) == (11, "steady"), 60)
    before = seen.count
    assert wait_for(lambda: seen.count > before + 300, 60)

    stack.worker(env={"SOCKUDO_LANES": "3"}, wait=False)
    assert wait_for(lambda: lanes(stack) == (3, "steady"), 60)
    before = seen.count
    assert wait_for(lambda: seen.count > before + 300, 60)
    publisher.stop.set()
    publisher.join(60)
    assert publisher.error is None
    assert publisher.repeats == 0, "no call fails for a change"
    wait_for(lambda: compare(publisher.promised, numbers(seen.events())).lost == 0, 60)
    seen.wait_until_quiet(1.0)
    verdict = compare(publisher.promised, numbers(seen.events()))
    assert verdict.is_exact, verdict
    assert {lane.lane for lane in operations.status()[0].lanes} == {19, 20, 21}


def test_lane_change_waits_for_a_stuck_event_of_an_old_lane(stack: Stack) -> None:
    """Its channel's order comes before the change; `status` shows it; when it leaves, the change is done."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    journal = app_named().journal
    publish.delay(channel, "n", {"n": 0})
    lane = next(lane for lane in journal.lanes() if stack.redis.xlen(f"sockudo:{{default:{lane}}}:stream"))
    holder = journal.acquire(lane)
    assert holder is not None
    batch = journal.take(holder, max_items=1, max_bytes=1000).batch
    assert batch is not None
    journal.hold(holder, batch, retry_in_s=3600)
    assert journal.release(holder)

    stack.worker(env={"SOCKUDO_LANES": "3"})
    assert wait_for(lambda: lanes(stack) == (3, "draining"), 60)
    publish.delay(channel, "n", {"n": 1})
    (app,) = operations.status()
    assert app.flip == operations.FlipStatus(old=8, new=3, waiting=1, held=1)
    assert sum(one.depth for one in app.lanes) == 1, "what comes meanwhile is stored"
    assert seen.count == 0

    stack.redis.zadd(f"sockudo:{{default:{lane}}}:holds", {channel: 0})
    seen.wait_for_count(2, 60)
    assert [json.loads(data)["n"] for data in seen.data()] == [0, 1]
    assert wait_for(lambda: operations.status()[0].flip is None, 60)

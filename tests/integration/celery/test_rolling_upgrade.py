"""A release and the next one at the same time: a producer is newer than the worker."""

from __future__ import annotations

import pytest

from sockudo_publisher import operations
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_keys, lane_of
from tests.support.oracle import compare, numbers
from tests.support.publisher import Publisher
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

LANE = 3
STATUS = ["-m", "sockudo_publisher.cli", "status"]


def test_worker_leaves_and_reports_a_newer_entry(stack: Stack) -> None:
    """Under traffic; what is behind it in its lane waits, and goes in order when a worker came that knows it."""
    channels = stack.channels(24)
    behind = {channel for channel in channels if lane_of(channel, 8) == LANE}
    assert behind
    assert behind != set(channels)
    seen = stack.subscribe(*channels)
    worker = stack.worker()
    publisher = Publisher(channels, 1_000_000, 48, 0.2)
    publisher.start()
    assert wait_for(lambda: seen.count > 100, 60)

    keys = lane_keys("default", LANE)
    with stack.redis.pipeline(transaction=True) as newer_release:
        newer_release.xadd(keys.stream, {"v": "2", "items": "in a form of its own"})
        newer_release.hincrby(keys.state, "depth", 1)
        entry, _ = newer_release.execute()
    assert wait_for(lambda: "left to a newer worker app=default lane=3 version=2" in worker.log_text(), 60)
    mark = seen.count
    assert wait_for(lambda: seen.count > mark + 100, 60), "the other lanes flow"
    lane = next(one for one in operations.status()[0].lanes if one.lane == LANE)
    assert lane.depth > 1
    assert lane.oldest_age_s
    assert lane.newer_version == "2"
    told = run_python(STATUS, env=stack.python(), timeout=60)
    assert told.returncode == 1, "status reports that an operator must act"
    assert "entry version 2: for a worker of a newer release" in " ".join(told.stdout.split())

    # A worker of the newer release delivers it, which takes it off the stream.
    with stack.redis.pipeline(transaction=True) as newer_worker:
        newer_worker.xdel(keys.stream, entry)
        newer_worker.hincrby(keys.state, "depth", -1)
        newer_worker.execute()
    publisher.stop.set()
    publisher.join(60)
    assert publisher.error is None
    wait_for(lambda: compare(publisher.promised, numbers(seen.events())).lost == 0, 60)
    seen.wait_until_quiet(1.0)
    verdict = compare(publisher.promised, numbers(seen.events()))
    assert verdict.is_exact, verdict

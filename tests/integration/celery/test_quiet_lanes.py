"""Real workers watch the lanes on while they are quiet, each its part; what comes then needs no doorbell."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.delivery.watch import HOT_S
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_keys, lane_of
from sockudo_publisher.publishing import store
from sockudo_publisher.workerapp.quiet_lanes import FRESH_S
from tests.support.stack import Stack
from tests.support.timing import BUSY_S

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NAME, LANES = "default", 8


class Silent:
    """A doorbell that no worker receives."""

    def ring(self, app: str, lanes: Sequence[int], *, channel: str | None = None, after_s: float = 0.0) -> bool:
        return True


def watched() -> set[int]:
    """The lanes without an event that a worker has leased."""
    return {lane.lane for lane in operations.status()[0].lanes if lane.leased and not lane.depth}


def stay_watched(lanes: set[int], seconds: float) -> bool:
    return not wait_for(lambda: watched() != lanes, seconds, 0.3)


def test_quiet_lanes_are_shared_watched_and_left(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker has all, two have half each; a pause frees all slots, and after a stop no lane is leased."""
    by_lane = {lane_of(channel, LANES): channel for channel in stack.channels(400)}
    channels = [by_lane[lane] for lane in range(LANES)]
    seen = stack.subscribe(*channels)
    first = stack.worker()
    for channel in channels:
        publish.delay(channel, "n", 1)
    seen.wait_for_count(LANES, 30)
    everything = set(range(LANES))
    assert wait_for(lambda: watched() == everything, BUSY_S)
    assert stay_watched(everything, HOT_S + 2), "longer than any worker watches an empty lane"

    with monkeypatch.context() as patch:
        patch.setattr(store, "doorbell", Silent())
        for channel in channels:
            publish.delay(channel, "n", 2)
        seen.wait_for_count(2 * LANES, 30)
    rung = [stack.redis.hget(lane_keys(NAME, lane).state, "rung") for lane in range(LANES)]
    assert rung == [None] * LANES, "no sweep has found an event that waited"

    second = stack.worker()
    assert wait_for(lambda: len(watched()) == LANES // 2, HOT_S + FRESH_S + BUSY_S), "the other half is the other's"
    for channel in channels:
        publish.delay(channel, "n", 3)
    seen.wait_for_count(3 * LANES, 30)

    operations.pause(reason="maintenance")
    assert operations.wait_until_idle(BUSY_S), "no lane is drained, watched or not"
    assert wait_for(lambda: watched() == set(), HOT_S + FRESH_S + BUSY_S)
    operations.resume()
    for channel in channels:
        publish.delay(channel, "n", 4)
    seen.wait_for_count(4 * LANES, 30)
    for worker in (first, second):
        worker.stop()
    assert not any(lane.leased for lane in operations.status()[0].lanes)
    assert {channel: seen.data(channel) for channel in channels} == {
        channel: ["1", "2", "3", "4"] for channel in channels
    }

"""Events whose doorbell never rang: their application died after the append."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from sockudo_publisher import publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.operations import status
from sockudo_publisher.publishing import store
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

LANES = 8


class Silent:
    """A doorbell that no worker receives."""

    def __init__(self) -> None:
        self.lanes: set[int] = set()

    def ring(self, app: str, lanes: Sequence[int], *, channel: str | None = None, after_s: float = 0.0) -> bool:
        self.lanes.update(lanes)
        return True


def test_sweep_delivers_unrung_events_within_three_seconds(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lane, from its append to the subscriber."""
    silent = Silent()
    monkeypatch.setattr(store, "doorbell", silent)
    channels = stack.channels(64)
    with stack.subscribe(*channels) as seen:
        stack.worker()
        assert not any(lane.leased for lane in status()[0].lanes), "no lane is watched"
        appended_at = time.monotonic()
        publish_many((channel, "n", {"n": 0}) for channel in channels)
        assert wait_for(lambda: seen.count == 64, 60)
        assert silent.lanes == set(range(LANES)), "each would have been rung"
        assert {lane_of(event.channel, LANES) for event in seen.events()} == set(range(LANES))
        assert max(event.at for event in seen.events()) - appended_at < 3.0

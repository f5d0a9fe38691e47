"""`SOCKUDO_MAX_RATE` with real workers: one limit for all of them, also after one dies."""

from __future__ import annotations

import signal
import time

import pytest

from sockudo_publisher import publish_many
from tests.support.oracle import compare, numbers
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

RATE = 200
COUNT = 1000


def test_workers_share_one_rate_and_a_killed_one_changes_nothing(stack: Stack) -> None:
    """1,000 events at 200 a second need four seconds beyond the first burst, though 16 lanes' slots ask for more."""
    channels = stack.channels(20)
    seen = stack.subscribe(*channels)
    stack.environ["SOCKUDO_MAX_RATE"] = str(RATE)
    stack.environ["SOCKUDO_BATCH_MAX_EVENTS"] = "50"  # the server finishes a batch of so few whose client is gone
    victim = stack.worker()
    stack.worker()
    promised = {channel: list(range(COUNT // 20)) for channel in channels}
    began = time.monotonic()
    publish_many((channel, "n", {"n": n}) for n in range(COUNT // 20) for channel in channels)
    seen.wait_for_count(RATE, 60)
    assert victim.kill() == -signal.SIGKILL
    seen.wait_for_count(COUNT, 90)
    # A batch that the killed worker had marked and not paid for is all that may go beyond.
    assert time.monotonic() - began >= (COUNT - RATE - RATE) / RATE
    seen.wait_until_quiet(1.0)
    verdict = compare(promised, numbers(seen.events()))
    assert verdict.is_exact, verdict

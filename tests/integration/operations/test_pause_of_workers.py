"""An operator's pause and a real worker with a real server."""

from __future__ import annotations

import pytest

from sockudo_publisher import operations, publish
from tests.support.oracle import numbers
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_nothing_arrives_until_a_person_resumes(stack: Stack) -> None:
    """Over a restart of the worker too; then each event once, in order. Canaries go on meanwhile."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    worker = stack.worker()
    publish.delay(channel, "n", {"n": 0})
    seen.wait_for_count(1, 30)
    operations.pause(reason="maintenance")
    for n in range(1, 6):
        publish.delay(channel, "n", {"n": n})
    assert not operations.wait_until_empty(3)
    worker.stop()
    stack.worker()
    assert not operations.wait_until_empty(4)
    assert len(seen.events()) == 1
    shown = operations.status("default")[0]
    assert (shown.pause, sum(lane.depth for lane in shown.lanes)) == (None, 5)
    assert not any(lane.leased for lane in shown.lanes), "no slot is kept by a paused lane"
    assert operations.resume()
    assert operations.wait_until_empty(30)
    seen.wait_for_count(6, 30)
    assert numbers(seen.events()) == {channel: [0, 1, 2, 3, 4, 5]}

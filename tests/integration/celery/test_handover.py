"""A worker that gets SIGTERM releases its lanes at once, with every pool."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sockudo_publisher import publish_many
from tests.support.cases import in_depth
from tests.support.parts import need_module
from tests.support.stack import Stack
from tests.support.timing import BUSY_S

pytestmark = pytest.mark.integration

POOLS: dict[str, dict[str, Any]] = {
    "threads": {},
    "prefork": {"pool": "prefork", "concurrency": 4},
    "gevent": {"pool": "gevent", "concurrency": 20},
}


#: In requests of five: a backlog of seconds.
COUNT = 10_000


@pytest.mark.parametrize("pool", in_depth(list(POOLS), quick=["threads", "prefork"]))
def test_stopped_worker_releases_its_lease_at_once(stack: Stack, pool: str) -> None:
    """SIGTERM in the middle of a backlog: its leases are gone when it is, not six seconds later."""
    if pool == "gevent":
        need_module("gevent")
    channels = stack.channels(16)
    seen = stack.subscribe(*channels)
    small = {"SOCKUDO_BATCH_MAX_EVENTS": "5"}
    first = stack.worker(**POOLS[pool], env=small)
    publish_many((channels[n % 16], "n", n) for n in range(COUNT))
    seen.wait_for_count(500, 20)
    assert first.stop(20) == 0
    stopped_at = seen.count
    assert stopped_at < COUNT, "there must be something left"
    assert list(stack.redis.scan_iter("sockudo:*:lease")) == []
    seen.wait_until_quiet(0.2)
    stack.worker(**POOLS[pool], env=small)
    ready = time.monotonic()
    seen.wait_for_count(stopped_at + 1, 20)
    # A second on an idle machine.
    assert seen.events()[stopped_at].at - ready < 3.0 + BUSY_S

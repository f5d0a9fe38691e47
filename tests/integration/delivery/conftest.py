"""A world per test: an empty Redis, a server model, the real loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from tenacity.wait import wait_exponential

from sockudo_publisher.delivery import backoff, watch
from tests.integration.delivery.edge import Edge
from tests.integration.delivery.world import DrainWorld


@pytest.fixture
def world(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DrainWorld]:
    """Two lanes, empty. An empty lane is not watched: the tests append before they drain.

    Waits have no jitter: a wait of almost zero is over before the loop sleeps, and a test that stops its
    worker in that sleep would let it go on.
    """
    without_jitter = wait_exponential(multiplier=backoff.FIRST_S, max=backoff.CAP_S)
    monkeypatch.setattr(backoff, "_waits", [without_jitter])
    monkeypatch.setattr(watch, "SCARCE_HOT_S", 0.0)
    with redis.Redis.from_url(redis_url) as client:
        world = DrainWorld(redis_url, client)
        yield world
        world.close()


@pytest.fixture
def edge(world: DrainWorld) -> Edge:
    return Edge(world)

"""A world per test: an empty Redis, a server model, the real loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from sockudo_publisher.delivery import drain as drain_module
from tests.integration.delivery.world import World


@pytest.fixture
def world(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two lanes, empty. An empty lane is not watched: the tests append before they drain."""
    monkeypatch.setattr(drain_module, "SCARCE_HOT_S", 0.0)
    with redis.Redis.from_url(redis_url) as client:
        world = World(redis_url, client)
        yield world
        world.close()

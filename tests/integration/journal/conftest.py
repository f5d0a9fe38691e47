"""Both ends of a journal on the run's Redis, with everything flushed before each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis

from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.link import RedisLink
from tests.integration.journal.one_lane import OneLane

APP = "app"
LANES = 2


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client that looks at the keys behind the journal's back."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def journal(redis_url: str) -> Journal:
    return Journal(redis_url, APP, lanes=LANES)


@pytest.fixture
def make_producer(redis_url: str) -> Callable[..., Producer]:
    """A producer of the app, with any of its options."""

    def make(url: str = redis_url, **options: object) -> Producer:
        given = {"lanes": LANES, "max_backlog": 0, "key_ttl_ms": 60_000, **options}
        return Producer(url, APP, **given)

    return make


@pytest.fixture
def producer(make_producer: Callable[..., Producer]) -> Producer:
    return make_producer()


@pytest.fixture
def link(redis_url: str) -> RedisLink:
    return RedisLink(redis_url, timeout_s=2.0)


@pytest.fixture
def lane(redis_url: str) -> Iterator[OneLane]:
    """A journal of one lane, empty."""
    lane = OneLane(redis_url)
    yield lane
    lane.close()


@pytest.fixture
def make_lane(redis_url: str) -> Iterator[Callable[..., OneLane]]:
    """The same with options, on any Redis."""
    with ExitStack() as ends:

        def make(url: str = redis_url, app: str = APP, **options: object) -> OneLane:
            lane = OneLane(url, app, **options)
            ends.callback(lane.close)
            return lane

        yield make

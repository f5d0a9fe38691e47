"""The token bucket: its arithmetic, with the clock moved by hand."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.journal.app.rate import Grant, Rate, burst
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.redis.link import RedisLink
from tests.integration.journal.conftest import APP

pytestmark = pytest.mark.integration

KEY = AppKeys.of(APP).rate


@pytest.mark.parametrize(("rate", "most"), [(0.001, 1), (0.5, 1), (1, 1), (7.9, 7), (5000, 5000)])
def test_burst_is_a_second_of_the_rate_and_at_least_one(rate: float, most: int) -> None:
    """A limit below one a second lets one go, too."""
    assert burst(rate) == most


def test_full_bucket_gives_its_burst_and_then_the_time_to_wait(link: RedisLink) -> None:
    """Until half of the bucket is there, or what is wanted."""
    rate = Rate(link, APP, 100.0)
    assert rate.take(30) == Grant(30, 0.0)
    granted = rate.take(500)
    assert 70 <= granted.tokens <= 100, "what came meanwhile counts"
    assert 0.3 < granted.wait_s <= 0.5, "50 tokens"
    few = rate.take(10)
    assert few.tokens + few.wait_s * 100 <= 11, "10 tokens"


@pytest.mark.parametrize(
    ("tokens", "ms_ago", "granted"),
    [(0, 0, 0), (0, 100_000, 10), (0, 450, 4), (2.5, 50, 3), (9, 60_000, 10)],
    ids=["empty", "long rest", "some time", "fractions add up", "never above its size"],
)
def test_tokens_come_with_time(link: RedisLink, client: redis.Redis, tokens: float, ms_ago: int, granted: int) -> None:
    """Ten a second, at most ten."""
    seconds, micros = client.time()
    client.hset(KEY, mapping={"tokens": tokens, "at": seconds * 1_000_000 + micros - ms_ago * 1000})
    got = Rate(link, APP, 10.0).take(100).tokens
    assert granted <= got <= granted + 5, "a slow machine takes time as well"
    assert got <= 10


def test_clock_set_back_neither_gives_nor_takes(link: RedisLink, client: redis.Redis) -> None:
    """A failover to a machine whose clock is behind."""
    seconds, _ = client.time()
    client.hset(KEY, mapping={"tokens": 5, "at": (seconds + 3600) * 1_000_000})
    assert Rate(link, APP, 10.0).take(100).tokens == 5


def test_bucket_that_is_full_again_leaves_nothing(link: RedisLink, client: redis.Redis) -> None:
    """The key lasts until it would say what a missing one says."""
    Rate(link, APP, 100.0).take(100)
    assert 1000 < client.pttl(KEY) <= 2001
    Rate(link, APP, 1e-6).take(1)
    assert client.pttl(KEY) > 10**8

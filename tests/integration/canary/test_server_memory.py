"""Canaries against the real server: with its defaults, with room enough, and with a cache that loses everything."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from sockudo_publisher import operations, publish_many
from sockudo_publisher.delivery.memory import ENOUGH, advice, beat_s
from sockudo_publisher.embedded import RedisServer
from sockudo_publisher.embedded.process import wait_for
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.memory import MemoryReport
from sockudo_publisher.settings import get_settings
from tests.integration.canary.conftest import MakeStack
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

APP = "default"

#: Ids after which the server's default memory certainly takes no more.
FULL = 12_500

#: Seconds for what takes a few on an idle machine.
PATIENCE_S = 100.0


def report() -> MemoryReport:
    """As `status` shows it."""
    return operations.status(get_settings())[0].memory


def counters() -> dict[str, int]:
    return operations.status(get_settings())[0].counters


def waiting() -> int:
    return sum(lane.depth + lane.held for lane in operations.status(get_settings())[0].lanes)


def publish_all(stack: Stack, count: int, channels: int = 8) -> dict[str, list[int]]:
    """So many events, round about; the numbers by channel."""
    names = stack.channels(channels)
    publish_many((names[n % channels], "tick", {"n": n}) for n in range(count))
    return {name: list(range(at, count, channels)) for at, name in enumerate(names)}


def test_default_server_is_found_out_before_it_costs_anything(make_stack: MakeStack) -> None:
    """10,000 ids of room, 2,000 events a second: told within three beats of five seconds, with what to change.

    The first id is refused between 10,000 and 12,000, six seconds after the start: all of it is under the thirty
    that were promised.
    """
    stack = make_stack(
        {"SOCKUDO_DEDUP_WINDOW": "120", "SOCKUDO_MAX_RATE": "2000"}, dedup_ttl_s=120, cache_max_capacity=10_000
    )
    publish_all(stack, 80_000)
    worker = stack.worker()
    client = stack.redis

    def beat() -> int:
        return int(client.hget(AppKeys.of(APP).memory, "beat") or 0)

    assert wait_for(lambda: counters().get("settled", 0) >= FULL, PATIENCE_S, poll_s=0.1)
    beat_when_full = beat()
    assert wait_for(lambda: report().verdict == "forgets", PATIENCE_S, poll_s=0.1), report()
    assert beat() - beat_when_full <= 3
    assert 3 * beat_s(120) + FULL / 2000 < 30
    found = report()
    assert found.rate > 100
    assert "max_capacity = " in advice(found)
    assert "does not remember ids" in worker.log_text()
    assert "max_capacity" in worker.log_text()


@pytest.mark.parametrize("driver", ["memory", "redis"])
def test_server_with_room_enough_is_said_to_remember(make_stack: MakeStack, driver: str, tmp_path: Path) -> None:
    """`max_capacity` raised, or the Redis cache: more ids than the default's go through, none is forgotten."""
    options: dict[str, object] = {"cache_max_capacity": 200_000}
    cache = RedisServer(tmp_path / "cache", appendonly=False)
    try:
        if driver == "redis":
            cache.start()
            options = {"cache_redis_url": cache.url}
        stack = make_stack(
            {"SOCKUDO_DEDUP_WINDOW": "8.5", "SOCKUDO_DELIVERY_TIMEOUT": "3", "SOCKUDO_BATCH_MAX_EVENTS": "100"},
            dedup_ttl_s=60,
            **options,
        )
        publish_all(stack, 12_000)
        stack.worker()
        assert wait_for(lambda: report().remembered_s > 4 and waiting() == 0, PATIENCE_S, poll_s=0.1), report()
        found = report()
        assert (found.verdict, found.forgotten) == ("remembers", 0)
        assert found.asked >= ENOUGH
        assert advice(found) == ""
        assert counters()["settled"] == 12_000
    finally:
        cache.stop()


def test_cache_that_came_back_empty_is_noticed_before_the_resend(make_stack: MakeStack, tmp_path: Path) -> None:
    """The server's Redis is killed amid deliveries and starts empty: under `hold` nothing comes twice.

    What was in flight is parked as `uncertain`; all the rest arrives, in order.
    """
    with RedisServer(tmp_path / "cache", appendonly=False) as cache:
        stack = make_stack(
            {"SOCKUDO_DEDUP_WINDOW": "20", "SOCKUDO_DELIVERY_TIMEOUT": "12", "SOCKUDO_ON_UNCERTAIN": "hold"},
            dedup_ttl_s=60,
            cache_redis_url=cache.url,
        )
        names = stack.channels(4)
        subscriber = stack.subscribe(*names)
        worker = stack.worker()
        client = stack.redis
        assert wait_for(lambda: client.zcard(AppKeys.of(APP).canaries) >= 3, PATIENCE_S), "canaries planted"
        count = 8_000
        publisher = threading.Thread(
            target=lambda: publish_many((names[n % 4], "tick", {"n": n}) for n in range(count)), daemon=True
        )
        publisher.start()
        assert wait_for(lambda: counters().get("settled", 0) > 500, PATIENCE_S, poll_s=0.01)
        cache.kill()
        assert wait_for(lambda: operations.status(get_settings())[0].pause is not None, PATIENCE_S)
        cache.start()
        publisher.join(PATIENCE_S)
        assert wait_for(lambda: waiting() == 0, PATIENCE_S), counters()
        assert report().verdict == "forgets"
        assert "ids were forgotten" in worker.log_text(), "asked after trouble, by the prober"
        counts = counters()
        letters = operations.dead_list(get_settings(), APP, count)
        assert counts["held_uncertain"] == len(letters) > 0
        assert {letter.reason for letter in letters} == {"uncertain"}
        assert counts["settled"] + counts["held_uncertain"] == count
        parked = {json.loads(json.loads(letter.item)["data"])["n"] for letter in letters}

        def seen() -> list[tuple[str, int]]:
            return [(event.channel, json.loads(event.data)["n"]) for event in subscriber.events()]

        expected = set(range(count)) - parked
        assert wait_for(lambda: expected <= {n for _, n in seen()}, PATIENCE_S)
        repeated = {n: times for n, times in Counter(n for _, n in seen()).items() if times > 1}
        assert repeated == {}
        for name in names:
            numbers = [n for channel, n in seen() if channel == name]
            assert numbers == sorted(numbers)


def test_restarted_server_is_noticed_before_the_resend(make_stack: MakeStack) -> None:
    """Killed amid deliveries, started again with an empty memory: under `hold` no event is seen before and after."""
    stack = make_stack(
        {"SOCKUDO_DEDUP_WINDOW": "20", "SOCKUDO_DELIVERY_TIMEOUT": "12", "SOCKUDO_ON_UNCERTAIN": "hold"}, dedup_ttl_s=60
    )
    names = stack.channels(4)
    before = stack.subscribe(*names)
    stack.worker()
    client = stack.redis
    assert wait_for(lambda: client.zcard(AppKeys.of(APP).canaries) >= 3, PATIENCE_S), "canaries planted"
    count = 8_000
    publish_many((names[n % 4], "tick", {"n": n}) for n in range(count))
    assert wait_for(lambda: counters().get("settled", 0) > 500, PATIENCE_S, poll_s=0.01)
    stack.server.kill()
    assert wait_for(lambda: operations.status(get_settings())[0].pause is not None, PATIENCE_S)
    stack.server.start()
    after = stack.subscribe(*names)
    assert wait_for(lambda: waiting() == 0, PATIENCE_S), counters()
    assert report().verdict == "forgets"
    counts = counters()
    assert counts["settled"] + counts["held_uncertain"] == count
    assert counts["resent_after_window"] == 0
    after.wait_until_quiet()
    seen = [{json.loads(data)["n"] for data in one.data()} for one in (before, after)]
    assert seen[0]
    assert seen[0] & seen[1] == set()

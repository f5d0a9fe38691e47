"""The record of canaries and their verdict, in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from sockudo_publisher.canaries.store import MAX_ANSWERS, MAX_CANARIES, DedupMemory
from sockudo_publisher.canaries.values import Canary, CanaryAnswer, MemoryReport
from sockudo_publisher.journal.app.shared import Shared
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.redis.link import RedisLink

pytestmark = pytest.mark.integration

APP = "app"


@pytest.fixture(params=["?protocol=2", "?protocol=3"], ids=["RESP2", "RESP3"])
def link(request: pytest.FixtureRequest, redis_url: str) -> Iterator[RedisLink]:
    """Both protocols: they answer sorted sets differently."""
    link = RedisLink(redis_url + request.param, timeout_s=5)
    yield link
    while link._free:
        link._free.pop().disconnect()


@pytest.fixture
def memory(link: RedisLink) -> DedupMemory:
    return DedupMemory(link, APP)


def test_one_worker_holds_the_canaries(memory: DedupMemory, link: RedisLink) -> None:
    """Until it gives them up, or its right runs out."""
    assert memory.take_right("a", 60_000)
    assert not memory.take_right("b", 60_000)
    assert memory.take_right("a", 90_000)
    assert link.call("PTTL", AppKeys.of(APP).canary_holder) > 60_000, "to stay is to hold it longer"
    memory.drop_right("b")
    assert not memory.take_right("b", 60_000)
    memory.drop_right("a")
    assert memory.take_right("b", 1)
    while not memory.take_right("a", 60_000):
        pass


def test_canary_is_asked_by_one_only(memory: DedupMemory) -> None:
    """The first claim wins; the others are refused."""
    one, two = Canary("one", memory.now_ms() - 50, 20), Canary("two", memory.now_ms(), 5000)
    memory.record_planted([])
    memory.record_planted([two, one])
    assert memory.canaries() == (one, two)
    assert memory.claim([one]) == [one]
    assert memory.claim([one, two]) == [two]
    assert memory.claim([]) == []
    assert memory.canaries() == ()


def test_answers_are_kept_for_a_window_and_are_bounded(memory: DedupMemory) -> None:
    """Older ones go when the newer are read."""
    kept = [CanaryAnswer("a", 5000, True, 1_000), CanaryAnswer("b", 90_000, False, 2_000)]
    memory.record_answers(reversed(kept))
    memory.record_answers([])
    assert memory.answers(1_000) == kept
    assert memory.answers(1_001) == kept[1:]
    assert memory.answers(0) == kept[1:]
    memory.record_answers(CanaryAnswer(str(n), 1, True, 3_000 + n) for n in range(MAX_ANSWERS + 10))
    assert [one.asked_ms for one in memory.answers(0)] == list(range(3_010, 3_010 + MAX_ANSWERS))


def test_waiting_canaries_are_bounded(memory: DedupMemory) -> None:
    """The newest stay."""
    memory.record_planted(Canary(str(n), n, 1) for n in range(MAX_CANARIES + 5))
    assert [one.planted_ms for one in memory.canaries()] == list(range(5, MAX_CANARIES + 5))


def test_beat_counts_and_sees_what_was_delivered_since_the_last(memory: DedupMemory, redis_url: str) -> None:
    """Over all lanes."""
    memory.record_planted([Canary("one", 1, 20)])
    with redis.Redis.from_url(redis_url) as client:
        first = memory.beat(range(3))
        assert (first.number, first.settled, first.before, first.before_ms) == (1, 0, 0, 0)
        assert first.canaries == (Canary("one", 1, 20),)
        for lane in range(2):
            client.hincrby(lane_keys(APP, lane).counts, "settled", 50)
        second = memory.beat(range(3))
        assert (second.number, second.settled, second.before, second.before_ms) == (2, 100, 0, first.now_ms)
        memory.record_report(MemoryReport(rate=12.5), peak_ms=second.now_ms)
        third = memory.beat(range(3))
        assert (third.before, third.peak_rate, third.peak_ms) == (100, 12.5, second.now_ms)


def test_report_reaches_people_and_workers(memory: DedupMemory, link: RedisLink, redis_url: str) -> None:
    """Whole for people; `forgets_until` with what the workers read anyhow. A newer release's field is no trouble."""
    assert memory.report() == MemoryReport()
    shared = Shared(link, APP)
    assert shared.view().forgets_until_ms == 0
    report = MemoryReport("forgets", 0.0, 12, 3, 20.5, 2000.0, 120.0, 1_800_000_000_000, 1_799_999_999_000)
    memory.record_report(report)
    assert memory.report() == report
    assert shared.view().forgets_until_ms == report.forgets_until_ms
    memory.record_report(MemoryReport("remembers"))
    assert shared.view().forgets_until_ms == 0
    with redis.Redis.from_url(redis_url) as client:
        client.hset(AppKeys.of(APP).memory, "report", '{"verdict": "remembers", "mood": "good"}')
    assert memory.report() == MemoryReport("remembers")

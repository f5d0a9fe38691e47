"""What the doctor reads of the workers' own records: pause, learned limits, the measure of the server's memory."""

from __future__ import annotations

import pytest

from sockudo_publisher.doctor.look_at_journal import JournalFacts, look_at_journal
from sockudo_publisher.embedded import free_port
from sockudo_publisher.journal.canary import MemoryReport
from sockudo_publisher.journal.link import RedisLink
from sockudo_publisher.journal.memory import DedupMemory
from sockudo_publisher.journal.shared import Limits, Shared

pytestmark = pytest.mark.integration


@pytest.fixture
def link(redis_url):
    return RedisLink(redis_url, timeout_s=5.0)


def test_nothing_is_recorded_yet(redis_url):
    """A new deployment: not paused, nothing learned, nothing measured; and nothing is written by looking."""
    facts = look_at_journal(redis_url, "default", lanes=8)
    assert facts.pause is not None
    assert (facts.pause.reason, facts.learned, facts.measured) == ("", None, None)
    assert RedisLink(redis_url, timeout_s=5.0).call("DBSIZE") == 0


def test_what_workers_have_recorded_is_read(link, redis_url):
    """As it was written, for its app alone."""
    shared, memory = Shared(link, "default"), DedupMemory(link, "default")
    shared.pause("misconfigured", 30.0, "HTTP 401")
    shared.learn(Limits(events=50))
    report = MemoryReport("forgets", asked=12, forgotten=2, rate=83.0, window_s=120.0, at_ms=memory.now_ms())
    memory.record(report)
    facts = look_at_journal(redis_url, "default", lanes=8)
    assert (facts.pause.reason, facts.pause.words, facts.learned) == ("misconfigured", "HTTP 401", 50)
    assert facts.measured == report
    assert look_at_journal(redis_url, "other", lanes=8).measured is None


def test_an_old_measure_is_left_out(link, redis_url):
    """The workers that took it have gone, more than a window ago."""
    memory = DedupMemory(link, "default")
    memory.record(MemoryReport("remembers", asked=12, window_s=120.0, at_ms=memory.now_ms() - 121_000))
    assert look_at_journal(redis_url, "default", lanes=8).measured is None


def test_without_redis_nothing_is_known():
    """Unknown, not fine."""
    assert look_at_journal(f"redis://127.0.0.1:{free_port()}/0", "default", lanes=8) == JournalFacts()

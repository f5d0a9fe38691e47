"""What the doctor reads of the workers' own records: pause, learned limits, the measure of the server's memory."""

from __future__ import annotations

import pytest

from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.canaries.values import MemoryReport
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.doctor.facts.journal import JournalFacts, collect_journal_facts
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.app.shared import Limits, Shared
from sockudo_publisher.journal.app.workers import Target, WorkerRegistry
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.layout.layout import Layout, Retired, Span
from sockudo_publisher.journal.redis.link import RedisLink

pytestmark = pytest.mark.integration


@pytest.fixture
def link(redis_url):
    return RedisLink(redis_url, timeout_s=5.0)


def test_nothing_is_recorded_yet(redis_url):
    """A new deployment: not paused, nothing learned, nothing measured; and nothing is written by looking."""
    facts = collect_journal_facts(Settings(redis_url=redis_url), "default")
    assert facts.pause is not None
    assert (facts.pause.reason, facts.learned, facts.measured) == ("", None, None)
    assert RedisLink(redis_url, timeout_s=5.0).call("DBSIZE") == 0


def test_what_workers_have_recorded_is_read(link, redis_url):
    """As it was written, for its app alone."""
    shared, memory = Shared(link, "default"), DedupMemory(link, "default")
    shared.pause("misconfigured", 30.0, "HTTP 401")
    shared.learn(Limits(events=50))
    report = MemoryReport("forgets", asked=12, forgotten=2, rate=83.0, window_s=120.0, at_ms=memory.now_ms())
    memory.record_report(report)
    facts = collect_journal_facts(Settings(redis_url=redis_url), "default")
    assert (facts.pause.reason, facts.pause.message, facts.learned) == ("misconfigured", "HTTP 401", 50)
    assert facts.measured == report
    assert collect_journal_facts(Settings(redis_url=redis_url), "other").measured is None


def test_an_operators_pause_is_read(link, redis_url):
    """Beside a server's, and without one."""
    records = OperatorRecords(link, "default")
    records.pause("new disks", "ana@ops")
    alone = collect_journal_facts(Settings(redis_url=redis_url), "default").pause
    assert (alone.reason, alone.operator_pause.reason, alone.operator_pause.by) == ("", "new disks", "ana@ops")
    Shared(link, "default").pause("busy", 30.0)
    both = collect_journal_facts(Settings(redis_url=redis_url), "default").pause
    assert (both.reason, both.operator_pause) == ("busy", alone.operator_pause)


def test_an_old_measure_is_left_out(link, redis_url):
    """The workers that took it have gone, more than a window ago."""
    memory = DedupMemory(link, "default")
    memory.record_report(MemoryReport("remembers", asked=12, window_s=120.0, at_ms=memory.now_ms() - 121_000))
    assert collect_journal_facts(Settings(redis_url=redis_url), "default").measured is None


def test_without_redis_nothing_is_known():
    """Unknown, not fine."""
    assert collect_journal_facts(Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"), "default") == JournalFacts()


def test_the_namespace_of_the_settings_is_looked_at(redis_url):
    """Its workers and no others."""
    link = RedisLink(redis_url, timeout_s=5.0, namespace="blue")
    WorkerRegistry(link, "default").announce("owner", "node@host", Target("app-id", "host:1"))
    Shared(link, "default").pause("misconfigured", 30.0, "HTTP 401")
    blue = collect_journal_facts(Settings(redis_url=redis_url, namespace="blue"), "default")
    assert (blue.workers, blue.pause.reason) == ((("node@host", Target("app-id", "host:1")),), "misconfigured")
    plain = collect_journal_facts(Settings(redis_url=redis_url), "default")
    assert (plain.workers, plain.pause.reason) == ((), "")


def test_unheard_lanes_are_those_in_force(redis_url):
    """After a change of their number they have other numbers than the settings count."""
    lane = Journal(redis_url, "default", lanes=2)
    lane.lanes()
    lane.link.call("SET", AppKeys.of("default").lanes, Layout(Span(2, 3), retired=(Retired(Span(0, 2), 1),)).text())
    lane.link.call("HSET", lane_keys("default", 4).state, "unheard", lane.now_ms() - 5000)
    unheard = collect_journal_facts(Settings(redis_url=redis_url, lanes=3), "default").unheard
    assert list(unheard) == [4]
    assert 5 <= unheard[4] < 60


@pytest.mark.parametrize("value", ["x", "", "-1", "1.5", "inf", "9" * 30, "9" * 14, b"\xff"])
def test_unheard_that_is_no_time_says_nothing(link, redis_url, value):
    """Nor does a state that is none; the other facts are there."""
    link.call("HSET", lane_keys("default", 0).state, "unheard", value)
    link.call("SET", lane_keys("default", 1).state, "x")
    link.call("HSET", lane_keys("default", 2).state, "unheard", DedupMemory(link, "default").now_ms())
    facts = collect_journal_facts(Settings(redis_url=redis_url), "default")
    assert list(facts.unheard) == [2]
    assert facts.workers == ()


def test_layout_that_is_none_hides_no_other_fact(link, redis_url):
    """Which lanes there are is not known; who works there is."""
    link.call("SET", AppKeys.of("default").lanes, "{bad")
    WorkerRegistry(link, "default").announce("owner", "node@host", Target("app-id", "host:1"))
    facts = collect_journal_facts(Settings(redis_url=redis_url), "default")
    assert facts.unheard is None
    assert len(facts.workers) == 1

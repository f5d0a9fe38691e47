"""The canaries of every beat: what they find out about the dedup memory, and at what rate."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.canaries.ask import MAX_REPEATS
from sockudo_publisher.canaries.values import Canary, MemoryReport
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.outcome import Finding, Outcome, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.keys import AppKeys
from tests.integration.delivery.edge import WINDOW_S, Edge
from tests.integration.delivery.world import APP, DrainWorld
from tests.support.timing import BUSY_S

pytestmark = pytest.mark.integration


def beats(edge: Edge, count: int) -> list[MemoryReport]:
    """This number of beats, five seconds each."""
    reports = []
    for _ in range(count):
        reports.append(edge.canaries.beat(range(edge.world.lanes)))
        age_canaries(edge.world, 5.0)
    return reports


def age_canaries(world: DrainWorld, seconds: float) -> None:
    """Move all that is known of canaries into the past."""
    ms, keys = int(seconds * 1000), AppKeys.of(APP)
    world.pass_time(seconds)
    for key in (keys.canaries, keys.canary_answers):
        for member in world.redis.zrange(key, 0, -1):
            world.redis.zincrby(key, -ms, member)
    for name in ("settled_ms", "peak_ms"):
        if world.redis.hget(keys.memory, name):
            world.redis.hincrby(keys.memory, name, -ms)
    until_ms = int(world.redis.hget(keys.memory, "forgets_until") or 0)
    if until_ms:
        report = edge_report(world)
        world.redis.hset(keys.memory, "forgets_until", until_ms - ms)
        report["forgets_until_ms"] = until_ms - ms
        world.redis.hset(keys.memory, "report", json.dumps(report))


def edge_report(world: DrainWorld) -> dict[str, object]:
    found = json.loads(world.redis.hget(AppKeys.of(APP).memory, "report") or b"{}")
    assert isinstance(found, dict)
    return found


def test_beats_of_a_window_say_that_the_server_remembers(world: DrainWorld, edge: Edge) -> None:
    """Ten answers after a while, then the age grows to nine tenths of the window; each id is asked once."""
    world.server.ttl_s = WINDOW_S
    reports = beats(edge, 48)
    assert [report.verdict for report in reports[:5]] == ["unknown"] * 5
    assert {report.verdict for report in reports[24:]} == {"remembers"}
    assert 100 < reports[-1].remembered_s <= 112 + BUSY_S
    assert reports[-1].asked >= 24
    asked = [
        item["message_id"] for body in world.server.bodies if (item := json.loads(body)["batch"][0])["data"] == "asked"
    ]
    assert len(asked) == len(set(asked))
    assert len(world.server.requests) < 48 * 3, "cheap"


def test_lost_dedup_memory_is_reported_for_one_window(world: DrainWorld, edge: Edge) -> None:
    """One forgotten id counts for a whole window."""
    world.server.ttl_s = WINDOW_S
    beats(edge, 30)
    world.server.forget()
    assert beats(edge, 1)[-1].verdict == "forgets"
    reports = beats(edge, 60)
    verdicts = [report.verdict for report in reports]
    assert verdicts[:24] == ["forgets"] * 24
    assert verdicts[-1] == "remembers"
    assert verdicts == sorted(verdicts), "one change"


def test_rate_is_what_the_workers_delivered(world: DrainWorld, edge: Edge) -> None:
    """Events per second of the busiest beat: the advice is made for it."""
    beats(edge, 2)
    world.append(world.channel(), 5000)
    world.policy = Policy(batch_max_events=1000)
    edge.drain()
    assert 500 < beats(edge, 1)[0].rate <= 1001
    assert 500 < beats(edge, 3)[-1].rate <= 1001


def test_unclear_answers_are_no_verdict(world: DrainWorld, edge: Edge) -> None:
    """A canary that got none is dropped: its second payload may have been stored."""
    edge.plant(10)
    edge.canaries.memory.claim(edge.canaries.memory.canaries())
    edge.canaries.memory.record_planted([Canary("old", world.journal.now_ms() - 10_000, 1)])
    edge.replies = [Reply(500, b"", {}), Reply(500, b"", {})]
    report = edge.canaries.beat(range(2))
    assert (report.verdict, report.asked) == ("unknown", 0)
    assert edge.canaries.memory.canaries() == (), "neither asked again nor planted"


def test_stale_canaries_are_dropped_unasked(world: DrainWorld, edge: Edge) -> None:
    """Their holder was away too long."""
    edge.plant(119)
    edge.canaries.memory.record_planted([Canary("old", world.journal.now_ms() - 119_000, 1)])
    asked = len(world.server.requests)
    report = edge.canaries.beat(range(2))
    assert report.asked == 0
    assert len(world.server.requests) == asked + 1, "one request: the new canaries"
    assert all(one.planted_ms > world.journal.now_ms() - 10_000 for one in edge.canaries.memory.canaries())


def test_old_questions_do_not_keep_the_server_busy(world: DrainWorld, edge: Edge) -> None:
    """A holder that was away asks a few a beat."""
    now_ms = world.journal.now_ms()
    edge.canaries.memory.record_planted(Canary(f"id-{n}", now_ms - 20_000 - n, 1) for n in range(20))
    edge.canaries.beat(range(2))
    assert len(world.server.requests) == MAX_REPEATS + 1


def test_stale_canaries_do_not_keep_others_from_being_asked(world: DrainWorld, edge: Edge) -> None:
    """More of them than are asked in a beat."""
    now_ms = world.journal.now_ms()
    edge.canaries.memory.record_planted(Canary(f"id-{n}", now_ms - 118_000, 1) for n in range(MAX_REPEATS))
    edge.canaries.memory.record_planted([Canary("due", now_ms - 5_000, 1)])
    assert edge.canaries.beat(range(2)).asked == 1


def test_finding_of_the_canary_is_what_comes_back(edge: Edge) -> None:
    """`check_after_trouble` answers the loop with the outcome of its request."""
    edge.replies = [Reply(500, b"", {})]
    assert edge.canaries.check_after_trouble(0, 5.0).finding.outcome is Outcome.UNKNOWN
    assert edge.canaries.check_after_trouble(0, 5.0) == CanaryResult(Finding(Outcome.ACCEPTED))

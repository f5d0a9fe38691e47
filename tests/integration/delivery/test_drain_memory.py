"""The loop where the server forgets ids: canaries after trouble, and the window that is nothing."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.canaries.values import MemoryReport
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.lease import TTL_MS
from tests.integration.delivery.edge import Edge, die, forgets, left_unknown, meet_trouble
from tests.integration.delivery.world import APP, Control, Died, DrainWorld

pytestmark = pytest.mark.integration


def test_unknown_outcome_is_uncertain_if_the_server_forgets(world: DrainWorld, edge: Edge) -> None:
    """Policy `resend`: sent again, counted as after the window."""
    left_unknown(edge, 10)
    forgets(world)
    edge.drain()
    assert world.counts() == {"settled": 10, "resent_after_window": 10}


def test_unknown_outcome_is_parked_if_the_server_forgets(world: DrainWorld, edge: Edge) -> None:
    """Policy `park`: a dead letter that says why; what was never sent goes out."""
    ids = left_unknown(edge, 3)
    fresh = world.append(world.channel(), 2)
    forgets(world)
    world.policy = Policy(on_uncertain="park")
    edge.drain()
    assert edge.sent() == [ids, fresh]
    assert world.counts() == {"settled": 2, "parked_uncertain": 3}
    assert {letter["message"] for letter in world.letters()} == {
        "not known to be delivered, and the server does not remember ids"
    }


def test_verdict_that_has_run_out_changes_nothing(world: DrainWorld, edge: Edge) -> None:
    """It holds for a window."""
    left_unknown(edge, 3)
    past_ms = world.journal.now_ms() - 1
    edge.canaries.memory.record_report(MemoryReport("forgets", forgets_until_ms=past_ms))
    edge.drain()
    assert world.counts() == {"settled": 3}
    world.check()


def test_canaries_are_asked_before_anything_is_resent(world: DrainWorld, edge: Edge) -> None:
    """The server came back empty: all of it is uncertain, and said so to every worker and to people."""
    edge.plant(70, 80, 90, 100)
    meet_trouble(edge)
    world.server.forget()
    world.policy = Policy(on_uncertain="park")
    edge.drain()
    assert len(edge.sent()) == 1, "the first attempt only"
    assert world.counts() == {"parked_uncertain": 10}
    assert world.journal.shared.view().forgets_until_ms > world.journal.now_ms()
    assert (edge.report().verdict, edge.report().forgotten) == ("forgets", 3)
    assert world.pause() is None, "it has answered a canary, and nothing is left to send"
    world.append(world.channel(), 1)
    edge.drain()
    assert world.counts() == {"parked_uncertain": 10, "settled": 1}
    assert len(edge.asked_since) == 1, "what is forgotten is not asked for again"


def test_server_that_kept_its_memory_is_resent_to(world: DrainWorld, edge: Edge) -> None:
    """Three canaries older than the trouble show it, each is gone; one new is planted."""
    edge.plant(70, 80, 95, 100, 110)
    ids = meet_trouble(edge)
    edge.drain()
    assert edge.sent() == [ids, ids]
    left = [one.id for one in edge.canaries.memory.canaries()]
    assert [one for one in left if one.startswith("planted")] == ["planted-110", "planted-100"]
    assert len(left) == 3
    since_ms = edge.asked_since[0]
    assert 59_000 < world.journal.now_ms() - since_ms < 70_000, "since the first attempt at what is resent"
    assert world.counts() == {"settled": 10}
    world.check()


def test_prober_without_events_to_resend_repeats_canaries_too(world: DrainWorld, edge: Edge) -> None:
    """The pause that it ends lets other lanes resend theirs."""
    edge.plant(100)
    ids = meet_trouble(edge)
    world.server.forget()
    world.append(world.channel(lane=1), 1)
    world.policy = Policy(on_uncertain="park")
    edge.drain(lane=1)
    since_ms = world.journal.now_ms() - edge.asked_since[0]
    assert 30_000 <= since_ms < 40_000, "trouble is seen at the end of an attempt: it began a timeout before"
    assert world.pause() is None
    world.drain(lane=0, journal=world.worker())
    assert world.counts() == {"parked_uncertain": len(ids)}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(Reply(500, b"", {}), "unknown", id="500"),
        pytest.param(NoReply(sent=False), "unreachable", id="not sent"),
        pytest.param(Reply(503, b"", {}), "busy", id="busy"),
        pytest.param(Reply(401, b"", {}), "misconfigured", id="misconfigured"),
    ],
)
def test_trouble_that_lasts_costs_a_new_canary_only(
    world: DrainWorld, edge: Edge, reply: Reply | NoReply, reason: str
) -> None:
    """The pause goes on, the old canaries are kept for the end, the batch keeps its mark."""
    edge.plant(70, 80)
    ids = meet_trouble(edge)
    marker = world.marker()
    edge.replies = [reply]
    world.control.stops_after = 1
    edge.drain()
    assert world.pause() == reason
    assert edge.sent() == [ids]
    assert len(edge.canaries.memory.canaries()) == 2
    assert marker is not None
    assert not world.is_probing()

    world.control = Control(world)
    world.pass_time(10)
    edge.drain()
    assert world.counts() == {"settled": 10}
    world.check()


def test_fresh_batch_is_unmarked_when_the_canary_fails(world: DrainWorld, edge: Edge) -> None:
    """It was never sent."""
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(60)
    edge.replies = [Reply(500, b"", {})]
    world.control.stops_after = 1
    edge.drain()
    assert world.marker() is None
    assert edge.sent() == []
    world.control = Control(world)
    world.pass_time(10)
    edge.drain()
    world.check()


def test_canaries_that_get_no_clear_answer_keep_the_app_waiting(world: DrainWorld, edge: Edge) -> None:
    """The new one was accepted, the questions failed: trouble lasts."""
    edge.plant(70)
    ids = meet_trouble(edge)
    planted = Reply(200, json.dumps({"batch": [{"acknowledgement_id": "x"}]}).encode(), {})
    edge.replies = [planted, Reply(500, b"", {})]
    world.control.stops_after = 1
    edge.drain()
    assert world.pause() == "unknown"
    assert edge.sent() == [ids]


def test_without_canaries_the_setting_is_all_there_is(world: DrainWorld, edge: Edge) -> None:
    """Nothing to ask: what the settings say holds."""
    ids = meet_trouble(edge)
    edge.drain()
    assert edge.sent() == [ids, ids]
    world.check()


def test_full_redis_keeps_no_prober_from_asking(world: DrainWorld, edge: Edge) -> None:
    """Nor another lane from hearing what the canaries said: it would resend what is forgotten."""
    edge.plant(100)
    other = world.append(world.channel("b", 1), 3)
    with pytest.raises(Died):
        edge.drain(1, at=die)
    world.lose_leases()
    meet_trouble(edge)
    world.server.forget()
    world.policy = Policy(on_uncertain="park")
    world.redis.config_set("maxmemory", 1)
    try:
        edge.drain()
        edge.drain(1)
    finally:
        world.redis.config_set("maxmemory", 0)
    assert edge.sent().count(other) == 1
    assert (world.counts(0), world.counts(1)) == ({"parked_uncertain": 10}, {"parked_uncertain": 3})
    assert edge.report().verdict == "forgets"


def test_probes_take_no_longer_than_they_must(world: DrainWorld, edge: Edge) -> None:
    """Five seconds a canary, each fourth time the whole timeout; the right lasts as long as the lease."""
    edge.plant(70, 80, 90)
    world.append(world.channel(), 3)
    world.meet_trouble()
    edge.replies = [NoReply(sent=True)] * 4
    while edge.replies:
        world.pass_time(10)
        edge.drain()
    assert edge.timeouts_s[:4] == [5.0, 5.0, 5.0, 30.0]
    assert all(0 < one <= TTL_MS for one in edge.right_ms[:4])
    world.pass_time(10)
    world.settle_down(edge.drain)
    assert not world.is_probing()


def test_right_to_probe_is_renewed_right_before_the_batch(world: DrainWorld, edge: Edge) -> None:
    """The canaries, or a look into history, may have taken long."""
    edge.plant(70, 80, 90)
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)
    probe = AppKeys.of(APP).probe
    left_ms = []

    def at(point: str) -> None:
        if point == "taken":
            world.redis.pexpire(probe, 1000)
        if point == "posted":
            left_ms.append(world.redis.pttl(probe))

    edge.drain(at=at)
    assert 1000 < left_ms[0] <= TTL_MS
    world.check()


def test_prober_that_lost_the_right_to_probe_sends_no_batch(world: DrainWorld, edge: Edge) -> None:
    """It ran out behind the canaries, and another asks the server by now: two would."""
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)

    def at(point: str) -> None:
        if point == "taken":
            world.redis.set(AppKeys.of(APP).probe, "heir", px=60_000)

    edge.drain(at=at)
    assert edge.sent() == []
    assert world.marker() is None, "it was never sent"
    world.lose_leases()
    world.settle_down()
    world.check()


def test_prober_that_dies_while_canaries_are_out_leaves_no_mark(world: DrainWorld, edge: Edge) -> None:
    """Never sent is never uncertain: a successor asks when the lease is over, and the events are new to it."""
    ids = world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)
    edge.die_asking = True
    with pytest.raises(Died):
        edge.drain()
    assert world.marker() is None
    edge.die_asking = False
    world.lose_leases()
    world.pass_time(130)
    world.policy = Policy(on_uncertain="park")
    world.settle_down(edge.drain)
    assert edge.sent() == [ids]
    world.check()


def test_canary_ends_the_pause_when_the_events_leave_unsent(world: DrainWorld, edge: Edge) -> None:
    """The server answers: the other lanes must not wait until this one is released."""
    edge.plant(100)
    meet_trouble(edge)
    world.server.forget()
    world.policy = Policy(on_uncertain="park")
    edge.drain()
    assert world.counts() == {"parked_uncertain": 10}
    assert world.pause() is None
    assert world.control.rung == [[]]
    assert not world.is_probing()


def test_pause_of_an_empty_app_ends_with_an_answered_canary(world: DrainWorld, edge: Edge) -> None:
    """What waited has expired: nothing is left to ask with, and the app would count as paused for ever."""
    world.journal.shared.pause("misconfigured", 0.0, "HTTP 401")
    edge.replies = [Reply(401, b"", {})]
    edge.drain()
    pause = world.journal.shared.view().pause
    assert pause is not None
    assert (pause.reason, pause.count) == ("misconfigured", 2)
    world.pass_time(10)
    edge.drain()
    assert world.pause() is None
    assert not world.is_probing()


def test_prober_that_was_followed_meanwhile_sends_nothing(world: DrainWorld, edge: Edge) -> None:
    """Its canaries took longer than its right: another asks now."""
    edge.plant(70, 80, 90)
    world.append(world.channel(), 3)
    world.meet_trouble()
    world.pass_time(10)
    sent = len(edge.sent())

    def follow(body: bytes, timeout_s: float) -> Reply | NoReply:
        world.redis.set(AppKeys.of(APP).probe, "heir", px=60_000)
        return world.server.post(body)

    edge.canaries._post = follow
    assert edge.drain() is None
    assert len(edge.sent()) == sent
    assert world.redis.get(AppKeys.of(APP).probe) == b"heir"
    assert world.pause() is not None
    world.lose_leases()
    world.settle_down()
    world.check()

"""The loop where the server is slow, away, busy or misconfigured: pauses, and who probes."""

from __future__ import annotations

import json
import logging

import pytest

from sockudo_publisher.delivery import gates
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.lease import TTL_MS
from tests.integration.delivery.world import APP, Control, Died, DrainWorld, left_unknown
from tests.unit.delivery import model
from tests.unit.delivery.model import AnswerLost, Answers, NotSent, RequestLost

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("in_place", [True, False], ids=["one run", "many runs"])
def test_unknown_after_unknown_shrinks_and_never_condemns(
    world: DrainWorld, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    """A server that dies of large requests gets small ones, also when each run gives its slot back."""
    if not in_place:
        monkeypatch.setattr(gates, "WAIT_IN_PLACE_S", 0.0)
    world.append(world.channel(), 60)
    world.server.dies_above = 3
    world.settle_down()
    world.check()
    assert world.letters() == []
    assert "stuck" not in world.counts()


def test_server_half_dead_for_every_size_pauses_only(world: DrainWorld) -> None:
    """One item alone and still unknown is the server's trouble: nothing is held, nothing is buried."""
    world.append(world.channel(), 60)
    world.server.dies_above = 0
    world.drain(control=Control(world, stops_after=30))
    assert world.server.requests[-1] == world.server.requests[0][:1]
    assert (world.holds(), world.letters(), world.pause()) == ([], [], "unknown")
    assert world.depth() == 1
    world.server.dies_above = None
    world.settle_down()
    world.check()


@pytest.mark.parametrize("on_uncertain", ["resend", "park"])
def test_events_never_sent_are_never_uncertain(world: DrainWorld, on_uncertain: str) -> None:
    """However long the server is away: refused connections start no clock."""
    world.policy = Policy(on_uncertain=on_uncertain)  # type: ignore[arg-type]
    world.append(world.channel(), 60)
    for _ in range(10):
        world.meet_trouble()
        assert world.marker() is None
        world.pass_time(86_400)
    world.settle_down()
    world.check()
    assert world.counts() == {"settled": 60}
    assert world.letters() == []


@pytest.mark.parametrize(
    "reply",
    [
        NoReply(sent=False),
        model.DRAINING,
        Reply(413, b"too large", {}),
        model.error(400, "limit_exceeded", "Batch size"),
    ],
    ids=["refused", "busy", "too large", "too many"],
)
def test_death_before_pause_or_limit_is_written_leaves_no_mark(
    world: DrainWorld, monkeypatch: pytest.MonkeyPatch, reply: Reply | NoReply
) -> None:
    """The mark goes first: what was never sent would become uncertain else."""
    world.append(world.channel(), 20)
    journal = world.worker()

    def dies(*_: object) -> int:
        raise Died

    monkeypatch.setattr(journal.shared, "pause", dies)
    monkeypatch.setattr(journal.shared, "learn", dies)
    with pytest.raises(Died):
        world.drain(journal=journal, post=lambda body: reply)
    assert world.marker() is None


def test_busy_obeys_retry_after_with_all_lanes(world: DrainWorld) -> None:
    """No request of any lane before it is over; then one asks, and all go on."""
    world.append(world.channel("a", 0), 5)
    world.append(world.channel("b", 1), 5)
    world.server.faults.append(Answers(Reply(503, model.DRAINING.body, {**model.JSON, "retry-after": "30"})))
    assert world.drain(0) is None
    pause = world.journal.shared.view().pause
    assert pause is not None
    assert 29_000 < pause.until_ms - world.journal.now_ms() <= 30_000
    assert world.marker() is None, "a first attempt that was not taken is not uncertain"
    assert world.drain(1, journal=world.worker()) is None
    assert world.drain(0) is None
    world.pass_time(28)
    assert world.drain(1, journal=world.worker()) is None
    assert len(world.server.requests) == 1
    world.pass_time(3)
    world.drain(1, journal=world.worker())
    assert world.control.rung == [[0, 1]]
    world.settle_down()
    world.check()


@pytest.mark.parametrize("reply", [model.UNKNOWN_APP, model.BAD_SIGNATURE], ids=["404", "401"])
def test_misconfigured_pauses_loudly_and_loses_nothing(
    world: DrainWorld, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    """An error in the log each time it asks, in the server's words; nothing is dead-lettered."""
    world.append(world.channel(), 20)
    world.server.faults += [Answers(reply)] * 3
    with caplog.at_level(logging.ERROR, "sockudo_publisher.delivery"):
        for _ in range(3):
            assert world.drain() is None
            pause = world.journal.shared.view().pause
            assert pause is not None
            assert 4_000 < pause.until_ms - world.journal.now_ms() <= 5_000
            world.pass_time(5.0)
    assert len(caplog.records) == 3
    assert all("misconfigured" in record.getMessage() for record in caplog.records)
    assert json.loads(reply.body)["error"] in caplog.text
    assert (world.pause(), world.letters(), world.marker()) == ("misconfigured", [], None)
    with caplog.at_level(logging.INFO, "sockudo_publisher.delivery"):
        world.settle_down()
    [over] = [record for record in caplog.records if record.getMessage() == "server answers again app=app"]
    assert over.levelno == logging.INFO, "good news is no warning"
    world.check()


def test_one_prober_at_a_time_over_lanes_and_workers(world: DrainWorld) -> None:
    """While one probes, no other worker sends; its accepted probe ends the pause and rings every lane with entries."""
    world.append(world.channel("a", 0), 5)
    world.append(world.channel("b", 1), 5)
    world.meet_trouble()
    world.pass_time(5)
    other = Control(world, passes_time=False)
    others_requests: list[bytes] = []

    def others_post(body: bytes) -> Reply | NoReply:
        others_requests.append(body)
        return world.server.post(body)

    def asked_meanwhile(body: bytes) -> Reply | NoReply:
        assert world.is_probing()
        assert world.drain(1, journal=world.worker(), control=other, post=others_post) is None
        return world.server.post(body)

    world.drain(0, post=asked_meanwhile)
    assert others_requests == []
    assert other.slept, "it looked for a while whether the pause would end"
    assert world.control.rung == [[0, 1]]
    assert world.pause() is None
    world.settle_down()
    world.check()


def test_failed_probe_prolongs_the_pause_and_lets_another_ask(world: DrainWorld) -> None:
    """The count of pauses grows over runs and workers; the right to probe is given back."""
    world.append(world.channel(), 5)
    counts = []
    for _ in range(5):
        world.meet_trouble()
        assert not world.is_probing()
        pause = world.journal.shared.view().pause
        assert pause is not None
        counts.append(pause.count)
        world.pass_time(3)
    assert counts == sorted(set(counts)), "a short wait may end in a probe of the same run: some counts are skipped"
    world.settle_down()
    world.check()


def test_prober_that_dies_is_replaced_when_its_right_runs_out(world: DrainWorld) -> None:
    """No worker waits for a dead one longer than for its lanes."""
    world.append(world.channel(), 5)
    world.meet_trouble()
    world.pass_time(5)
    assert world.worker().shared.try_probe("dead")
    assert 0 < world.redis.pttl(AppKeys.of(APP).probe) <= TTL_MS
    assert world.drain() is None
    assert world.server.requests == []
    world.lose_leases()
    world.settle_down()
    world.check()


def test_late_answer_of_a_lane_that_did_not_probe_ends_no_pause(world: DrainWorld) -> None:
    """It was sent before the trouble began, and proves nothing about now."""
    world.append(world.channel("a", 0), 5)

    def trouble_elsewhere(body: bytes) -> Reply | NoReply:
        world.journal.shared.pause("unknown", 60.0)
        return world.server.post(body)

    world.drain(0, post=trouble_elsewhere)
    assert world.pause() == "unknown"
    assert world.control.rung == []
    OperatorRecords(world.journal.link, world.journal.app).resume("test")


def test_prober_frozen_after_its_answer_ends_no_later_pause(world: DrainWorld) -> None:
    """Another has probed since, and the server is in trouble anew: no canary would show whether it still remembers."""
    first, second = world.channel("a", 0), world.channel("b", 1)
    world.append(first, 1)
    world.meet_trouble()
    world.pass_time(3)

    def frozen_behind_the_answer(body: bytes) -> Reply | NoReply:
        answer = world.server.post(body)
        world.lose_leases()
        world.append(second, 1)
        world.drain(1, journal=world.worker(), control=Control(world, passes_time=False))
        assert world.pause() is None
        world.append(second, 1)
        stopped = Control(world, stops_after=1, passes_time=False)
        world.drain(1, journal=world.worker(), control=stopped, post=lambda body: NoReply(sent=True))
        return answer

    world.drain(0, journal=world.worker(), post=frozen_behind_the_answer, control=Control(world, passes_time=False))
    assert world.pause() == "unknown"
    world.pass_time(10)
    world.settle_down()
    world.check()


def test_longer_pause_outlasts_the_answer_of_an_earlier_probe(world: DrainWorld) -> None:
    """A request that was in flight before the pause brings a Retry-After while the prober's is on its way."""
    world.append(world.channel("a", 0), 1)
    world.meet_trouble()
    world.pass_time(3)

    def rest_is_asked_for(body: bytes) -> Reply | NoReply:
        world.journal.shared.pause("busy", 60.0, "Retry-After")
        return world.server.post(body)

    world.drain(0, post=rest_is_asked_for)
    assert world.pause() == "busy"
    assert world.control.rung == []
    assert not world.is_probing()
    OperatorRecords(world.journal.link, world.journal.app).resume("test")
    world.check()


def test_batch_that_grew_too_old_before_it_left_is_parked(world: DrainWorld) -> None:
    """Under `park` its time is looked at again when the lease had to be renewed: the process was frozen there."""
    ids = left_unknown(world, 3)
    world.pass_time(80)
    world.policy = Policy(on_uncertain="park", window_s=120, delivery_timeout_s=30)
    journal = world.worker()
    frozen = []

    def freeze(point: str) -> None:
        if point == "taken" and not frozen:
            frozen.append(point)
            world.pass_time(10)
            for lease in journal._keeper._leases:
                lease._trusted_from -= 60

    world.drain(journal=journal, at=freeze)
    assert frozen
    assert world.server.requests == [ids]
    assert world.counts() == {"parked_uncertain": 3}


def test_batch_frozen_before_its_request_is_new_again(world: DrainWorld) -> None:
    """It was never sent: it is not marked as if it were, and is sent under a lease that surely lasts."""
    ids = world.append(world.channel(), 3)
    journal = world.worker()
    marks = []

    def freeze(point: str) -> None:
        if point == "taken":
            marks.append(world.marker())
            if len(marks) == 1:
                for lease in journal._keeper._leases:
                    lease._trusted_from -= 60

    world.drain(journal=journal, at=freeze)
    assert len(marks) == 2
    assert world.server.requests == [ids]
    world.check()


def test_stuck_event_after_an_unknown_answer_is_waited_for_again(world: DrainWorld) -> None:
    """The request that timed out may be running still: the one wait before it was for another."""
    channel = world.channel()
    [only] = world.append(channel, 1)
    world.server.claim(only, channel)
    answers: list[Reply | NoReply] = [model.STUCK, NoReply(sent=True), model.STUCK]

    def post(body: bytes) -> Reply | NoReply:
        if answers:
            return answers.pop(0)
        world.server.forget()
        return world.server.post(body)

    world.drain(post=post)
    assert world.control.slept.count(2.0) == 2
    assert world.counts() == {"settled": 1}


@pytest.mark.parametrize(
    "reply",
    [model.BAD_SIGNATURE, Reply(429, b"", {"retry-after": "60"})],
    ids=["misconfigured", "busy for long"],
)
def test_who_begins_a_long_pause_does_not_ask_for_the_next_turn(world: DrainWorld, reply: Reply) -> None:
    """Its countdown would come back to itself: a worker with a wrong key would be the only one ever to ask."""
    world.append(world.channel(), 3)
    assert world.drain(post=lambda body: reply) is None
    assert world.pause() is not None
    world.pass_time(70)
    world.settle_down()
    world.check()


def test_search_goes_on_after_the_server_was_away_in_it(world: DrainWorld) -> None:
    """Pauses of all kinds in the middle: what was settled stays settled, the culprit is found."""
    channel, other = world.channel("a"), world.channel("b")
    world.append_items([((channel, other)[n % 2], f"n{n}") for n in range(100)])
    world.server.poison = {"n77"}
    world.server.faults += [
        None,
        None,
        NotSent(),
        None,
        RequestLost(),
        Answers(model.DRAINING),
        None,
        AnswerLost(),
        Answers(Reply(502, b"<html>", model.HTML)),
        Answers(model.UNKNOWN_APP),
    ]
    world.settle_down()
    world.check(without=["n77"])
    assert [letter["reason"] for letter in world.letters()] == ["refused"]


def test_shorter_pause_of_another_lane_does_not_end_a_longer_one(world: DrainWorld) -> None:
    """Two requests end badly at about the same time: the server that asked for a minute is left alone for it."""
    journal = world.journal
    journal.shared.pause("busy", 60.0, "Retry-After: 60")
    assert journal.shared.pause("unreachable", 0.2) == 2
    pause = journal.shared.view().pause
    assert pause is not None
    assert pause.reason == "unreachable"
    assert pause.until_ms - journal.now_ms() > 30_000
    journal.shared.pause("busy", 300.0)
    pause = journal.shared.view().pause
    assert pause is not None
    assert pause.until_ms - journal.now_ms() > 200_000
    OperatorRecords(journal.link, journal.app).resume("test")

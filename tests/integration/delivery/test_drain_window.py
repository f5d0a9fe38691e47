"""The loop when the window of what may have been sent has ended: resend, park, or only count."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from tests.integration.delivery.world import SOON_MS, At, Died, DrainWorld, left_unknown

pytestmark = pytest.mark.integration


def test_resend_policy_resends_and_counts_uncertain_events(world: DrainWorld) -> None:
    """At least once: the server has forgotten them."""
    left_unknown(world, 10)
    world.pass_time(121)
    world.server.forget()
    world.append(world.channel(), 5)
    world.drain(journal=world.worker())
    assert len(world.server.repeated()) == 10
    assert world.counts() == {"settled": 15, "resent_after_window": 10}


def test_window_that_ends_during_the_resend_is_counted(world: DrainWorld) -> None:
    """The server may look at the ids when it has forgotten them, though the request began in time."""
    left_unknown(world, 10)
    world.pass_time(119)

    def slow(body: bytes) -> Reply | NoReply:
        world.server.forget()
        answer = world.server.post(body)
        world.control.skipped_s += 3.0
        return answer

    world.drain(journal=world.worker(), post=slow)
    assert len(world.server.repeated()) == 10
    assert world.counts() == {"settled": 10, "resent_after_window": 10}


def test_worker_killed_before_connecting_leaves_events_uncertain(world: DrainWorld) -> None:
    """The journal cannot tell it from a request that was sent: under `park` they are parked with `maybe_delivered`."""
    ids = world.append(world.channel(), 3)
    with pytest.raises(Died):
        world.drain(at=At("taken"))
    world.lose_leases()
    world.pass_time(121)
    world.policy = Policy(on_uncertain="park")
    world.drain(journal=world.worker())
    assert world.server.requests == []
    assert [json.loads(letter["item"])["message_id"] for letter in world.letters()] == ids
    assert {(letter["reason"], letter["maybe_delivered"]) for letter in world.letters()} == {("uncertain", "1")}
    assert world.counts() == {"parked_uncertain": 3}


def test_resend_inside_the_window_is_not_counted_as_late(world: DrainWorld) -> None:
    """The server still remembers."""
    left_unknown(world, 10)
    world.pass_time(118)
    world.drain(journal=world.worker())
    assert world.counts() == {"settled": 10}
    world.check()


def test_park_policy_parks_uncertain_events_and_sends_the_rest(world: DrainWorld) -> None:
    """At most once: each becomes a dead letter `uncertain`, what was never sent goes out."""
    ids = left_unknown(world, 10)
    world.pass_time(86)
    fresh = world.append(world.channel(), 5)
    world.policy = Policy(on_uncertain="park")
    world.drain(journal=world.worker())
    assert world.server.requests == [ids, fresh]
    letters = world.letters()
    assert [json.loads(letter["item"])["message_id"] for letter in letters] == ids
    assert {(letter["reason"], letter["maybe_delivered"]) for letter in letters} == {("uncertain", "1")}
    assert {int(letter["first_ms"]) <= world.journal.now_ms() - 86_000 for letter in letters} == {True}
    assert {int(letter["attempts"]) for letter in letters} == {1}, "a dead worker's"
    assert {letter["message"] for letter in letters} == {
        "not known to be delivered, and a resend might end after the server has forgotten the id (120 s)"
    }
    assert world.counts() == {"settled": 5, "parked_uncertain": 10}
    world.check()


def test_park_policy_still_resends_what_ends_inside_the_window(world: DrainWorld) -> None:
    """Until window - delivery timeout - 5 s."""
    left_unknown(world, 10)
    world.pass_time(84)
    world.policy = Policy(on_uncertain="park")
    world.drain(journal=world.worker())
    assert world.letters() == []
    world.check()


def test_park_policy_parks_a_stuck_item_and_its_channel_flows_on(world: DrainWorld) -> None:
    """Its claim may have been left by a delivery, and what went with it may be out; later events were never sent."""
    channel = world.channel()
    marked = world.append(channel, 5)
    world.server.claim(marked[0], channel)
    world.policy = Policy(on_uncertain="park", window_s=60, delivery_timeout_s=30)
    world.drain()
    assert world.holds() == [channel]
    fresh = world.append(channel, 3)
    world.settle_down()
    assert [json.loads(letter["item"])["message_id"] for letter in world.letters()] == marked
    assert {letter["reason"] for letter in world.letters()} == {"uncertain"}
    assert world.server.seen(channel) == fresh
    assert world.counts() == {"settled": 3, "searched": 1, "stuck": 1, "parked_uncertain": 5}
    assert world.holds() == []


@pytest.mark.parametrize("on_uncertain", ["resend", "park"])
def test_uncertain_event_past_its_expiry_is_only_counted(world: DrainWorld, on_uncertain: str) -> None:
    """No caller wants it any more, and it may have been delivered: `expired_uncertain`, no dead letter."""
    world.policy = Policy(on_uncertain=on_uncertain)  # type: ignore[arg-type]
    soon = world.journal.now_ms() + SOON_MS
    ids = left_unknown(world, 3, expires_ms=soon)
    later = world.append(world.channel(), 2)
    world.pass_time(121)
    world.wait_until_past(soon)
    world.drain(journal=world.worker())
    assert world.server.requests == [ids, later]
    assert world.counts() == {"settled": 2, "expired_uncertain": 3}
    assert world.letters() == []


def test_uncertain_events_before_an_expired_one_are_resent(world: DrainWorld) -> None:
    """The expired one leaves in its turn; order is kept."""
    channel = world.channel()
    soon = world.journal.now_ms() + SOON_MS
    world.append(channel, 2)
    world.append(channel, 1, expires_ms=soon)
    world.append(channel, 2)
    with pytest.raises(Died):
        world.drain(at=At("posted"))
    world.lose_leases()
    world.pass_time(121)
    world.wait_until_past(soon)
    world.drain(journal=world.worker())
    assert world.server.requests[1:] == [["e0", "e1"], ["e3", "e4"]]
    assert world.counts() == {"settled": 4, "resent_after_window": 4, "expired_uncertain": 1}


def test_expiry_does_not_apply_to_what_may_have_been_sent(world: DrainWorld) -> None:
    """Inside the window a resend is free: the server answers with the first receipt."""
    soon = world.journal.now_ms() + SOON_MS
    ids = left_unknown(world, 3, expires_ms=soon)
    world.wait_until_past(soon)
    world.drain(journal=world.worker())
    assert world.server.requests == [ids, ids]
    world.check()

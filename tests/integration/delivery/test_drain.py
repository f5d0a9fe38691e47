"""The whole loop over a real Redis, against a model of the server: the plain way, slices and stops."""

from __future__ import annotations

import logging

import pytest

from sockudo_publisher.delivery import run as run_module
from sockudo_publisher.delivery.drain import DrainAgain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.keys import lane_keys
from tests.integration.delivery.world import APP, DrainWorld, stopped

pytestmark = pytest.mark.integration


def test_batches_form_by_themselves_within_their_bounds(world: DrainWorld) -> None:
    """What waits goes at once, cut by number and by bytes, in the order of the appends."""
    a, b = world.channel("a"), world.channel("b")
    world.append(a, 120)
    world.append(b, 1)
    world.append(a, 30, pack=False)
    world.append(b, 99)
    world.policy = Policy(batch_max_events=100)
    assert world.drain() is None
    assert [len(request) for request in world.server.requests] == [100, 100, 50]
    world.check()

    world.append(a, 50)
    world.policy = Policy(batch_max_bytes=1000)
    world.drain()
    assert all(len(body) <= 1000 + len('{"batch":[]}') for body in world.server.bodies[3:])
    world.check()


def test_bulk_beside_single_events_keeps_the_append_order(world: DrainWorld) -> None:
    """`publish_many` beside `delay` on one channel."""
    channel = world.channel()
    for count in (1, 250, 1, 3, 100, 1):
        world.append(channel, count, pack=count > 1)
    world.drain()
    world.check()
    assert world.counts() == {"settled": 356}


def test_lane_that_another_worker_drains_is_left_alone(world: DrainWorld) -> None:
    """Its holder sees our entries."""
    world.append(world.channel(), 3)

    def rung_again(body: bytes) -> Reply | NoReply:
        assert world.drain(journal=world.worker()) is None
        return world.server.post(body)

    world.drain(post=rung_again)
    assert len(world.server.requests) == 1
    world.check()


def test_entries_that_come_during_a_request_are_not_left_behind(world: DrainWorld) -> None:
    """No doorbell is rung for an armed lane; its holder looks again before it goes."""
    channel = world.channel()
    world.append(channel, 1)
    more = iter([5, 2])

    def slow(body: bytes) -> Reply | NoReply:
        if (count := next(more, 0)) > 0:
            world.append(channel, count)
        return world.server.post(body)

    world.drain(post=slow)
    assert [len(request) for request in world.server.requests] == [1, 5, 2]
    world.check()


def add_newer_entry(world: DrainWorld, lane: int = 0) -> None:
    world.redis.xadd(lane_keys(APP, lane).stream, {"v": "2", "z": "who knows"})


def test_entry_of_a_newer_release_is_left_and_logged(world: DrainWorld, caplog: pytest.LogCaptureFixture) -> None:
    """What is before it goes out; it stays, with all behind it, for a newer worker."""
    world.append(world.channel(), 5)
    add_newer_entry(world)
    world.append(world.channel(), 5)
    with caplog.at_level(logging.ERROR, "sockudo_publisher.delivery"):
        assert world.drain() is None
    assert [len(request) for request in world.server.requests] == [5]
    assert world.depth() == 2
    assert not world.is_leased()
    assert "newer" in caplog.text


def test_slice_ends_when_another_lane_waits(world: DrainWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot goes back at once, with a ring; nothing is marked that was not sent."""
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    world.append(world.channel(), 100)
    world.policy = Policy(batch_max_events=10)
    world.control.do_others_wait = True
    assert world.drain() == DrainAgain(0.0)
    assert world.marker() is None
    assert not world.is_leased()
    world.control.do_others_wait = False
    world.drain()
    world.check()


def test_slice_goes_on_when_no_lane_waits(world: DrainWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look in Redis, and on."""
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    world.append(world.channel(), 100)
    world.policy = Policy(batch_max_events=10)
    assert world.drain() is None
    world.check()


def test_search_is_not_given_up_for_another_lane(world: DrainWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must end inside the window; after it the slot goes back."""
    monkeypatch.setattr(run_module, "SLICE_S", 0.0)
    channel, other = world.channel("a"), world.channel("b")
    world.append_items([((channel, other)[n % 2], f"n{n}") for n in range(100)])
    world.server.claim("n50", channel)

    def post(body: bytes) -> Reply | NoReply:
        world.control.do_others_wait = True
        return world.server.post(body)

    assert world.drain(post=post) == DrainAgain(0.0)
    assert world.holds() == [channel], "found in the first run"
    world.control.do_others_wait = False
    world.settle_down()
    world.check()


def test_stop_gives_everything_back_at_once(world: DrainWorld) -> None:
    """No request is begun; the lane is free for the next worker, unmarked."""
    world.append(world.channel(), 10)
    assert world.drain(control=stopped(world.control)) == DrainAgain(0.0)
    assert world.server.requests == []
    assert world.marker() is None
    assert not world.is_leased()


def test_stop_during_a_request_waits_for_its_answer(world: DrainWorld) -> None:
    """A dropped request is the worst enemy: it is settled, then the lane is given back."""
    world.append(world.channel(), 30)
    world.policy = Policy(batch_max_events=10)

    def stops(body: bytes) -> Reply | NoReply:
        world.control.is_stopping = True
        return world.server.post(body)

    assert world.drain(post=stops) == DrainAgain(0.0)
    assert world.counts() == {"settled": 10}
    assert world.marker() is None
    world.control.is_stopping = False
    world.drain()
    world.check()


def test_stop_in_a_search_keeps_what_it_has_settled(world: DrainWorld) -> None:
    """The marker has shrunk; the successor goes on with what is left."""
    channel, other = world.channel("a"), world.channel("b")
    world.append_items([((channel, other)[n % 2], f"n{n}") for n in range(100)])
    world.server.claim("n50", channel)

    def stops(body: bytes) -> Reply | NoReply:
        world.control.is_stopping = len(world.server.requests) >= 4
        return world.server.post(body)

    assert world.drain(post=stops) == DrainAgain(0.0)
    assert world.marker() is not None
    world.control.is_stopping = False
    world.settle_down()
    world.check()


def test_stop_ends_a_pause(world: DrainWorld) -> None:
    """A worker that waits for the server stops like any other, and gives the right to probe back."""
    world.append(world.channel(), 5)

    def stop() -> None:
        world.control.is_stopping = True

    world.control.during_sleep = stop
    assert world.drain(post=lambda body: NoReply(sent=False)) == DrainAgain(0.0)
    assert not world.is_leased()
    assert not world.is_probing()
    assert world.marker() is None

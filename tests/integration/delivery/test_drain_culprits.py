"""The loop that finds a stuck, refused or too large event, and the channel that waits behind a stuck one."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.journal.keys import lane_keys
from tests.integration.delivery.world import APP, DrainWorld
from tests.unit.delivery import model
from tests.unit.delivery.model import AnswerLost, Cut

pytestmark = pytest.mark.integration


def test_two_stuck_items_each_hold_their_own_channel(world: DrainWorld) -> None:
    """Searches run one after the other; the third channel flows on."""
    a, b, c = world.channel("a"), world.channel("b"), world.channel("c")
    world.append_items([((a, b, c)[n % 3], f"n{n}") for n in range(300)])
    world.server.claim("n90", a)
    world.server.claim("n91", b)
    world.drain()
    assert sorted(world.holds()) == sorted([a, b])
    assert world.server.seen(c) == [f"n{n}" for n in range(2, 300, 3)]
    assert world.server.seen(a) == [f"n{n}" for n in range(0, 90, 3)]
    world.settle_down()
    world.check()
    assert world.counts() == {"settled": 300, "stuck": 2, "searched": 1}, "the second was asked for alone at once"


def test_two_stuck_items_of_one_channel(world: DrainWorld) -> None:
    """The second is found when the first is freed; both keep their place, nothing between them comes twice."""
    stuck, other = world.channel("stuck"), world.channel("other")
    world.append_items([(stuck if n % 2 == 0 else other, f"n{n}") for n in range(200)])
    world.server.claim("n20", stuck)
    world.drain()
    world.server.release("n20", stuck)
    world.server.faults += [None, Cut(40)]  # n20 alone, then what is behind it, cut
    world.settle_down()
    world.check()


def test_stuck_item_in_a_search_for_a_poison_item(world: DrainWorld) -> None:
    """Refused and stuck are different answers to the same question about a prefix."""
    a, b = world.channel("a"), world.channel("b")
    world.append_items([((a, b)[n % 2], f"n{n}") for n in range(64)])
    world.server.poison = {"n40"}
    world.server.claim("n13", b)
    world.drain()
    # The stuck item comes first; freed while its search runs, it would be the poison item's search.
    assert world.holds() == [b]
    assert [letter["reason"] for letter in world.letters()] == ["refused"]
    world.settle_down()
    world.check(without=["n40"])


@pytest.mark.parametrize("position", [0, 31, 63])
def test_poison_item_is_buried_alone_with_the_servers_words(world: DrainWorld, position: int) -> None:
    """Its neighbours go through; the letter holds all that a person needs."""
    channel = world.channel()
    ids = world.append(channel, 64)
    world.server.poison = {ids[position]}
    world.drain()
    world.check(without=[ids[position]])
    (letter,) = world.letters()
    assert letter["reason"] == "refused"
    assert "invalid characters" in letter["message"]
    assert letter["channel"] == channel
    assert letter["maybe_delivered"] == "0"
    assert int(letter["attempts"]) in {1 + 6, 1 + 6 + 1}, (
        "the batch, six halvings, and it alone if they ended before it"
    )
    assert json.loads(letter["item"])["message_id"] == ids[position]
    assert world.counts() == {"settled": 63, "refused": 1, "searched": 1}


@pytest.mark.parametrize(
    ("fault", "maybe"), [(None, "0"), (AnswerLost(), "1")], ids=["answered", "an earlier attempt ended unknown"]
)
def test_conflict_says_whether_it_may_have_been_delivered(
    world: DrainWorld, fault: model.Fault | None, maybe: str
) -> None:
    """Our bytes never change: another program used the id, or our earlier attempt is out."""
    ids = world.append(world.channel(), 8)
    world.server.foreign = {ids[5]}
    world.server.faults.append(fault)
    world.drain()
    (letter,) = world.letters()
    assert (letter["reason"], letter["maybe_delivered"]) == ("conflict", maybe)
    world.check(without=[ids[5]])


def test_batch_too_large_teaches_all_workers(world: DrainWorld) -> None:
    """The limit cuts the next batches and shrinks this one; nothing of the refused batch was accepted."""
    world.append(world.channel("a", 0), 100)
    world.append(world.channel("b", 1), 100)
    world.server.max_items = 30
    world.drain(0)
    assert [len(request) for request in world.server.requests] == [100, 30, 30, 30, 10]
    world.drain(1, journal=world.worker())
    assert [len(request) for request in world.server.requests[5:]] == [30, 30, 30, 10], "from its first request on"
    world.check()
    assert world.letters() == []


def test_batch_too_large_was_never_sent_as_far_as_windows_go(world: DrainWorld) -> None:
    """A first attempt refused for its size leaves no mark: its items are not uncertain later."""
    world.append(world.channel(), 100)
    world.server.max_items = 30
    marks: list[bytes | None] = []

    def post(body: bytes) -> Reply | NoReply:
        marks.append(world.marker())
        return world.server.post(body)

    world.drain(post=post)
    ends = [mark.rsplit(b" ", 1)[1] for mark in marks if mark]
    assert ends == [b"100", b"30", b"60", b"90", b"100"], "the mark of the refused batch is gone"
    world.check()


def test_resent_batch_that_has_become_too_large_shrinks(world: DrainWorld) -> None:
    """The server's limit changed while its fate was unknown: the marked prefix goes in parts, none is buried."""
    world.append(world.channel(), 60)
    world.server.faults.append(AnswerLost())

    def post(body: bytes) -> Reply | NoReply:
        reply = world.server.post(body)
        world.server.max_items = 20
        return reply

    world.drain(post=post)
    assert [len(request) for request in world.server.requests] == [60, 60, 20, 20, 20]
    world.check()


def test_single_event_over_the_servers_body_limit_is_buried(world: DrainWorld) -> None:
    """Found by bytes, halved, then alone: `too_large`; its neighbours go through."""
    channel = world.channel()
    world.append(channel, 10)
    world.append_items([(channel, "big")], data="x" * 4000)
    world.append(channel, 10)
    world.server.max_bytes = 3000
    world.drain()
    assert [(letter["reason"], letter["attempts"] > "0") for letter in world.letters()] == [("too_large", True)]
    world.check(without=["big"])


def test_only_the_held_channel_waits(world: DrainWorld) -> None:
    """What is published later flows too, on the held channel behind the stuck item, in order."""
    stuck, other = world.channel("stuck"), world.channel("other")
    first = world.append(stuck, 1)
    world.append(stuck, 3)
    world.append(other, 3)
    world.server.claim(first[0], stuck)
    world.drain()
    assert world.holds() == [stuck]
    assert world.server.seen(other) == ["e4", "e5", "e6"]
    world.append_items([((stuck, other)[n % 2], f"later{n}") for n in range(20)])
    world.drain()
    assert len(world.server.seen(other)) == 3 + 10
    assert world.server.seen(stuck) == []
    assert world.drain(0, stuck) is None
    assert world.server.requests[-1] == first, "the stuck item is tried alone"
    assert world.holds() == [stuck]
    world.server.release(first[0], stuck)
    world.drain(0, stuck)
    assert world.holds() == []
    world.append(stuck, 2)
    world.drain()
    world.check()


def test_held_item_is_tried_at_growing_gaps(world: DrainWorld) -> None:
    """1 s first, then a quarter of its age up to 10 s, over the deaths of its holders too: the age is in Redis."""
    channel = world.channel()
    ids = world.append(channel, 1)
    world.server.claim(ids[0], channel)
    world.server.ttl_s = 10**6
    world.drain()
    gaps = []
    for age_s in (2, 8, 20, 30, 60):
        holds = lane_keys(APP, 0).holds
        # Its clock is in its entry: an older one is written beside it.
        ((entry, fields),) = world.redis.xrange(f"{holds.removesuffix('holds')}hold:{channel}:stream")
        world.redis.delete(f"{holds.removesuffix('holds')}hold:{channel}:stream")
        fields[b"t"] = str(world.journal.now_ms() - age_s * 1000).encode()
        world.redis.xadd(f"{holds.removesuffix('holds')}hold:{channel}:stream", fields, id=entry)
        world.redis.hdel(f"{holds.removesuffix('holds')}hold:{channel}:state", "marker")
        world.drain(0, channel, journal=world.worker())
        gaps.append((world.redis.zscore(holds, channel) - world.journal.now_ms()) / 1000)
        assert not world.redis.exists(f"{holds.removesuffix('holds')}hold:{channel}:lease")
    assert gaps == pytest.approx([1.0, 2.0, 5.0, 7.5, 10.0], abs=0.5)


def test_poison_item_in_a_held_queue_is_buried_there(world: DrainWorld) -> None:
    """The hold goes on without it."""
    channel = world.channel()
    ids = world.append(channel, 20)
    world.server.claim(ids[0], channel)
    world.drain()
    world.server.poison = {ids[7]}
    world.settle_down()
    world.check(without=[ids[7]])

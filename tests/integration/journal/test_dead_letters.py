"""Dead letters: merged over lanes, found, moved back, deleted."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.journal.dead_letters import PAGE, DeadLetters
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.conftest import APP
from tests.integration.journal.one_lane import FUTURE, OneLane, bodies_of

pytestmark = pytest.mark.integration

REFUSED = DeadLetterFields("refused", "no", 2, 17)


def die(client: redis.Redis, lane: int, entry: str, item: bytes, channel: str = "c") -> None:
    """A dead letter with the fields that it has to have, at a chosen time."""
    fields = {"reason": "refused", "channel": channel, "item": item}
    client.xadd(lane_keys(APP, lane).dead, fields, id=entry)


@pytest.fixture
def two_lanes(link: RedisLink) -> DeadLetters:
    return DeadLetters(link, APP, range(2))


def bury_first(lane: OneLane) -> None:
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), REFUSED)
    lane.journal.hand_over(holder)


class TestList:
    def test_lanes_are_merged_by_the_time_of_death(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """Oldest first, as many as wanted."""
        for lane, entry in [(0, "1-0"), (1, "2-0"), (1, "3-0"), (0, "9-0"), (1, "10-0")]:
            die(client, lane, entry, entry.encode())
        assert [letter.item for letter in two_lanes.oldest(99)] == [b"1-0", b"2-0", b"3-0", b"9-0", b"10-0"]
        assert [(letter.lane, letter.dead_ms) for letter in two_lanes.oldest(3)] == [(0, 1), (1, 2), (1, 3)]
        assert two_lanes.oldest(0) == []

    def test_more_than_a_page_are_read_page_by_page(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """None twice, none left out."""
        count = 2 * PAGE + 1
        for number in range(count):
            die(client, 0, f"1-{number + 1}", b"%d" % number)
        assert [letter.item for letter in two_lanes.oldest(count + 5)] == [b"%d" % number for number in range(count)]

    def test_fields_that_are_missing_have_their_defaults(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """An older release did not write them."""
        die(client, 0, "5-1", b"x")
        [letter] = two_lanes.oldest(1)
        assert (letter.message, letter.attempts, letter.first_ms, letter.expires_ms) == ("", 0, 0, 0)
        assert not letter.maybe_delivered
        assert "item" not in repr(letter)

    def test_time_is_redis_own(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """In milliseconds."""
        seconds, _ = client.time()
        assert abs(two_lanes.now_ms() - seconds * 1000) < 60_000


class TestFind:
    def test_by_lane_and_entry(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """Not its neighbours, not in a lane that is none of the app's."""
        die(client, 0, "5-1", b"x")
        die(client, 0, "5-2", b"y")
        found = two_lanes.find(0, "5-2")
        assert found is not None
        assert found.item == b"y"
        assert two_lanes.find(0, "5-3") is None
        assert two_lanes.find(1, "5-2") is None
        assert two_lanes.find(7, "5-2") is None


class TestReplay:
    def test_it_goes_to_the_end_of_its_lane(self, lane: OneLane) -> None:
        """Unchanged, without its expiry, past backlog and ledger; a lane that rests is rung."""
        lane.append(b"1", expires_ms=FUTURE)
        bury_first(lane)
        lane.append(b"2")
        [letter] = lane.dead.oldest(1)
        assert letter.expires_ms == FUTURE
        assert lane.dead.replay(letter, letter.item) is Answer.DONE, "rung already"
        assert lane.bodies == [b"2", b"1"]
        assert lane.state("depth") == b"2"
        assert lane.now.queue.items[-1].expires_ms == 0
        assert lane.dead.oldest(1) == []
        assert lane.drain() == [b"2", b"1"]

    def test_a_lane_that_rests_is_rung(self, lane: OneLane) -> None:
        """And only then."""
        lane.append(b"1", b"2")
        bury_first(lane)
        bury_first(lane)
        lane.drain()
        first, second = lane.dead.oldest(2)
        assert lane.dead.replay(first, first.item) is Answer.RING
        assert lane.dead.replay(second, second.item) is Answer.DONE

    def test_a_letter_is_replayed_once(self, lane: OneLane) -> None:
        """By two people at the same time as well: nothing is added the second time."""
        lane.append(b"1")
        bury_first(lane)
        [letter] = lane.dead.oldest(1)
        lane.dead.replay(letter, letter.item)
        before = lane.everything()
        assert lane.dead.replay(letter, letter.item) is Answer.EMPTY
        assert lane.everything() == before

    def test_into_a_held_channel(self, lane: OneLane) -> None:
        """It waits behind the stuck one, like anything new; never sent, so without a clock."""
        lane.append_to(("a", b"dead"), ("a", b"stuck"), ("b", b"free"))
        bury_first(lane)
        holder = lane.acquire()
        lane.hold_first(holder)
        [letter] = lane.dead.oldest(1)
        lane.dead.replay(letter, letter.item)
        batch = lane.take(holder)
        assert bodies_of(batch) == [b"free"]
        lane.journal.settle(holder, batch)
        assert lane.taken(holder).batch is None
        held = lane.now.holds["a"]
        assert held.bodies == [b"stuck", b"dead"]
        assert [item.clock is None for item in held.items] == [False, True]
        lane.journal.release(holder)
        assert lane.drain("a") == [b"stuck", b"dead"]

    def test_other_bytes_may_go_in_its_place(self, lane: OneLane) -> None:
        """Under a new message id, which is in the item."""
        lane.append(b"old", channel="né")
        bury_first(lane)
        [letter] = lane.dead.oldest(1)
        lane.dead.replay(letter, b"newer")
        [item] = lane.now.queue.items
        assert (item.body, item.channel) == (b"newer", "né")


class TestPurge:
    def test_those_that_are_named(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """And counted as there were; others stay, and so do those of lanes that are not ours."""
        for lane, entry in [(0, "1-0"), (0, "2-0"), (1, "2-0"), (5, "2-0")]:
            die(client, lane, entry, b"x")
        assert two_lanes.purge([(0, "2-0"), (1, "2-0"), (1, "3-0"), (5, "2-0")]) == 2
        assert [(letter.lane, letter.entry_id) for letter in two_lanes.oldest(9)] == [(0, "1-0")]
        assert client.xlen(lane_keys(APP, 5).dead) == 1
        assert two_lanes.purge([]) == 0
        assert two_lanes.purge([(5, "2-0")]) == 0

    def test_all_of_them(self, two_lanes: DeadLetters, client: redis.Redis) -> None:
        """Of these lanes."""
        for lane, entry in [(0, "1-0"), (0, "2-0"), (1, "2-0"), (5, "2-0")]:
            die(client, lane, entry, b"x")
        assert two_lanes.purge_all() == 3
        assert two_lanes.oldest(9) == []
        assert client.xlen(lane_keys(APP, 5).dead) == 1

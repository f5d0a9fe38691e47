"""What a take reads, cuts, marks and leaves behind, line by line."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.journal.holder import MarkerChanged
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import KeyedItem
from tests.integration.journal.one_lane import FUTURE, PAST, OneLane, bodies_of, numbers

pytestmark = pytest.mark.integration


class TestReading:
    def test_an_empty_lane_has_no_batch(self, lane: OneLane) -> None:
        """It answers Redis' time all the same, and marks nothing."""
        holder = lane.acquire()
        taken = lane.taken(holder)
        assert taken.batch is None
        assert taken.unknown_version is None
        assert abs(taken.now_ms - lane.journal.now_ms()) < 60_000
        assert lane.state("marker") is None

    def test_a_batch_is_the_bytes_of_the_items(self, lane: OneLane) -> None:
        """Over several entries, in order, with commas between; and its numbers are true."""
        lane.append(b'{"n":1}', b'{"n":2}')
        lane.append(b'{"n":3}')
        holder = lane.acquire()
        batch = lane.take(holder)
        assert batch.body == b'{"batch":[{"n":1},{"n":2},{"n":3}]}'
        assert (batch.count, batch.depth, batch.resent) == (3, 3, False)
        assert batch.first_ms == batch.now_ms
        assert abs(batch.now_ms - lane.journal.now_ms()) < 60_000

    def test_many_entries_are_read_over_several_looks(self, lane: OneLane) -> None:
        """Redis is asked for few at first, then for more: none is missed, none comes twice."""
        bodies = numbers(400)
        for body in bodies:
            lane.append(body)
        assert bodies_of(lane.take(lane.acquire())) == bodies

    def test_the_looks_grow(self, lane: OneLane) -> None:
        """8, 16, ... 128 entries, not 8 each time, nor all at once."""
        for body in numbers(300):
            lane.append(body)
        holder = lane.acquire()
        lane.client.config_resetstat()
        batch = lane.take(holder, max_items=8)
        assert lane.client.info("commandstats")["cmdstat_xrange"]["calls"] == 1, "no more than is needed"
        lane.journal.unmark(holder, batch)
        lane.client.config_resetstat()
        lane.take(holder)
        looks = lane.client.info("commandstats")["cmdstat_xrange"]["calls"]
        assert looks == 7, "8 + 16 + 32 + 64 + 128 + 52, and one that finds nothing more"

    def test_taking_again_is_the_same_batch(self, lane: OneLane) -> None:
        """The same marker, the same time; told as sent before; nothing that came since."""
        lane.append(b"1", b"2")
        holder = lane.acquire()
        first = lane.take(holder)
        lane.append(b"3")
        again = lane.take(holder)
        assert bodies_of(again) == [b"1", b"2"]
        assert again.resent
        assert (again.marker, again.first_ms) == (first.marker, first.first_ms)
        assert again.depth == 3


class TestCuts:
    @pytest.mark.parametrize("packed", [True, False], ids=["one pack", "an entry each"])
    @pytest.mark.parametrize("more", [-1, 0, 1])
    def test_at_exactly_so_many_items(self, lane: OneLane, packed: bool, more: int) -> None:
        """One fewer, as many as there are, one more."""
        bodies = numbers(5)
        for pack in [bodies] if packed else [[body] for body in bodies]:
            lane.append(*pack)
        batch = lane.take(lane.acquire(), max_items=5 + more)
        assert bodies_of(batch) == bodies[: min(5, 5 + more)]

    @pytest.mark.parametrize("packed", [True, False], ids=["one pack", "an entry each"])
    @pytest.mark.parametrize(("more", "count"), [(-1, 2), (0, 3), (1, 3)])
    def test_at_exactly_so_many_bytes(self, lane: OneLane, packed: bool, more: int, count: int) -> None:
        """Three items of four bytes and their commas are 14 bytes: what is joined in the body of the request."""
        bodies = numbers(5)
        for pack in [bodies] if packed else [[body] for body in bodies]:
            lane.append(*pack)
        batch = lane.take(lane.acquire(), max_bytes=14 + more)
        assert bodies_of(batch) == bodies[:count]
        assert len(batch.body) - len(b'{"batch":[]}') <= 14 + more

    def test_a_whole_pack_that_fits_to_the_byte_is_taken_whole(self, lane: OneLane) -> None:
        """The second pack brings the batch to the limit, and one byte above it."""
        lane.append(*numbers(2))
        lane.append(*numbers(2, start=2))
        holder = lane.acquire()
        assert lane.take(holder, max_bytes=4 * 4 + 3).count == 4
        assert lane.take(holder, max_bytes=4 * 4 + 2).count == 3

    def test_a_batch_that_ends_with_its_entry_is_marked_to_there(self, lane: OneLane) -> None:
        """Not to the next one's beginning, which is the same place under another name: its settle ends the marker."""
        lane.append(*numbers(2))
        lane.append(*numbers(2, start=2))
        holder = lane.acquire()
        batch = lane.take(holder, max_bytes=4 * 2 + 3)
        [(entry, _), _] = lane.client.xrange(f"{lane.base}:stream")
        assert batch.marker == b"%d %s 2" % (batch.first_ms, entry)
        lane.journal.settle(holder, batch)
        assert lane.state("marker") is None

    def test_an_item_larger_than_the_limit_goes_alone(self, lane: OneLane) -> None:
        """Else it would never go."""
        lane.append(b"x" * 50, b"y")
        lane.append(b"z" * 50)
        holder = lane.acquire()
        for body in (b"x" * 50, b"y", b"z" * 50):
            batch = lane.take(holder, max_bytes=10)
            assert bodies_of(batch) == [body]
            lane.journal.settle(holder, batch)

    def test_a_cut_pack_goes_on_where_it_was_cut(self, lane: OneLane) -> None:
        """Batches of three of packs of five: each item once, in order, whatever the cut."""
        bodies = numbers(15)
        for at in range(0, 15, 5):
            lane.append(*bodies[at : at + 5])
        holder = lane.acquire()
        for at in range(0, 15, 3):
            batch = lane.take(holder, max_items=3)
            assert bodies_of(batch) == bodies[at : at + 3]
            assert batch.body == b'{"batch":[' + b",".join(bodies[at : at + 3]) + b"]}"
            assert batch.depth == 15 - at
            lane.journal.settle(holder, batch)
        assert lane.journal.release(holder)

    def test_a_marked_batch_is_cut_smaller_and_grows_back(self, lane: OneLane) -> None:
        """As far as the marker, never beyond it: the search asks prefixes of what may have been sent."""
        bodies = numbers(10)
        lane.append(*bodies[:6])
        lane.append(*bodies[6:])
        holder = lane.acquire()
        first = lane.take(holder, max_items=8)
        for most, count in [(1, 1), (4, 4), (7, 7), (8, 8), (9, 8), (100, 8)]:
            batch = lane.take(holder, max_items=most)
            assert bodies_of(batch) == bodies[:count]
            assert batch.marker == first.marker
            assert batch.resent

    def test_a_marker_at_the_end_of_an_entry_reads_nothing_behind_it(self, lane: OneLane) -> None:
        """The next entry is not looked at."""
        lane.append(b"1", b"2")
        holder = lane.acquire()
        lane.take(holder)
        lane.append(b"3")
        assert bodies_of(lane.take(holder)) == [b"1", b"2"]


class TestMarker:
    def test_it_says_how_far_and_since_when(self, lane: OneLane) -> None:
        """First attempt, entry and index behind the last item."""
        lane.append(*numbers(5))
        batch = lane.take(lane.acquire(), max_items=3)
        [(entry, _)] = lane.client.xrange(f"{lane.base}:stream")
        assert batch.marker == b"%d %s 3" % (batch.first_ms, entry)
        assert lane.state("marker") == batch.marker

    def test_a_successor_takes_the_same_prefix(self, lane: OneLane) -> None:
        """Exactly what the dead one may have sent."""
        lane.append(*numbers(4))
        dead = lane.acquire()
        first = lane.take(dead, max_items=2)
        lane.expire_lease(dead)
        batch = lane.take(lane.acquire())
        assert bodies_of(batch) == bodies_of(first)
        assert (batch.marker, batch.resent) == (first.marker, True)

    def test_it_is_another_once_items_have_moved_away(self, lane: OneLane) -> None:
        """A Redis that lost the move would have them back, before the settled ones."""
        lane.append_to(("a", b"1"), ("b", b"2"))
        holder = lane.acquire()
        batch = lane.take(holder)
        lane.client.zadd(f"{lane.base}:holds", {"a": 0})  # held by another worker meanwhile
        holder.held.add("a")
        after = lane.take(holder)
        assert bodies_of(after) == [b"2"]
        assert after.marker == batch.marker + b" 1" == lane.state("marker")
        with pytest.raises(MarkerChanged):
            lane.journal.settle(holder, batch)
        assert lane.take(holder).marker == after.marker, "nothing moved, nothing changed"


class TestVersions:
    def test_a_newer_entry_is_left_and_named_and_not_drained(self, lane: OneLane) -> None:
        """A rolling upgrade: a new producer, an old worker. What is before it goes, what is behind it waits."""
        lane.append(b"1")
        lane.client.xadd(f"{lane.base}:stream", {"v": "2", "anything": "else"})
        lane.client.hincrby(f"{lane.base}:state", "depth", 1)
        lane.append(b"3")
        holder = lane.acquire()
        taken = lane.taken(holder)
        assert bodies_of(taken.batch) == [b"1"]
        assert taken.unknown_version is None
        lane.journal.settle(holder, taken.batch)
        for _ in range(2):
            taken = lane.taken(holder)
            assert (taken.batch, taken.unknown_version) == (None, "2")
            assert abs(taken.now_ms - lane.journal.now_ms()) < 60_000
        assert lane.state("marker") is None
        assert [entry[b"v"] for entry in lane.entries()] == [b"2", b"1"]
        assert not lane.journal.release(holder), "the lane is not empty"
        lane.journal.hand_over(holder)
        assert len(lane.entries()) == 2
        assert lane.state("depth") == b"2"

    def test_a_newer_entry_behind_a_marked_batch_is_not_met(self, lane: OneLane) -> None:
        """What may have been sent goes first, as ever."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.take(holder)
        lane.client.xadd(f"{lane.base}:stream", {"v": "2"})
        taken = lane.taken(holder)
        assert bodies_of(taken.batch) == [b"1"]
        assert taken.unknown_version is None

    @pytest.mark.parametrize(
        "state",
        [
            {"marker": "in another way"},
            {"head": "x"},
            {"marker": "7 9999999999999-0 1"},
            {"marker": "9" * 15 + " 1-1 1"},
        ],
    )
    def test_place_before_a_newer_entry_is_a_newer_release_s(self, lane: OneLane, state: dict[str, str]) -> None:
        """It says what has been sent: forgotten here, that would be sent as if for the first time."""
        lane.client.xadd(f"{lane.base}:stream", {"v": "2"})
        lane.client.hset(f"{lane.base}:state", mapping=state)
        holder = lane.acquire()
        taken = lane.taken(holder)
        assert (taken.batch, taken.unknown_version) == (None, "2")
        assert {name: lane.state(name) for name in state} == {name: value.encode() for name, value in state.items()}
        assert not lane.client.exists(f"{lane.base}:counts")


class TestExpiry:
    def test_what_has_expired_is_dropped_and_counted(self, lane: OneLane) -> None:
        """Never sent, in the middle of a pack and beside others; what will expire goes."""
        lane.producer.append([Item("c", b"1"), Item("c", b"2", PAST), Item("c", b"3", FUTURE)])
        holder = lane.acquire()
        batch = lane.take(holder)
        assert bodies_of(batch) == [b"1", b"3"]
        assert batch.body == b'{"batch":[1,3]}'
        assert lane.now.counts == {"expired": 1}
        assert lane.state("depth") == b"2"
        assert lane.now.dead == ()
        lane.journal.settle(holder, batch)
        assert lane.journal.release(holder)
        assert not lane.client.exists(f"{lane.base}:gone"), "nothing is left of what has left"

    def test_only_expired_items_move_the_head_without_a_request(self, lane: OneLane) -> None:
        """The lane is empty afterwards, and its depth is 0."""
        lane.append(b"1", b"2", expires_ms=PAST)
        lane.append(b"3", expires_ms=PAST)
        holder = lane.acquire()
        assert lane.taken(holder).batch is None
        assert lane.journal.release(holder)
        assert lane.now.counts == {"expired": 3}
        assert lane.state("depth") == b"0"
        assert not lane.client.exists(f"{lane.base}:gone")

    def test_expired_items_become_dead_letters_where_that_is_wanted(self, make_lane) -> None:
        """Unchanged, never attempted, with their expiry."""
        lane = make_lane(on_expired="dead")
        lane.producer.append([Item("d", b"11", PAST), Item("c", b"2"), Item("e", b"33", PAST + 1)])
        assert bodies_of(lane.take(lane.acquire())) == [b"2"]
        first, second = lane.dead.oldest(10)
        assert (first.channel, first.item, first.expires_ms) == ("d", b"11", PAST)
        assert (second.channel, second.item, second.expires_ms) == ("e", b"33", PAST + 1)
        assert (first.reason, first.message, first.attempts, first.first_ms) == ("expired", "", 0, 0)
        assert not first.maybe_delivered
        assert lane.now.counts == {"expired": 2}

    def test_what_is_marked_does_not_expire(self, lane: OneLane) -> None:
        """It may have been delivered: what becomes of it is decided elsewhere."""
        seconds, _ = lane.client.time()
        lane.append(b"1", expires_ms=seconds * 1000 + 100_000)
        lane.append(b"2", expires_ms=FUTURE)
        holder = lane.acquire()
        batch = lane.take(holder)
        [(entry, fields), _] = lane.client.xrange(f"{lane.base}:stream")
        # The time comes while it is marked: as if it had been that short from the beginning.
        lane.client.delete(f"{lane.base}:stream")
        meta = fields[b"m"].replace(str(seconds * 1000 + 100_000).encode(), b"1")
        lane.client.xadd(f"{lane.base}:stream", {**fields, b"x": b"1", b"m": meta}, id=entry)
        lane.client.xadd(
            f"{lane.base}:stream",
            {"v": 1, "n": 1, "x": 0, "m": '{"n":[1],"c":["c"]}', "b": "2"},
            id=batch.packs[-1].entry_id,
        )
        assert bodies_of(lane.take(holder)) == [b"1", b"2"]
        assert lane.now.counts == {}

    def test_the_time_itself_is_too_late(self, lane: OneLane) -> None:
        """An expiry in the past, though it is only a moment; one that is a minute away is not."""
        now_ms = lane.journal.now_ms()
        lane.append(b"1", expires_ms=now_ms)
        lane.append(b"2", expires_ms=now_ms + 60_000)
        assert bodies_of(lane.take(lane.acquire())) == [b"2"]


class TestKeyedPacks:
    def test_a_pack_that_the_script_made_is_taken_like_any(self, lane: OneLane) -> None:
        """append_once writes the meta itself; cuts, expiry and holds read it."""
        items = [Item("a", b"1"), Item("b", b"22", PAST), Item("c", b"333", FUTURE), Item("a", b"4444")]
        lane.producer.append([KeyedItem(item, f"k{n}", "f") for n, item in enumerate(items)])
        holder = lane.acquire()
        assert bodies_of(lane.take(holder, max_items=2)) == [b"1", b"333"]
        lane.journal.hold(holder, lane.take(holder), retry_in_s=0)
        batch = lane.take(holder)
        assert bodies_of(batch) == [b"333"]
        lane.journal.settle(holder, batch)
        assert lane.taken(holder).batch is None
        assert lane.now.holds["a"].bodies == [b"1", b"4444"]


def test_lost_state_is_rebuilt_as_far_as_it_can_be(lane: OneLane, client: redis.Redis) -> None:
    """A failover that lost the lane's hash: everything waits still, nothing says that it was sent."""
    lane.append(*numbers(3))
    holder = lane.acquire()
    lane.take(holder)
    client.delete(f"{lane.base}:state")
    batch = lane.take(holder)
    assert (batch.count, batch.resent, batch.depth) == (3, False, 0)
    lane.journal.settle(holder, batch)
    assert lane.state("depth") == b"0", "an empty lane's depth is nothing, whatever was lost"

"""Quarantine, mend and fail, line by line: who may call them, what they leave, what they count."""

from __future__ import annotations

import pytest

from sockudo_publisher.journal.lease import TTL_MS, LeaseLost
from tests.integration.journal.one_lane import OneLane, bodies_of

pytestmark = pytest.mark.integration

BAD = {"v": "1", "n": "?"}


def entry_ids(lane: OneLane) -> list[bytes]:
    return [entry for entry, _ in lane.client.xrange(f"{lane.base}:stream")]


def spoil_head(lane: OneLane) -> None:
    """The first entry loses its count, under the same id."""
    stream = f"{lane.base}:stream"
    entries = lane.client.xrange(stream)
    lane.client.delete(stream)
    for index, (entry, fields) in enumerate(entries):
        kept = {name: value for name, value in fields.items() if index or name != b"n"}
        lane.client.xadd(stream, kept, id=entry)


class TestQuarantine:
    def test_a_zombie_moves_nothing(self, lane: OneLane) -> None:
        """Its successor may have delivered what it names."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.expire_lease(holder)
        before = lane.everything()
        with pytest.raises(LeaseLost):
            lane.journal.quarantine(holder, entry_ids(lane)[0])
        assert lane.everything() == before

    def test_it_keeps_the_lease(self, lane: OneLane) -> None:
        """As every script of a holder does."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.client.pexpire(holder.keys.lease, 1000)
        lane.journal.quarantine(holder, entry_ids(lane)[0])
        assert TTL_MS - 1000 < lane.client.pttl(holder.keys.lease) <= TTL_MS

    def test_an_entry_that_is_gone_is_passed_over(self, lane: OneLane) -> None:
        """Redis may have lost it meanwhile."""
        lane.append(b"1")
        lane.journal.quarantine(lane.acquire(), b"1-1")
        assert lane.bodies == [b"1"]
        assert lane.now.counts == {}

    def test_what_had_left_of_it_is_told(self, lane: OneLane) -> None:
        """And the next entry begins at its own start."""
        lane.append(b"1", b"2", b"3")
        lane.append(b"4", b"5")
        holder = lane.acquire()
        lane.journal.settle(holder, lane.take(holder, max_items=2))
        spoil_head(lane)
        assert bodies_of(lane.take(holder)) == [b"4", b"5"]
        [letter] = lane.dead.oldest(10)
        assert letter.message == "the entry cannot be read; its first 2 items had left"
        assert not letter.maybe_delivered
        assert lane.state("head") is None

    def test_head_in_another_entry_stays(self, lane: OneLane) -> None:
        """What has left of that one is no matter of this one's letter."""
        lane.append(b"1", b"2")
        lane.append(b"3")
        holder = lane.acquire()
        lane.journal.settle(holder, lane.take(holder, max_items=1))
        lane.journal.quarantine(holder, entry_ids(lane)[1])
        assert lane.state("head") == b"1"
        assert lane.bodies == [b"2"]
        assert lane.state("depth") == b"1"
        [letter] = lane.dead.oldest(10)
        assert letter.message == "the entry cannot be read"

    def test_depth_goes_down_by_what_was_left(self, lane: OneLane) -> None:
        """Where the count can be read: without the items that had been settled or held."""
        lane.append_to(("c", b"1"), ("d", b"2"), ("c", b"3"), ("d", b"4"))
        lane.append(b"5")
        holder = lane.acquire()
        lane.journal.settle(holder, lane.take(holder, max_items=1))
        lane.hold_first(holder, retry_in_s=1000)  # of d
        assert bodies_of(lane.take(holder)) == [b"3", b"5"]
        assert lane.state("depth") == b"2"
        [first, _] = entry_ids(lane)
        lane.journal.quarantine(holder, first)
        assert lane.state("depth") == b"1"
        assert not lane.client.exists(f"{lane.base}:gone")
        assert lane.now.holds["d"].bodies == [b"2", b"4"]
        assert lane.bodies == [b"5"]

    @pytest.mark.parametrize(("is_readable", "depth"), [(True, b"2"), (False, b"3")])
    def test_what_left_another_entry_stays_so(self, lane: OneLane, is_readable: bool, depth: bytes) -> None:
        """It would be delivered twice. Of an unknown count the depth takes nothing away, and adds nothing."""
        lane.append_to(("c", b"1"), ("d", b"2"), ("c", b"3"), ("d", b"4"))
        lane.append_to(("c", b"5"), ("d", b"6"), ("c", b"7"))
        holder = lane.acquire()
        lane.journal.settle(holder, lane.take(holder, max_items=1))
        lane.hold_first(holder, retry_in_s=1000)  # of d
        assert bodies_of(lane.take(holder)) == [b"3", b"5", b"7"]
        assert lane.state("depth") == b"3"
        [first, second] = entry_ids(lane)
        if not is_readable:
            spoil_head(lane)
        lane.journal.quarantine(holder, first)
        assert lane.client.hkeys(f"{lane.base}:gone") == [second + b":1"]
        assert lane.bodies == [b"5", b"7"]
        assert lane.state("depth") == depth

    def test_marker_ends_before_it(self, lane: OneLane) -> None:
        """With the entry before; inside, it ends where it did, under another text."""
        for body in (b"1", b"2", b"3", b"4"):
            lane.append(body)
        holder = lane.acquire()
        marked = lane.take(holder, max_items=3)
        ids = entry_ids(lane)
        lane.journal.quarantine(holder, ids[1])
        assert lane.state("marker") == b"%d %s 1 1" % (marked.first_ms, ids[2])
        lane.journal.quarantine(holder, ids[2])
        assert lane.state("marker") == b"%d %s 1 1" % (marked.first_ms, ids[0])
        lane.journal.quarantine(holder, ids[3])
        assert lane.state("marker") == b"%d %s 1 1" % (marked.first_ms, ids[0]), "it was not marked"
        letters = lane.dead.oldest(10)
        assert [letter.maybe_delivered for letter in letters] == [True, True, False]
        assert [letter.first_ms for letter in letters] == [marked.first_ms, marked.first_ms, 0]
        lane.journal.quarantine(holder, ids[0])
        assert lane.state("marker") is None
        assert (lane.state("depth"), lane.now.counts) == (b"0", {"unreadable": 4})

    def test_a_hold_ends_with_its_last_entry(self, lane: OneLane) -> None:
        """And the letter says whose it was, and that it was sent."""
        lane.append(b"1", channel="d")
        holder = lane.acquire()
        lane.hold_first(holder)
        assert lane.journal.release(holder)
        own = lane.acquire("d")
        stream = f"{lane.hold_base('d')}:stream"
        [(entry, fields)] = lane.client.xrange(stream)
        lane.journal.quarantine(own, entry)
        [letter] = lane.dead.oldest(10)
        assert (letter.channel, letter.maybe_delivered, letter.first_ms) == ("d", True, int(fields[b"t"]))
        assert not lane.client.exists(stream, f"{lane.hold_base('d')}:state")
        assert lane.now.holds == {}


class TestMend:
    @pytest.mark.parametrize("marker", [None, b"x"])
    def test_a_zombie_mends_nothing(self, lane: OneLane, marker: bytes | None) -> None:
        """Its successor has marked anew."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.client.hset(f"{lane.base}:state", mapping={"marker": b"x", **({"head": b"x"} if marker else {})})
        lane.expire_lease(holder)
        before = lane.everything()
        with pytest.raises(LeaseLost):
            lane.journal._repair(holder, b"state")
        assert lane.everything() == before

    def test_it_keeps_the_lease_and_counts(self, lane: OneLane) -> None:
        """Once."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.client.hset(f"{lane.base}:state", "marker", "x")
        lane.client.pexpire(holder.keys.lease, 1000)
        lane.journal._repair(holder, b"state")
        assert TTL_MS - 1000 < lane.client.pttl(holder.keys.lease) <= TTL_MS
        assert lane.now.counts == {"unreadable_state": 1}

    def test_marker_covers_whole_entries_of_one_batch(self, lane: OneLane) -> None:
        """More than eight, up to the batch's bound; at a time unknown."""
        lane.journal._batch_max_events = 11
        for n in range(20):
            lane.append(b"a%d" % n)
        holder = lane.acquire()
        lane.client.hset(f"{lane.base}:state", "marker", "x")
        batch = lane.take(holder)
        assert (batch.count, batch.first_ms, batch.resent) == (11, 0, True)
        assert lane.state("marker") == b"0 %s 1 1" % entry_ids(lane)[10]

    def test_end_of_a_marker_that_is_an_entry_stays(self, lane: OneLane) -> None:
        """Only the head is wrong: nothing behind the marker was sent."""
        for n in range(4):
            lane.append(b"a%d" % n)
        holder = lane.acquire()
        lane.take(holder, max_items=2)
        lane.client.hset(f"{lane.base}:state", "head", "x")
        batch = lane.take(holder)
        assert (batch.count, batch.first_ms) == (2, 0)
        assert lane.state("head") is None

    def test_time_of_a_marker_whose_end_is_none_stays(self, lane: OneLane) -> None:
        """It says since when; up to where it cannot say."""
        lane.append(b"1", b"2")
        holder = lane.acquire()
        first_ms = lane.journal.now_ms() - 5000
        lane.client.hset(f"{lane.base}:state", mapping={"marker": b"%d 9999999999999-0 1" % first_ms, "head": 1})
        batch = lane.take(holder)
        assert (bodies_of(batch), batch.first_ms) == ([b"2"], first_ms)
        assert lane.state("head") == b"1"

    def test_end_of_a_marker_in_other_digits_is_none(self, lane: OneLane) -> None:
        """Redis would find the entry; no script writes it so."""
        lane.journal._batch_max_events = 2
        for n in range(5):
            lane.append(b"a%d" % n)
        holder = lane.acquire()
        lane.client.hset(f"{lane.base}:state", "marker", b"7 0%s 1" % entry_ids(lane)[4])
        assert lane.take(holder).count == 2

    def test_marker_ends_before_an_entry_of_a_newer_release(self, lane: OneLane) -> None:
        """This release has sent neither that one nor what comes after it."""
        lane.append(b"1")
        lane.client.xadd(f"{lane.base}:stream", {"v": "2", "w": "?"})
        lane.append(b"2")
        holder = lane.acquire()
        lane.client.hset(f"{lane.base}:state", "marker", "x")
        assert bodies_of(lane.take(holder)) == [b"1"]
        assert lane.state("marker") == b"0 %s 1 1" % entry_ids(lane)[0]

    def test_in_an_empty_lane_nothing_is_left(self, lane: OneLane) -> None:
        """Neither head nor marker."""
        holder = lane.acquire()
        lane.client.hset(f"{lane.base}:state", mapping={"marker": "x", "head": "x"})
        assert lane.taken(holder).batch is None
        assert (lane.state("marker"), lane.state("head")) == (None, None)


class TestFail:
    def test_a_hold_that_is_over_fails_no_more(self, lane: OneLane) -> None:
        """Its state would stay behind for ever."""
        lane.journal.record_failure(0, "c", ValueError())
        assert not lane.client.exists(f"{lane.hold_base('c')}:state")
        assert lane.now.counts == {}

    def test_a_failing_hold_is_due_later(self, lane: OneLane) -> None:
        """Twice as late each time; the lane itself does not rest."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.hold_first(holder)
        assert lane.journal.release(holder)
        for rest_s in (2, 4, 8):
            lane.journal.record_failure(0, "c", ValueError())
            due = lane.client.zscore(f"{lane.base}:holds", "c")
            assert due is not None
            assert abs(due - lane.journal.now_ms() - rest_s * 1000) < 1500
        assert lane.client.hget(f"{lane.hold_base('c')}:state", "failures") == b"3"
        assert lane.state("failures") is None
        assert lane.now.counts["drain_failed"] == 3

    def test_first_failure_says_since_when(self, lane: OneLane) -> None:
        """Those that follow in a row keep it."""
        lane.journal.record_failure(0, None, ValueError())
        since = lane.state("failing_since")
        assert since is not None
        assert abs(int(since) - lane.journal.now_ms()) < 1500
        lane.client.hset(f"{lane.base}:state", "failing_since", "7")
        lane.journal.record_failure(0, None, ValueError())
        assert (lane.state("failures"), lane.state("failing_since")) == (b"2", b"7")

    def test_lane_rests_whatever_its_list_of_holds_is(self, lane: OneLane) -> None:
        """A key of another type is what may have made the drain fail."""
        lane.client.set(f"{lane.base}:holds", "x")
        lane.journal.record_failure(0, None, ValueError())
        assert lane.state("failures") == b"1"
        assert lane.client.hgetall(f"{lane.base}:counts") == {b"drain_failed": b"1"}

    @pytest.mark.parametrize("value", [b"x", b"-1", b"nan", b"1e300"])
    def test_failures_that_are_no_number_begin_anew(self, lane: OneLane, value: bytes) -> None:
        """And since when it fails is kept."""
        lane.client.hset(f"{lane.base}:state", mapping={"failures": value, "failing_since": "7"})
        lane.journal.record_failure(0, None, ValueError())
        assert (lane.state("failures"), lane.state("failing_since")) == (b"1", b"7")


def test_entry_number_beyond_a_double_leaves_alone(lane: OneLane) -> None:
    """It goes, and the entry with the next number stays."""
    lane.append(b"1")
    lane.append(b"2")
    stream = f"{lane.base}:stream"
    entries = lane.client.xrange(stream)
    lane.client.delete(stream)
    for number, (_, fields) in enumerate(entries, 2**53):
        lane.client.xadd(stream, fields, id=f"7-{number}")
    holder = lane.acquire()
    lane.journal.settle(holder, lane.take(holder, max_items=1))
    assert entry_ids(lane) == [b"7-%d" % (2**53 + 1)]
    assert lane.bodies == [b"2"]

"""What a take moves behind a held channel, and takes of its queue, line by line."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.journal.holder import MarkerChanged
from sockudo_publisher.journal.pack import MAX_ITEMS, Item
from tests.integration.journal.one_lane import FUTURE, PAST, OneLane, bodies_of, count_takes, numbers

pytestmark = pytest.mark.integration


class TestHeldChannels:
    def test_items_of_a_held_channel_move_behind_it(self, lane: OneLane) -> None:
        """With their expiries, in order; the other channels go on; depths are true."""
        lane.producer.append([Item("a", b"1"), Item("b", b"2"), Item("a", b"3", FUTURE), Item("b", b"4")])
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.append_to(("a", b"5"), ("b", b"6"))
        # Items 2 to 4 were on the marker with the stuck one: they keep their time.
        batch = lane.take(holder)
        assert bodies_of(batch) == [b"2", b"4"]
        lane.journal.settle(holder, batch)
        assert bodies_of(lane.take(holder)) == [b"6"]
        held = lane.now.holds["a"]
        assert [(one.body, one.expires_ms) for one in held.items] == [(b"1", 0), (b"3", FUTURE), (b"5", 0)]
        assert [one.clock is not None for one in held.items] == [True, True, False]
        metas = [json.loads(fields[b"m"]) for _, fields in lane.client.xrange(f"{lane.hold_base('a')}:stream")]
        assert [meta.get("x") for meta in metas] == [[0], [FUTURE], None]
        assert held.depth == 3
        assert lane.state("depth") == b"1"

    def test_the_clock_of_a_moved_item_is_its_batch_s(self, lane: OneLane) -> None:
        """Since when it may have been sent, not since when it was moved."""
        lane.append_to(("a", b"1"), ("a", b"2"))
        holder = lane.acquire()
        first_ms = lane.take(holder).first_ms
        lane.hold_first(holder)
        assert lane.taken(holder).batch is None
        clocks = [one.clock for one in lane.now.holds["a"].items]
        assert clocks == [str(first_ms)] * 2

    def test_only_held_items_move_the_head_and_end_the_marker(self, lane: OneLane) -> None:
        """The lane is empty and rests; its hold is drained on its own."""
        lane.append_to(("a", b"1"), ("a", b"2"), ("a", b"3"))
        holder = lane.acquire()
        lane.hold_first(holder)
        assert lane.taken(holder).batch is None
        assert lane.state("marker") is None
        assert lane.journal.release(holder)
        assert lane.now.holds["a"].bodies == [b"1", b"2", b"3"]
        assert not lane.client.exists(f"{lane.base}:gone")

    def test_a_marked_rest_that_all_moves_away_ends_its_marker(self, lane: OneLane) -> None:
        """And new items behind it are a new batch, with a new time."""
        lane.append_to(("a", b"1"), ("a", b"2"))
        holder = lane.acquire()
        first = lane.take(holder)
        lane.journal.hold(holder, first, retry_in_s=0)
        lane.append_to(("b", b"3"))
        batch = lane.take(holder)
        assert bodies_of(batch) == [b"3"]
        assert not batch.resent
        assert batch.marker != first.marker

    def test_a_hold_that_has_ended_holds_no_more(self, lane: OneLane) -> None:
        """The holder may still have it in its list."""
        lane.append_to(("a", b"1"))
        holder = lane.acquire()
        lane.hold_first(holder)
        assert lane.drain("a") == [b"1"]
        lane.append_to(("a", b"2"))
        assert "a" in holder.held
        assert bodies_of(lane.take(holder)) == [b"2"]
        assert lane.now.holds == {}

    def test_several_held_channels_each_have_their_own(self, lane: OneLane) -> None:
        """Items go to their own channel's queue, whatever the order of the list."""
        channels = ["d", "a", "c", "b"]
        lane.append_to(*[(name, name.encode() + b"1") for name in channels])
        holder = lane.acquire()
        for _ in channels:
            lane.hold_first(holder)
        lane.append_to(*[(name, name.encode() + b"2") for name in reversed(channels)], ("e", b"e"))
        assert bodies_of(lane.take(holder)) == [b"e"]
        assert {name: hold.bodies for name, hold in lane.now.holds.items()} == {
            name: [name.encode() + b"1", name.encode() + b"2"] for name in channels
        }

    def test_a_thousand_moves_a_call(self, lane: OneLane) -> None:
        """Redis is not kept longer than that; the next call goes on."""
        lane.append_to(("a", b"first"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.append_to(*[("a", body) for body in numbers(1500)], ("b", b"last"))
        calls = count_takes(lane)
        assert bodies_of(lane.take(holder)) == [b"last"]
        assert len(calls) == 2
        assert lane.now.holds["a"].bodies == [b"first", *numbers(1500)]

    @pytest.mark.parametrize("count", [1000, 1500])
    def test_a_marker_outlives_a_call_that_moved_only(self, lane: OneLane, count: int) -> None:
        """What is behind the thousand may have been sent as well; and the marker tells that items of it have left."""
        lane.append_to(*[("a", body) for body in numbers(count)], ("b", b"last"))
        holder = lane.acquire()
        first = lane.take(holder, max_items=5000)
        lane.client.zadd(f"{lane.base}:holds", {"a": 0})
        holder.held.add("a")
        batch = lane.take(holder, max_items=5000)
        assert (bodies_of(batch), batch.resent, batch.first_ms) == ([b"last"], True, first.first_ms)
        assert batch.marker == first.marker + b" %d" % (1 if count == 1000 else 2)
        assert len({one.clock for one in lane.now.holds["a"].items}) == 1
        lane.journal.settle(holder, batch)
        assert lane.state("marker") is None

    def test_a_thousand_moves_that_redis_loses_are_not_settled_past(self, lane: OneLane) -> None:
        """It has the items again, before the batch that was taken behind them: settling that would trim them."""
        lane.append_to(*[("a", body) for body in numbers(1000)], ("b", b"last"))
        holder = lane.acquire()
        lane.take(holder, max_items=5000)
        lane.client.zadd(f"{lane.base}:holds", {"a": 0})
        holder.held.add("a")
        kept = lane.everything()
        batch = lane.take(holder, max_items=5000)
        lane.client.delete(*lane.client.scan_iter())
        for key, value in kept.items():
            lane.client.restore(key, 0, value)
        with pytest.raises(MarkerChanged):
            lane.journal.settle(holder, batch)
        assert lane.bodies == [*numbers(1000), b"last"]

    def test_five_thousand_looks_a_call(self, lane: OneLane) -> None:
        """Items that left before the head are passed over, in bounded steps too."""
        packs = [numbers(MAX_ITEMS, size=6, start=at) for at in range(0, 6000, MAX_ITEMS)]
        for bodies in packs:
            lane.append(*bodies)
        entries = [entry.decode() for entry, _ in lane.client.xrange(f"{lane.base}:stream")]
        gone = {f"{entry}:{index}": "1" for entry in entries for index in range(MAX_ITEMS)}
        lane.client.hset(f"{lane.base}:gone", mapping=gone)
        lane.client.hset(f"{lane.base}:state", "depth", 0)
        lane.append(b"last")
        holder = lane.acquire()
        calls = count_takes(lane)
        assert bodies_of(lane.take(holder)) == [b"last"]
        assert len(calls) == 2

    def test_a_moved_item_is_not_moved_again(self, lane: OneLane) -> None:
        """It stays in its entry until the head passes, and is passed over."""
        lane.append_to(("b", b"0"), ("a", b"1"), ("b", b"2"), ("a", b"3"))
        holder = lane.acquire()
        first = lane.take(holder)
        lane.journal.settle(holder, first.head(1))
        lane.hold_first(holder)
        for _ in range(3):
            assert bodies_of(lane.take(holder)) == [b"2"]
        assert lane.now.holds["a"].bodies == [b"1", b"3"]

    def test_a_held_queue_s_own_items_are_taken(self, lane: OneLane) -> None:
        """With the time of their first attempt; what was never sent, apart from it."""
        lane.append_to(("a", b"1"), ("a", b"2"))
        holder = lane.acquire()
        first_ms = lane.take(holder, max_items=1).first_ms
        lane.hold_first(holder)
        lane.append_to(("a", b"3"))
        lane.taken(holder)
        own = lane.acquire("a")
        batch = lane.take(own)
        assert (bodies_of(batch), batch.first_ms, batch.resent) == ([b"1"], first_ms, True)
        lane.journal.settle(own, batch)
        batch = lane.take(own)
        assert (bodies_of(batch), batch.resent) == ([b"2", b"3"], False)
        assert batch.first_ms == batch.now_ms

    def test_what_waited_behind_a_hold_may_expire(self, lane: OneLane) -> None:
        """The stuck one may not: it may have been delivered."""
        lane.append_to(("a", b"1"))
        holder = lane.acquire()
        lane.hold_first(holder)
        hold = f"{lane.hold_base('a')}:stream"
        [(_, fields)] = lane.client.xrange(hold)
        lane.client.delete(hold)
        stuck = {**fields, b"x": b"1", b"m": b'{"n":[1],"c":["a"],"x":[1]}'}
        lane.client.xadd(hold, stuck)
        lane.append(b"2", channel="a", expires_ms=PAST)
        lane.append(b"3", channel="a")
        lane.taken(holder)
        own = lane.acquire("a")
        assert lane.now.counts.get("expired", 0) == 0, "moved as it is: it is the hold's to look at"
        batch = lane.take(own)
        assert bodies_of(batch) == [b"1"]
        lane.journal.settle(own, batch)
        assert bodies_of(lane.take(own)) == [b"3"]
        assert lane.now.counts["expired"] == 1

    def test_a_hold_whose_last_items_expire_is_over(self, lane: OneLane) -> None:
        """Without a request; nothing is left of it."""
        lane.append_to(("a", b"1"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.append(b"2", channel="a", expires_ms=PAST)
        lane.taken(holder)
        own = lane.acquire("a")
        lane.journal.settle(own, lane.take(own))
        assert lane.taken(own).batch is None
        assert lane.now.holds == {}
        lane.journal.release(own)
        assert not list(lane.client.scan_iter("*:hold:*"))

    def test_names_with_any_characters_are_found_in_the_meta(self, lane: OneLane) -> None:
        """What JSON escapes, and what is more than one byte."""
        name = '#server-to-user-"q\\{é}:%\u2028'
        lane.append_to((name, b"1"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.append_to((name, b"2"), ("b", b"3"))
        assert bodies_of(lane.take(holder)) == [b"3"]
        assert lane.now.holds[name].bodies == [b"1", b"2"]
        assert lane.journal.sweep([0])[1] == [(0, name)]
        assert lane.drain(name) == [b"1", b"2"]

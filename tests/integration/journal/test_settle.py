"""How items leave a queue: settled, buried, held, or put back as never sent; and what stays of them."""

from __future__ import annotations

import pytest

from sockudo_publisher.journal.holder import DeadLetterFields, Journal, MarkerChanged
from sockudo_publisher.journal.pack import Item
from tests.integration.journal.one_lane import FUTURE, OneLane, bodies_of

pytestmark = pytest.mark.integration


@pytest.fixture
def five(lane: OneLane) -> OneLane:
    """Two entries: items 1 to 3, 4 and 5."""
    lane.append(b"1", b"2", b"3")
    lane.append(b"4", b"5")
    return lane


class TestSettle:
    @pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
    def test_a_prefix_leaves(self, five: OneLane, count: int) -> None:
        """Whatever entry it ends in: the head moves, whole entries are deleted, depth and counter agree."""
        bodies = five.bodies
        holder = five.acquire()
        batch = five.take(holder)
        five.journal.settle(holder, batch.head(count))
        lane = five.now
        assert lane.queue.bodies == bodies[count:]
        assert lane.queue.depth == 5 - count
        assert lane.counts == {"settled": count}
        assert lane.queue.entries == (2 if count < 3 else 1 if count < 5 else 0)
        assert five.state("head") == {1: b"1", 2: b"2", 4: b"1"}.get(count)

    def test_what_came_late_is_counted_with_it(self, five: OneLane) -> None:
        """In the same step: a death behind it does not lose the count."""
        holder = five.acquire()
        five.journal.settle(holder, five.take(holder).head(2), late=True)
        taken = five.journal.settle_and_take(holder, five.take(holder), late=True, max_items=10, max_bytes=1000)
        assert taken.batch is None
        assert five.now.counts == {"settled": 5, "resent_after_window": 5}

    @pytest.mark.parametrize("count", [1, 2, 3, 4])
    def test_the_rest_stays_marked_with_its_time(self, five: OneLane, count: int) -> None:
        """It may have been sent with what was accepted; under a text of its own."""
        holder = five.acquire()
        batch = five.take(holder)
        five.journal.settle(holder, batch.head(count))
        five.append(b"6")
        rest = five.take(holder)
        assert bodies_of(rest) == [b"1", b"2", b"3", b"4", b"5"][count:]
        assert (rest.first_ms, rest.resent) == (batch.first_ms, True)
        assert rest.marker == batch.marker + b" 1"

    def test_moves_are_counted(self, five: OneLane) -> None:
        """Each time that something left, in decimal numbers."""
        holder = five.acquire()
        batch = five.take(holder)
        for moves in range(1, 5):
            five.journal.settle(holder, five.take(holder).head(1))
            assert five.state("marker") == batch.marker + b" %d" % moves

    def test_the_end_of_the_marked_ends_the_marker(self, five: OneLane) -> None:
        """What comes next was never sent."""
        holder = five.acquire()
        five.journal.settle(holder, five.take(holder, max_items=4))
        assert five.state("marker") is None
        assert not five.take(holder).resent

    def test_settle_and_take_are_one_round_trip(self, five: OneLane) -> None:
        """And the take sees what the settle left."""
        holder = five.acquire()
        batch = five.take(holder, max_items=2)
        sent: list[int] = []
        run = five.journal.link.run
        five.journal.link.run = lambda *args, **options: sent.append(1) or run(*args, **options)
        taken = five.journal.settle_and_take(holder, batch, max_items=2, max_bytes=1000)
        assert len(sent) == 1
        assert bodies_of(taken.batch) == [b"3", b"4"]
        assert taken.batch.depth == 3

    @pytest.mark.parametrize("how", ["lost", "another", "grown", "shorter"])
    @pytest.mark.parametrize("what", ["settle", "settle and take", "hold", "bury", "unmark"])
    def test_without_exactly_its_marker_nothing_leaves(self, five: OneLane, what: str, how: str) -> None:
        """A failover lost it, or what came after it: nothing is deleted, and the holder takes again."""
        holder = five.acquire()
        batch = five.take(holder, max_items=2)
        match how:
            case "lost":
                five.client.hdel(f"{five.base}:state", "marker")
            case "another":
                five.client.hset(f"{five.base}:state", "marker", batch.marker.replace(b" 2", b" 3"))
            case "grown":
                five.client.hset(f"{five.base}:state", "marker", batch.marker + b" 1")
            case "shorter":
                five.client.hset(f"{five.base}:state", "marker", batch.marker[:-1] + b"1")
        before = five.everything()
        calls = {
            "settle": lambda: five.journal.settle(holder, batch),
            "hold": lambda: five.journal.hold(holder, batch, retry_in_s=0),
            "bury": lambda: five.journal.bury(holder, batch, DeadLetterFields("refused")),
            "unmark": lambda: five.journal.unmark(holder, batch),
            "settle and take": lambda: five.journal.settle_and_take(holder, batch, max_items=2, max_bytes=1000),
        }
        with pytest.raises(MarkerChanged):
            calls[what]()
        assert not holder.lease.lost
        if what == "settle and take":  # the take has marked again what it found
            assert five.bodies == [b"1", b"2", b"3", b"4", b"5"]
            assert five.now.counts == {}
        else:
            assert five.everything() == before

    def test_a_held_queue_settles_as_its_own(self, lane: OneLane) -> None:
        """Its depth, its marker; the lane's counter. Its last item ends the hold and leaves nothing."""
        lane.append_to(("a", b"1"), ("b", b"x"))
        holder = lane.acquire()
        lane.hold_first(holder)
        lane.append_to(("a", b"2"))
        lane.journal.settle(holder, lane.take(holder))
        assert lane.taken(holder).batch is None
        lane.append(b"3")
        own = lane.acquire("a")
        lane.journal.settle(own, lane.take(own, max_items=1))
        assert lane.now.holds["a"].depth == 1
        assert lane.now.counts == {"settled": 2, "stuck": 1}
        lane.journal.settle(own, lane.take(own))
        assert lane.now.holds == {}
        assert lane.state("depth") == b"1", "the lane's own"
        assert lane.journal.release(own)
        assert not list(lane.client.scan_iter("*:hold:*"))

    def test_items_gone_behind_the_head_are_forgotten_when_it_passes(self, lane: OneLane) -> None:
        """By entry and by index, as numbers: entry 5-10 comes behind 5-9, index 10 behind 9."""
        for entry in ("5-9", "5-10", "10-0"):
            lengths, channels = ",".join("1" * 12), ",".join(['"c"'] * 12)
            meta, body = f'{{"n":[{lengths}],"c":[{channels}]}}', ",".join("abcdefghijkl")
            lane.client.xadd(f"{lane.base}:stream", {"v": 1, "n": 12, "x": 0, "m": meta, "b": body}, id=entry)
        gone = ["5-9:0", "5-9:2", "5-9:10", "5-10:0", "5-10:11", "10-0:0", "10-0:1"]
        lane.client.hset(f"{lane.base}:gone", mapping=dict.fromkeys(gone, "1"))
        lane.client.hset(f"{lane.base}:state", mapping={"depth": 29, "armed": 1})
        holder = lane.acquire()
        left: list[set[str]] = []
        for count in (8, 1, 10, 9, 1):  # to the index 10, 11, the end of the second entry but two, its end, one more
            lane.journal.settle(holder, lane.take(holder, max_items=count))
            left.append({name.decode() for name in lane.client.hkeys(f"{lane.base}:gone")})
        assert left[0] == {"5-9:10", "5-10:0", "5-10:11", "10-0:0", "10-0:1"}
        assert left[1] == {"5-10:0", "5-10:11", "10-0:0", "10-0:1"}
        assert left[2] == {"5-10:11", "10-0:0", "10-0:1"}
        assert left[3] == set()
        assert lane.state("depth") == b"0"


class TestBury:
    LETTER = DeadLetterFields("refused", "the server's words", 3, 17, maybe_delivered=True)

    def test_the_first_item_becomes_a_dead_letter(self, lane: OneLane) -> None:
        """Unchanged, with its reason; its neighbours stay, marked as they were."""
        lane.producer.append([Item("a", b"11", FUTURE), Item("b", b"2")])
        holder = lane.acquire()
        batch = lane.take(holder)
        lane.journal.bury(holder, batch, self.LETTER)
        [letter] = lane.dead.oldest(10)
        assert (letter.channel, letter.item, letter.expires_ms) == ("a", b"11", FUTURE)
        assert (letter.reason, letter.message, letter.attempts) == ("refused", "the server's words", 3)
        assert (letter.first_ms, letter.maybe_delivered, letter.lane) == (17, True, 0)
        assert abs(letter.dead_ms - lane.journal.now_ms()) < 60_000
        assert lane.now.counts == {"refused": 1}
        assert lane.state("depth") == b"1"
        rest = lane.take(holder)
        assert (bodies_of(rest), rest.resent, rest.marker) == ([b"2"], True, batch.marker + b" 1")

    def test_one_may_only_be_counted(self, lane: OneLane) -> None:
        """An uncertain one past its expiry."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("expired_uncertain"), keep=False)
        assert lane.dead.oldest(10) == []
        assert lane.now.counts == {"expired_uncertain": 1}
        assert lane.journal.release(holder), "the lane is empty"
        assert lane.state("marker") is None

    def test_an_empty_lane_s_depth_is_nothing(self, lane: OneLane) -> None:
        """Whatever a failover made of it."""
        lane.append(b"1")
        lane.client.hset(f"{lane.base}:state", "depth", 7)
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), self.LETTER)
        assert lane.state("depth") == b"0"

    def test_the_server_s_words_are_bounded(self, lane: OneLane) -> None:
        """A page of HTML is no reason."""
        lane.append(b"1")
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused", "x" * 5000))
        assert len(lane.dead.oldest(1)[0].message) == 1000

    def test_what_is_gone_before_the_head_is_forgotten(self, lane: OneLane) -> None:
        """An item that expired before the buried one."""
        lane.producer.append([Item("c", b"1", 1), Item("c", b"2"), Item("c", b"3")])
        holder = lane.acquire()
        lane.journal.bury(holder, lane.take(holder), self.LETTER)
        assert not lane.client.exists(f"{lane.base}:gone")
        assert lane.bodies == [b"3"]

    def test_the_last_item_of_a_hold_ends_it(self, lane: OneLane) -> None:
        """Its letter is the lane's."""
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        own = lane.acquire("a")
        lane.journal.bury(own, lane.take(own), self.LETTER)
        assert [letter.item for letter in lane.dead.oldest(10)] == [b"1"]
        assert lane.now.holds == {}
        lane.journal.release(own)
        assert not list(lane.client.scan_iter("*:hold:*"))


class TestHold:
    def test_the_first_item_moves_with_its_clock(self, lane: OneLane) -> None:
        """To a queue of its channel, where it is due in a while."""
        lane.producer.append([Item("a", b"11", FUTURE), Item("b", b"2")])
        holder = lane.acquire()
        batch = lane.take(holder)
        now_ms = lane.journal.now_ms()
        lane.journal.hold(holder, batch, retry_in_s=100)
        assert lane.now.queue.bodies == [b"2"]
        held = lane.now.holds["a"]
        [item] = held.items
        assert (item.body, item.expires_ms, item.channel) == (b"11", FUTURE, "a")
        assert item.clock == str(batch.first_ms)
        assert held.depth == 1
        assert lane.state("depth") == b"1"
        assert lane.now.counts == {"stuck": 1}
        assert 100_000 <= lane.client.zscore(f"{lane.base}:holds", "a") - now_ms < 160_000
        assert lane.state("marker") == batch.marker + b" 1"

    def test_an_entry_that_is_over_is_deleted(self, lane: OneLane) -> None:
        """The last of its items was the stuck one; so is the marker, and the depth is nothing."""
        lane.append(b"1")
        lane.client.hset(f"{lane.base}:state", "depth", 7)
        holder = lane.acquire()
        lane.hold_first(holder)
        assert lane.now.queue.entries == 0
        assert lane.state("marker") is None
        assert lane.state("depth") == b"0"

    def test_what_is_gone_before_the_head_is_forgotten(self, lane: OneLane) -> None:
        """An item that expired before the stuck one."""
        lane.producer.append([Item("c", b"1", 1), Item("c", b"2"), Item("d", b"3")])
        holder = lane.acquire()
        lane.hold_first(holder)
        assert not lane.client.exists(f"{lane.base}:gone")

    def test_the_next_attempt_of_a_hold_may_be_put_off(self, lane: OneLane) -> None:
        """Only while there is one: a late word makes no new hold."""
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        own = lane.acquire("a")
        lane.journal.retry_hold_in(own, 100)
        assert lane.journal.sweep([0])[1] == []
        lane.journal.settle(own, lane.take(own))
        lane.journal.retry_hold_in(own, 0)
        assert lane.now.holds == {}


class TestUnmark:
    def test_what_was_certainly_not_sent_is_new_again(self, five: OneLane) -> None:
        """With whatever has come since; nothing has left."""
        holder = five.acquire()
        batch = five.take(holder, max_items=2)
        five.journal.unmark(holder, batch)
        assert five.state("marker") is None
        again = five.take(holder)
        assert (again.count, again.resent, again.depth) == (5, False, 5)

    def test_a_stuck_item_keeps_its_clock_in_its_hold(self, lane: OneLane) -> None:
        """The marker of a hold is the lane's first attempt; taking it back does not make it younger."""
        lane.append_to(("a", b"1"))
        lane.hold_first(lane.acquire())
        own = lane.acquire("a")
        batch = lane.take(own)
        lane.journal.unmark(own, batch)
        again = lane.take(own)
        assert (again.first_ms, again.resent) == (batch.first_ms, True)


def test_counters_may_be_added_to(lane: OneLane) -> None:
    """By one, or by more."""
    lane.journal.count(0, "retried")
    lane.journal.count(0, "retried", 3)
    assert Journal(lane.url, lane.app, lanes=1).acquire(0) is not None
    assert lane.now.counts == {"retried": 4}

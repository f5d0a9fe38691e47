"""Dead letters are bounded by number, size and age: the oldest leave, counted, and the size beside them stays right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from sockudo_publisher.journal import holder as journal_module
from sockudo_publisher.journal.dead_letters import DeadBounds
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.status import journal_status
from tests.integration.journal.one_lane import PAST, OneLane
from tests.integration.journal.raw import assert_size_is_kept, check_lane, letters_size

pytestmark = pytest.mark.integration

MakeLane = Callable[..., OneLane]


def bury(lane: OneLane, *bodies: bytes, reason: str = "refused") -> None:
    """Each becomes a dead letter, in this order."""
    lane.append(*bodies)
    holder = lane.acquire()
    for _ in bodies:
        lane.journal.bury(holder, lane.take(holder, max_items=1), DeadLetterFields(reason))
    assert lane.journal.release(holder)
    lane.journal.forget(holder)
    check_lane(lane.client, lane.app, 0)


def age(lane: OneLane, *letters: tuple[int, str, bytes]) -> None:
    """Letters that died at these times (ms), as a script has written them."""
    for ms, reason, item in letters:
        fields = {"reason": reason, "channel": "c", "item": item}
        lane.client.xadd(f"{lane.base}:dead", fields, id=f"{ms}-1")
        size = sum(len(name) + len(value) for name, value in fields.items())
        lane.client.hincrby(f"{lane.base}:dead_size", "bytes", size)
    assert_size_is_kept(lane.client, lane.app, 0)


def items(lane: OneLane) -> list[bytes]:
    return [letter.item for letter in lane.dead.oldest(1000)]


def dropped(lane: OneLane) -> dict[str, int]:
    prefix = "dead_dropped_"
    return {name.removeprefix(prefix): n for name, n in lane.now.counts.items() if name.startswith(prefix)}


class TestNumber:
    def test_oldest_leave_counted(self, make_lane: MakeLane) -> None:
        """By the reason of each; the dead letters are counted as before."""
        lane = make_lane(bounds=DeadBounds(letters=3))
        bury(lane, b"1", b"2", reason="uncertain")
        bury(lane, b"3", b"4", b"5", b"6")
        assert items(lane) == [b"4", b"5", b"6"]
        assert dropped(lane) == {"uncertain": 2, "refused": 1}
        counters = journal_status(lane.journal.link, lane.app, [0]).counters
        assert (counters["parked_uncertain"], counters["refused"], counters["dead_dropped_refused"]) == (2, 4, 1)

    @pytest.mark.parametrize("bounds", [DeadBounds(), DeadBounds(letters=6)])
    def test_within_the_bound_none_leaves(self, make_lane: MakeLane, bounds: DeadBounds) -> None:
        """Nor without one."""
        lane = make_lane(bounds=bounds)
        bury(lane, *(b"%d" % n for n in range(6)))
        assert len(items(lane)) == 6
        assert dropped(lane) == {}

    def test_expired_ones_are_bounded_too(self, make_lane: MakeLane) -> None:
        """Many at once: `take` writes them, past the head and in the middle of a pack."""
        lane = make_lane(on_expired="dead", bounds=DeadBounds(letters=10))
        lane.append(*(b"%d" % n for n in range(250)), expires_ms=PAST)
        lane.append(b"last")
        assert lane.drain() == [b"last"]
        assert items(lane) == [b"%d" % n for n in range(240, 250)]
        assert dropped(lane) == {"expired": 240}
        check_lane(lane.client, lane.app, 0)

    def test_a_lowered_bound_is_reached_step_by_step(self, make_lane: MakeLane) -> None:
        """At most 100 leave with one that comes: no call keeps Redis for long."""
        lane = make_lane()
        bury(lane, *(b"%03d" % n for n in range(350)))
        lowered = make_lane(bounds=DeadBounds(letters=20))
        lengths = []
        for n in range(4):
            bury(lowered, b"new-%d" % n)
            lengths.append(len(items(lane)))
        assert lengths == [251, 152, 53, 20]
        assert items(lane)[-4:] == [b"new-%d" % n for n in range(4)]


class TestSize:
    def test_oldest_leave_until_the_rest_fits(self, make_lane: MakeLane) -> None:
        """Names and values of the fields count."""
        lane = make_lane(bounds=DeadBounds(bytes=3000))
        bury(lane, *(b"%d" % n * 800 for n in range(5)))
        assert items(lane) == [b"2" * 800, b"3" * 800, b"4" * 800]
        assert letters_size(lane.client, lane.app, 0) <= 3000
        assert dropped(lane) == {"refused": 2}

    def test_newest_stays_whatever_its_size(self, make_lane: MakeLane) -> None:
        """A letter that is larger than the bound is not lost by being written."""
        lane = make_lane(bounds=DeadBounds(bytes=1000))
        bury(lane, b"1", b"2", b"3" * 5000)
        assert items(lane) == [b"3" * 5000]
        bury(lane, b"4")
        assert items(lane) == [b"4"]
        assert dropped(lane) == {"refused": 3}

    def test_replay_and_purge_make_room(self, make_lane: MakeLane) -> None:
        """What a person takes away counts no more, whichever it was."""
        lane = make_lane(bounds=DeadBounds(bytes=3000))
        bury(lane, *(b"%d" % n * 800 for n in range(3)))
        first, second, _ = lane.dead.oldest(3)
        lane.dead.replay(second, second.item)
        assert_size_is_kept(lane.client, lane.app, 0)
        assert lane.dead.purge([(0, first.entry_id), (0, first.entry_id)]) == 1
        assert_size_is_kept(lane.client, lane.app, 0)
        assert lane.drain() == [b"1" * 800]
        bury(lane, b"3" * 800, b"4" * 800)
        assert items(lane) == [b"2" * 800, b"3" * 800, b"4" * 800]
        assert lane.dead.purge_all() == 3
        assert not lane.client.exists(f"{lane.base}:dead_size")
        assert dropped(lane) == {}

    def test_a_wrong_count_heals_when_the_lane_has_none(self, make_lane: MakeLane) -> None:
        """A failover may lose one write of two; the bound is only advisory until the lane is empty."""
        lane = make_lane(bounds=DeadBounds(bytes=3000))
        bury(lane, b"1")
        lane.client.hset(f"{lane.base}:dead_size", "bytes", 10_000)
        [letter] = lane.dead.oldest(1)
        lane.dead.purge([(0, letter.entry_id)])
        bury(lane, b"2", b"3")
        assert items(lane) == [b"2", b"3"]

    @pytest.mark.parametrize("value", ["inf", "9" * 30, "1e999", str(10**13), "nan", "x", "", "-5000"])
    def test_no_letter_leaves_for_a_count_that_cannot_be(self, make_lane: MakeLane, value: str) -> None:
        """It begins anew, and the bound holds from then on."""
        lane = make_lane(bounds=DeadBounds(bytes=3000))
        bury(lane, b"1", b"2", b"3")
        lane.client.hset(f"{lane.base}:dead_size", "bytes", value)
        assert lane.journal.trim_dead([0])
        assert items(lane) == [b"1", b"2", b"3"]
        lane.client.hset(f"{lane.base}:dead_size", "bytes", value)
        for n in range(4, 9):
            lane.append(b"%d" % n * 800)
            holder = lane.acquire()
            lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
            assert lane.journal.release(holder)
            lane.journal.forget(holder)
        assert items(lane)[-1] == b"8" * 800
        assert len(items(lane)) <= 6, "the oldest have left for the size of the new ones"

    def test_size_of_another_type_begins_anew(self, make_lane: MakeLane) -> None:
        """Wherever it is met: where a letter comes, where one goes, and in the sweep."""
        lane = make_lane(bounds=DeadBounds(bytes=3000, age_ms=60_000))
        bury(lane, b"1", b"2")
        size = f"{lane.base}:dead_size"
        for spoil in (lambda: lane.client.set(size, "x"), lambda: lane.client.rpush(size, "x")):
            lane.client.delete(size)
            spoil()
            assert lane.journal.trim_dead([0])
            assert lane.dead.purge([(0, lane.dead.oldest(1)[0].entry_id)]) == 1
            lane.client.delete(size)
            spoil()
            lane.append(b"3")
            holder = lane.acquire()
            lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
            assert lane.journal.release(holder)
            lane.journal.forget(holder)
            assert lane.client.type(size) == b"hash"
        assert items(lane) == [b"3", b"3"]

    def test_letter_that_is_gone_is_no_error(self, make_lane: MakeLane, caplog: pytest.LogCaptureFixture) -> None:
        """Another person was faster: nothing is deleted, and no key is called wrong."""
        lane = make_lane()
        bury(lane, b"1")
        [letter] = lane.dead.oldest(1)
        assert [lane.dead.purge([(0, letter.entry_id)]) for _ in range(2)] == [1, 0]
        assert caplog.messages == []

    def test_a_count_never_falls_below_nothing(self, make_lane: MakeLane) -> None:
        """Letters that a lost write has left uncounted take nothing from those that are counted."""
        lane = make_lane(bounds=DeadBounds(bytes=3000))
        bury(lane, b"1" * 800, b"2" * 800)
        lane.client.delete(f"{lane.base}:dead_size")
        assert lane.dead.purge([(0, lane.dead.oldest(1)[0].entry_id)]) == 1
        assert lane.client.hget(f"{lane.base}:dead_size", "bytes") == b"0"


class TestAge:
    def test_old_ones_leave_with_the_sweep(self, make_lane: MakeLane) -> None:
        """Younger ones stay."""
        lane = make_lane(bounds=DeadBounds(age_ms=60_000))
        now = lane.dead.now_ms()
        age(lane, (1, "refused", b"1"), (now - 61_000, "conflict", b"2"), (now - 30_000, "refused", b"3"))
        bury(lane, b"4")
        assert items(lane) == [b"1", b"2", b"3", b"4"], "their age is not looked at where one is written"
        assert lane.journal.trim_dead([0])
        assert items(lane) == [b"3", b"4"]
        assert dropped(lane) == {"refused": 1, "conflict": 1}
        check_lane(lane.client, lane.app, 0)

    @pytest.mark.parametrize("reason", ["uncertain", "unreadable"])
    def test_what_may_be_undelivered_has_no_age(self, make_lane: MakeLane, reason: str) -> None:
        """Number and size bound it all the same."""
        lane = make_lane(bounds=DeadBounds(letters=2, age_ms=1000))
        age(lane, (1, reason, b"1"), (2, "refused", b"2"), (3, reason, b"3"))
        assert lane.journal.trim_dead([0])
        assert items(lane) == [b"1", b"3"], "age goes first, and so leaves room for them"
        bury(lane, b"4", b"5")
        assert items(lane) == [b"4", b"5"]
        assert dropped(lane) == {"refused": 1, reason: 2}

    def test_all_of_a_lane_may_be_too_old(self, make_lane: MakeLane) -> None:
        """Nothing is left beside the counters, and the next letter is the first again."""
        lane = make_lane(bounds=DeadBounds(letters=5, bytes=500, age_ms=1000))
        age(lane, (1, "refused", b"1"), (2, "conflict", b"2"))
        assert lane.journal.trim_dead([0])
        assert (items(lane), lane.client.exists(f"{lane.base}:dead_size")) == ([], 0)
        bury(lane, b"3")
        assert items(lane) == [b"3"]

    def test_reason_is_read_by_its_name(self, make_lane: MakeLane) -> None:
        """Wherever it stands among the fields; a letter without one is counted as unknown."""
        lane = make_lane(bounds=DeadBounds(age_ms=1000))
        for at, fields in enumerate([{"item": b"1", "reason": "refused"}, {"item": b"2"}, {"x": "reason"}], 1):
            lane.client.xadd(f"{lane.base}:dead", fields, id=f"{at}-1")
        assert lane.journal.trim_dead([0])
        assert dropped(lane) == {"refused": 1, "unknown": 2}

    @pytest.mark.parametrize(
        "value",
        ["x", "1", "9999999999999-1", "9" * 30 + "-1", f"{2**64 - 1}-{2**64 - 1}", "1-" + "9" * 30, "0" * 40 + "-1"],
    )
    def test_a_place_that_none_can_have_come_to_is_forgotten(self, make_lane: MakeLane, value: str) -> None:
        """Old letters leave all the same, and the sweep gets its answer."""
        lane = make_lane(bounds=DeadBounds(age_ms=1000))
        age(lane, (1, "refused", b"1"), (2, "uncertain", b"2"))
        lane.client.hset(f"{lane.base}:dead_size", "aged", value)
        assert lane.journal.trim_dead([0])
        assert items(lane) == [b"2"]
        assert lane.client.hget(f"{lane.base}:dead_size", "aged") == b"2-1"

    def test_no_age_no_bound(self, make_lane: MakeLane) -> None:
        """0 lets them stay for ever."""
        lane = make_lane(bounds=DeadBounds(letters=9))
        age(lane, (1, "refused", b"1"))
        assert lane.journal.trim_dead([0])
        assert items(lane) == [b"1"]

    def test_one_call_is_bounded_and_the_next_goes_on(
        self, make_lane: MakeLane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where all that it looks at stays: these are not read again."""
        monkeypatch.setattr(journal_module, "MAX_TRIMMED", 32)
        lane = make_lane(bounds=DeadBounds(age_ms=1000))
        age(lane, *((n, "uncertain", b"u") for n in range(1, 101)), *((n, "refused", b"r") for n in range(101, 151)))
        rounds = 1
        while not lane.journal.trim_dead([0]):
            rounds += 1
            assert rounds < 20
        assert rounds == 5, "150 letters, 32 a call"
        assert items(lane) == [b"u"] * 100
        before = lane.client.info("commandstats")["cmdstat_xrange"]["calls"]
        assert lane.journal.trim_dead([0])
        assert lane.client.info("commandstats")["cmdstat_xrange"]["calls"] - before <= 2

    def test_number_is_trimmed_in_bounded_calls(self, make_lane: MakeLane, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bound that was lowered far is reached by the sweep alone."""
        monkeypatch.setattr(journal_module, "MAX_TRIMMED", 10)
        lane = make_lane()
        bury(lane, *(b"%d" % n for n in range(25)))
        lowered = make_lane(bounds=DeadBounds(letters=3))
        assert [lowered.journal.trim_dead([0]) for _ in range(3)] == [False, False, True]
        assert items(lane) == [b"22", b"23", b"24"]


def test_a_lane_without_letters_costs_nothing(lane: OneLane) -> None:
    """The sweep looks at all lanes: nothing is written."""
    lane.append(b"1")
    before = lane.everything()
    assert lane.journal.trim_dead([0])
    assert lane.everything() == before


def test_letters_of_another_type_are_one_lane_s(
    redis_url: str, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named; the other lanes are trimmed, and the sweep goes on."""
    journal = Journal(redis_url, "app", lanes=2, dead=DeadBounds(age_ms=1000))
    client.set("sockudo:{app:0}:dead", "x")
    client.xadd("sockudo:{app:1}:dead", {"reason": "refused", "channel": "c", "item": "1"}, id="1-1")
    assert journal.trim_dead([0, 1])
    assert client.xlen("sockudo:{app:1}:dead") == 0
    assert "sockudo:{app:0}:dead holds a string, expected a stream" in caplog.text


def test_full_redis_trims(make_lane: MakeLane, redis_url: str) -> None:
    """Burying and trimming are allowed in a Redis at its limit, where the room is needed most."""
    lane = make_lane(bounds=DeadBounds(letters=2, age_ms=1000), on_expired="dead")
    lane.append(b"1", b"2", b"3")
    lane.append(b"4", expires_ms=PAST)
    age(lane, (1, "refused", b"old"))
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", 1)
        try:
            holder = lane.acquire()
            for _ in range(3):
                lane.journal.bury(holder, lane.take(holder, max_items=1), DeadLetterFields("refused"))
            assert lane.taken(holder).batch is None
            assert lane.journal.release(holder)
            assert lane.journal.trim_dead([0])
            assert lane.dead.purge([(0, lane.dead.oldest(1)[0].entry_id)]) == 1
        finally:
            client.config_set("maxmemory", 0)
    assert items(lane) == [b"4"]
    check_lane(lane.client, lane.app, 0)

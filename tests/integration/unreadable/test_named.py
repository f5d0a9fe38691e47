"""What stands still is named: to the caller, to a person, and nothing is lost by looking."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict, JournalUnavailable, JournalUnreadable
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.journal.keys import AppKeys, lane_keys, ledger_key
from sockudo_publisher.journal.redis.refusal import checked, is_about_data
from sockudo_publisher.journal.redis.scripts import Answer
from sockudo_publisher.journal.status import journal_status
from sockudo_publisher.journal.unreadable import as_count
from tests.integration.delivery.world import APP, DrainWorld
from tests.integration.journal.conftest import lane, make_lane
from tests.integration.journal.one_lane import OneLane
from tests.integration.journal.raw import check_lane

__all__ = ["lane", "make_lane"]

pytestmark = pytest.mark.integration


def test_append_to_a_key_of_another_type_names_it(lane: OneLane) -> None:
    """And says that nothing is stored."""
    lane.append(b"1")
    lane.client.delete(f"{lane.base}:stream")
    lane.client.set(f"{lane.base}:stream", "x")
    for done in (lane.append(b"2"), lane.append_once(("k", b"3"))):
        assert isinstance(done.failure, JournalUnreadable)
        assert str(done.failure) == f"{lane.base}:stream holds a string, expected a stream"


def test_depth_that_is_no_number_stores_once(lane: OneLane) -> None:
    """An error behind the append would make the caller repeat it."""
    for value in (b"x", b"nan", b"inf", b"1.5", b""):
        lane.client.hset(f"{lane.base}:state", "depth", value)
        assert lane.append(b"1").failure is None
        lane.client.hset(f"{lane.base}:state", "depth", value)
        assert lane.append_once((f"k{value!r}", b"1")).count == 1
    assert len(lane.entries()) == 10
    assert lane.state("depth") == b"10"


@pytest.mark.parametrize("value", [b"x", b"nan", b"inf", b"1.5", b"", b"9" * 40])
def test_depth_that_is_no_number_bounds_by_entries(make_lane: Callable[..., OneLane], value: bytes) -> None:
    """It neither refuses nor lets in without end, and the producer gets no error."""
    lane = make_lane(max_backlog=3)
    lane.append(b"1")
    for store in (lambda: lane.append(b"2"), lambda: lane.append_once(("k3", b"3"))):
        lane.client.hset(f"{lane.base}:state", "depth", value)
        assert store().failure is None
    for store in (lambda: lane.append(b"4"), lambda: lane.append_once(("k4", b"4"))):
        lane.client.hset(f"{lane.base}:state", "depth", value)
        assert isinstance(store().failure, BacklogFull)
    assert [fields[b"b"] for fields in lane.entries()] == [b"1", b"2", b"3"]


def test_a_failed_append_leaves_no_backlog(make_lane: Callable[..., OneLane]) -> None:
    """It has counted what it did not store: that neither refuses an append nor is shown when the key is set right."""
    lane = make_lane(max_backlog=4)
    for spoiled in range(2):
        lane.client.set(f"{lane.base}:stream", "x")
        for n in range(6):
            assert isinstance(lane.append(b"0").failure, JournalUnreadable)
            assert isinstance(lane.append_once((f"{n}", b"0")).failure, JournalUnreadable)
        lane.client.delete(f"{lane.base}:stream")
        assert journal_status(lane.journal.link, lane.app, [0]).lanes[0].depth == 0
        done = lane.append_once(("k", b"1")) if spoiled else lane.append(b"1")
        assert done.failure is None
        assert lane.append(b"2", b"3", b"4").failure is None
        assert isinstance(lane.append(b"5").failure, BacklogFull)
        assert isinstance(lane.append_once(("k5", b"5")).failure, BacklogFull)
        assert lane.drain() == [b"1", b"2", b"3", b"4"]
    assert isinstance(lane.append(b"1", b"2", b"3", b"4", b"5").failure, BacklogFull)
    assert isinstance(lane.append_once(*((f"l{n}", b"1") for n in range(5))).failure, BacklogFull)
    check_lane(lane.client, lane.app, 0)


@pytest.mark.parametrize("kind", ["state", "stream"])
def test_hold_that_fails_moves_nothing(lane: OneLane, kind: str) -> None:
    """Each try would have put the item into the hold once more, while it stayed in its lane."""
    lane.append(b"1")
    holder = lane.acquire()
    key = f"{lane.hold_base('c')}:{kind}"
    lane.client.set(key, "x")
    for _ in range(3):
        with pytest.raises(JournalUnreadable):
            lane.journal.hold(holder, lane.take(holder), retry_in_s=0.0)
    lane.client.delete(key)
    assert lane.client.xlen(f"{lane.hold_base('c')}:stream") == 0
    lane.journal.hold(holder, lane.take(holder), retry_in_s=0.0)
    assert lane.now.holds["c"].bodies == [b"1"]
    lane.journal.forget(holder)
    assert lane.drain("c") == [b"1"]
    check_lane(lane.client, lane.app, 0)


@pytest.mark.parametrize("kind", ["state", "stream"])
def test_item_that_cannot_follow_into_its_hold_stays(lane: OneLane, kind: str) -> None:
    """In its lane, and there alone."""
    lane.append(b"1")
    holder = lane.acquire()
    lane.hold_first(holder)
    lane.append(b"2")
    key, kept = f"{lane.hold_base('c')}:{kind}", "kept"
    lane.client.rename(key, kept)
    lane.client.set(key, "x")
    for _ in range(3):
        with pytest.raises(JournalUnreadable):
            lane.taken(holder)
    lane.client.rename(kept, key)
    assert lane.bodies == [b"2"]
    assert lane.now.holds["c"].bodies == [b"1"]
    assert lane.taken(holder).batch is None
    assert lane.now.holds["c"].bodies == [b"1", b"2"]
    assert lane.journal.release(holder)
    assert lane.drain("c") == [b"1", b"2"]
    check_lane(lane.client, lane.app, 0)


def test_ledger_that_cannot_be_read_is_of_another_payload(lane: OneLane) -> None:
    """Whether its event is stored is unknown: it is not stored again."""
    key = ledger_key(lane.app, 0, "c", "k")
    for spoil in (lambda: lane.client.rpush(key, "x"), lambda: lane.client.set(key, "x")):
        lane.client.delete(key)
        spoil()
        assert isinstance(lane.append_once(("k", b"1")).failure, IdempotencyConflict)
        with pytest.raises(IdempotencyConflict):
            lane.schedule_once("k")
    assert lane.entries() == []


def test_counters_that_cannot_be_counted_up_begin_anew(lane: OneLane) -> None:
    """Of another type all of them, of another value that one; each time that is counted too."""
    counts = f"{lane.base}:counts"
    for spoil in (lambda: lane.client.set(counts, "x"), lambda: lane.client.rpush(counts, "x")):
        lane.client.delete(counts)
        spoil()
        lane.journal.count(0, "settled", 2)
        assert lane.now.counts == {"settled": 2, "unreadable_records": 1}
    lane.client.hset(counts, "settled", "x")
    lane.journal.count(0, "settled", 3)
    assert lane.now.counts == {"settled": 3, "unreadable_records": 2}


def test_replay_that_fails_keeps_the_letter(lane: OneLane) -> None:
    """It moves only where the lane takes it."""
    lane.append(b"1")
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
    [letter] = lane.dead.oldest(10)
    lane.client.set(f"{lane.base}:stream", "x")
    with pytest.raises(JournalUnreadable):
        lane.dead.replay(letter, letter.item)
    assert lane.dead.oldest(10) == [letter]
    lane.client.delete(f"{lane.base}:stream")
    assert lane.dead.replay(letter, letter.item) is Answer.DONE


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("pause", lambda client, key: client.hset(key, "until", "x")),
        ("pause", lambda client, key: client.hset(key, mapping={"until": 7, "count": "9" * 30})),
        ("pause", lambda client, key: client.set(key, "x")),
        ("limits", lambda client, key: client.hset(key, "events", "-5")),
        ("limits", lambda client, key: client.hset(key, "bytes", "0")),
        ("limits", lambda client, key: client.rpush(key, "x")),
        ("memory", lambda client, key: client.hset(key, "forgets_until", "nan")),
        ("memory", lambda client, key: client.set(key, "x")),
    ],
)
def test_advisory_record_begins_anew_and_is_counted(world: DrainWorld, name: str, spoil: object) -> None:
    """By the next take; until then it counts as absent."""
    key = getattr(AppKeys.of(APP), name)
    assert callable(spoil)
    spoil(world.redis, key)
    view = world.journal.shared.view()
    assert [one.partition(" ")[0] for one in view.unreadable] == [name]
    assert (view.pause, view.limits.events, view.limits.bytes, view.forgets_until_ms) == (None, None, None, 0)
    world.append(world.channel(), 2)
    world.drain()
    assert world.counts()["unreadable_records"] == 1
    assert world.journal.shared.view().unreadable == ()
    world.check()
    assert world.journal.shared.pause("busy", 0.0) == 1


def test_rate_that_cannot_be_read_begins_anew(world: DrainWorld) -> None:
    """No lane waits for tokens that never come."""
    key = AppKeys.of(APP).rate
    for spoil in (
        lambda: world.redis.set(key, "x"),
        *(
            lambda value=value: world.redis.hset(key, mapping=value)
            for value in (
                {"tokens": "nan", "at": "1"},
                {"tokens": "-9e99", "at": "1"},
                {"tokens": "1", "at": "x"},
                {"tokens": "5"},
            )
        ),
    ):
        world.redis.delete(key)
        spoil()
        rate = world.worker(max_rate=10.0).rate
        assert rate is not None
        assert rate.take(3).tokens == 3


@pytest.mark.parametrize(
    ("text", "is_data"),
    [
        ("WRONGTYPE Operation against a key holding the wrong kind of value", True),
        ("WRONGTYPE Operation against ... script: 0a, on @user_script:5.", True),
        ("user_script:17: attempt to compare nil with number script: 0a, on @user_script:17.", True),
        ("hash value is not an integer script: 0a, on @user_script:9.", True),
        ("OOM command not allowed when used memory > 'maxmemory'. script: 0a, on @user_script:5.", False),
        ("READONLY You can't write against a read only replica. script: 0a, on @user_script:1.", False),
        ("MISCONF Redis is configured to save RDB snapshots script: 0a, on @user_script:1.", False),
        ("NOPERM this user has no permissions to run the 'xadd' command script: 0a, on @user_script:1.", False),
        ("Error running script (user_script): Script killed by user with SCRIPT KILL.", False),
        ("unknown command 'EVALSHA'", False),
    ],
)
def test_errors_about_data_are_told_from_those_that_pass(text: str, is_data: bool) -> None:
    """What passes must not make a lane rest."""
    error = redis.ResponseError(text)
    assert is_about_data(error) is is_data
    with pytest.raises(JournalUnavailable) as caught:
        checked(error)
    assert isinstance(caught.value, JournalUnreadable) is is_data
    assert not is_about_data(redis.exceptions.NoScriptError("WRONGTYPE"))
    assert not is_about_data(redis.ConnectionError("WRONGTYPE"))


@pytest.mark.parametrize(
    ("text", "number"),
    [(b"0", 0), (b"17", 17), ("17", 17), (17, 17), (b"00017", 17), (b"99999999999999", 99999999999999)]
    + [(text, None) for text in (b"", b"-1", b"1.5", b"nan", b"inf", b"1e3", b" 1", b"+1", b"x", b"\xff", b"9" * 30)]
    + [(text, None) for text in ("²", "\u0661", None, -1, 1.5, b"1_0", b"100000000000001")],
)
def test_only_whole_numbers_in_range_are_counts(text: object, number: int | None) -> None:
    """As Redis writes them."""
    assert as_count(text) == number


def test_keys_of_other_lanes_are_not_looked_at(world: DrainWorld) -> None:
    """A lane whose key is of another type is passed over by all that look at many."""
    world.redis.set(lane_keys(APP, 0).stream, "x")
    world.redis.set(lane_keys(APP, 0).holds, "x")
    world.append(world.channel(lane=1), 1)
    assert world.journal.sweep([0, 1]) == ([1], [])
    assert world.journal.has_waiting_lane([0, 1])
    assert not world.journal.has_waiting_hold([0, 1])
    assert world.journal.lanes_with_entries([0, 1]) == [1]

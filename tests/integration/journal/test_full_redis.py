"""A Redis at its maxmemory: nothing new is stored, everything that drains goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.errors import BacklogFull, JournalUnavailable
from sockudo_publisher.journal.app.rate import Rate
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.holder import DeadLetterFields
from sockudo_publisher.journal.layout.layout import LayoutRecord
from sockudo_publisher.journal.redis import memory as memory_module
from sockudo_publisher.journal.redis.memory import memory_share
from sockudo_publisher.journal.redis.scripts import Answer
from sockudo_publisher.journal.status import journal_status
from tests.integration.journal.one_lane import PAST, OneLane, bodies_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def small_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of these tests, whose limit they set."""
    with RedisServer(tmp_path_factory.mktemp("small"), appendonly=False) as server:
        yield server


@pytest.fixture
def small(small_redis: RedisServer, make_lane) -> OneLane:
    """An empty journal on it, without a limit."""
    with redis.Redis.from_url(small_redis.url) as client:
        client.config_set("maxmemory", 0)
        client.flushall()
    return make_lane(small_redis.url)


def fill(lane: OneLane) -> None:
    """From now on no command may use more memory, and only scripts with the flag."""
    lane.client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        lane.client.set("ballast", "x")


def set_share(lane: OneLane, share: float) -> None:
    """Let what is used be this share of the limit. So much that connections that come and go do not matter."""
    if not lane.client.exists("ballast"):
        lane.client.setrange("ballast", 20_000_000, "x")
    lane.client.config_set("maxmemory", int(lane.client.info("memory")["used_memory"] / share))


class TestAppending:
    @pytest.mark.parametrize("what", ["append", "append once"])
    def test_it_ends_at_nine_tenths(self, small: OneLane, make_lane, what: str) -> None:
        """The rest is for draining, dead letters and the broker. Below it no append is refused."""
        small.append(b"1")
        for share, full in [(0.85, False), (0.95, True)]:
            set_share(small, share)
            fresh = make_lane(small.url)  # a process looks once a second
            with pytest.raises(BacklogFull, match="90%") if full else nullcontext():
                done = fresh.append(b"2") if what == "append" else fresh.append_once(("k", b"2"))
                assert done.failure is None
        assert [entry[b"b"] for entry in small.entries()] == [b"1", b"2"]

    def test_it_goes_on_when_there_is_room_again(self, small: OneLane, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look is a second old at most."""
        set_share(small, 0.95)
        with pytest.raises(BacklogFull):
            small.append(b"1")
        set_share(small, 0.5)
        with pytest.raises(BacklogFull):
            small.append(b"1")
        monkeypatch.setattr(memory_module, "LOOK_S", -1.0)
        assert small.append(b"1").count == 1

    @pytest.mark.parametrize("what", ["append", "append once"])
    def test_a_write_that_redis_refuses_stores_nothing(
        self, small: OneLane, monkeypatch: pytest.MonkeyPatch, what: str
    ) -> None:
        """It filled up since the look: told as what it is, and the key is not remembered either."""
        monkeypatch.setattr(memory_module, "LOOK_S", 1000.0)
        small.append(b"1")
        fill(small)
        before = small.everything()
        done = small.append(b"2") if what == "append" else small.append_once(("k", b"2"))
        assert isinstance(done.failure, BacklogFull)
        assert "maxmemory" in str(done.failure)
        assert (done.count, done.ring, list(done.refused)) == (0, (), [0])
        assert small.everything() == before

    def test_a_countdown_is_not_remembered(self, small: OneLane) -> None:
        """And the caller's error says that nothing is stored."""
        small.producer.layout()
        fill(small)
        with pytest.raises(JournalUnavailable) as caught:
            small.schedule_once("k")
        assert caught.value.stored is False

    def test_a_replay_leaves_the_dead_letter(self, small: OneLane) -> None:
        """It adds to the lane; it can be tried again."""
        small.append(b"1")
        holder = small.acquire()
        small.journal.bury(holder, small.take(holder), DeadLetterFields("refused"))
        fill(small)
        [letter] = small.dead.oldest(10)
        with pytest.raises(JournalUnavailable) as caught:
            small.dead.replay(letter, letter.item)
        assert caught.value.stored is False
        assert small.dead.oldest(10) == [letter]
        assert small.entries() == []

    @pytest.mark.parametrize(
        ("info", "share"),
        [
            (b"used_memory:50\r\nmaxmemory:200\r\n", 0.25),
            (b"# Memory\r\nused_memory:50\r\nmaxmemory:0\r\n", 0.0),
            ({"used_memory": 190, "maxmemory": 200}, 0.95),
            ({}, 0.0),
        ],
        ids=["text", "no limit", "parsed", "nothing said"],
    )
    def test_the_used_share(self, info: bytes | dict[str, int], share: float) -> None:
        """Of the text of INFO, and of the map that RESP3 may make of it."""
        assert memory_share(info) == share


class TestDraining:
    def test_everything_leaves_a_full_redis(self, small: OneLane) -> None:
        """Acquire, take, settle, bury, hold, unmark, renew, release: a full Redis is drained to the last item."""
        small.append_to(("stuck", b"1"), ("c", b"2"), ("c", b"3"), ("stuck", b"4"), ("c", b"5"))
        small.append(b"6", expires_ms=PAST)
        small.append(b"7")
        fill(small)
        holder = small.acquire()
        batch = small.take(holder, max_items=2)
        small.journal.unmark(holder, batch)
        small.hold_first(holder)
        small.journal.bury(holder, small.take(holder), DeadLetterFields("refused"))
        holder.lease.renew()
        taken = small.journal.settle_and_take(holder, small.take(holder, max_items=1), max_items=99, max_bytes=999)
        assert bodies_of(taken.batch) == [b"5", b"7"]
        assert not small.journal.release(holder)
        small.journal.settle(holder, taken.batch)
        assert small.journal.release(holder)
        assert small.journal.sweep([0]) == ([], [(0, "stuck")])
        own = small.acquire("stuck")
        small.journal.retry_hold_in(own, 0)
        small.journal.settle(own, small.take(own))
        assert small.journal.release(own)
        small.client.config_set("maxmemory", 0)
        assert small.now.counts == {"stuck": 1, "refused": 1, "expired": 1, "settled": 5}
        assert [letter.item for letter in small.dead.oldest(10)] == [b"2"]

    def test_what_workers_share_is_still_written(self, small: OneLane) -> None:
        """A paused app has to be probed, or it would stay paused; limits, counters and the rate hold too."""
        fill(small)
        shared = small.journal.shared
        assert shared.pause("away", 0.0) == 1
        assert shared.try_probe("me")
        assert not shared.try_probe("another")
        shared.end_probe("me")
        assert shared.try_probe("another")
        assert shared.resume("another", 1)
        shared.learn(Limits(events=10))
        assert shared.view().limits == Limits(events=10)
        small.journal.count(0, "searched")
        assert small.client.hgetall(f"{small.base}:counts") == {b"searched": b"1"}
        assert Rate(small.journal.link, small.app, 10.0).take(1).tokens == 1

    def test_it_can_be_looked_at_and_tidied(self, small: OneLane) -> None:
        """Status, lists, purges."""
        small.append(b"1", b"2")
        holder = small.acquire()
        small.journal.bury(holder, small.take(holder), DeadLetterFields("refused"))
        fill(small)
        [lane] = journal_status(small.journal.link, small.app, [0]).lanes
        assert (lane.depth, lane.dead) == (1, 1)
        assert small.dead.purge_all() == 1

    def test_a_change_of_lanes_goes_on(self, small: OneLane) -> None:
        """Marks and the record are small, and what waits for the change has to be drained."""
        small.append(b"1")
        small.drain()
        fill(small)
        record = LayoutRecord(small.journal.link, small.app, 1)
        assert record.ask_for(2)
        assert record.advanced().span.count == 2
        assert record.forget_oldest(small.journal.now_ms() + 1)
        counters = journal_status(small.journal.link, small.app, record.read().lanes).counters
        assert counters == {"settled": 1}, "of the lanes that are forgotten"


def test_answers_of_a_full_redis_are_not_mistaken(small: OneLane) -> None:
    """What a lane's script answers is not hidden by another's refusal."""
    small.append(b"1")
    fill(small)
    release = small.journal.link.script("release", ("l", "s", "t"), ("token", 1, "0"))
    assert release == [Answer.LOST]

"""What the crash table (docs/reliability.md) concedes: each harm is shown, and no larger than its row says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher.delivery.drain import drain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import Producer
from tests.integration.delivery.world import APP, Control, DrainWorld
from tests.unit.delivery.model import item

pytestmark = pytest.mark.integration

#: A little more than the window of the policy.
PAST_S = 121.0


def leave_unknown(world: DrainWorld, count: int) -> list[str]:
    """Events that the server has taken, and whose answer was lost."""
    ids = world.append(world.channel(), count)

    def lost(body: bytes) -> NoReply:
        world.server.post(body)
        return NoReply(sent=True, message="reset")

    world.drain(journal=world.worker(), control=Control(world, stops_after=1, passes_time=False), post=lost)
    world.redis.delete(f"sockudo:{{{APP}}}:pause")
    assert world.server.delivered
    assert world.marker() is not None
    return ids


def test_worker_frozen_before_its_request_may_send_twice(world: DrainWorld) -> None:
    """The successor has delivered and the server forgotten it: that batch comes again, once, and nothing counts it."""
    world.append(world.channel(), 10)

    def frozen_for_longer_than_the_window(body: bytes) -> Reply | NoReply:
        world.lose_leases()
        world.append(world.channel(), 5)
        world.drain(journal=world.worker(), control=Control(world))
        world.server.forget()
        return world.server.post(body)

    world.drain(journal=world.worker(), post=frozen_for_longer_than_the_window)
    assert set(world.server.repeated().values()) == {2}
    assert len(world.server.repeated()) == 10, "no more than the one batch"
    assert world.counts() == {"settled": 15}
    assert world.depth() == 0


def test_worker_frozen_there_within_the_window_sends_once(world: DrainWorld) -> None:
    """The server answers with the first receipts."""
    world.append(world.channel(), 10)

    def frozen(body: bytes) -> Reply | NoReply:
        world.lose_leases()
        world.drain(journal=world.worker(), control=Control(world))
        return world.server.post(body)

    world.drain(journal=world.worker(), post=frozen)
    world.check()


@pytest.mark.parametrize(("is_past", "repeated"), [(False, 0), (True, 10)], ids=["inside the window", "past it"])
def test_request_that_arrives_when_its_sender_has_given_up(world: DrainWorld, is_past: bool, repeated: int) -> None:
    """Its events were delivered by the resend meanwhile: repeated if the server has forgotten them, uncounted."""
    world.append(world.channel(), 10)
    on_its_way: list[bytes] = []

    def post(body: bytes) -> Reply | NoReply:
        if not on_its_way:
            on_its_way.append(body)
            return NoReply(sent=True, message="timed out")
        return world.server.post(body)

    world.settle_down(lambda lane, channel=None: world.drain(lane, channel, post=post))
    world.append(world.channel(), 5)
    world.settle_down()
    world.check()
    if is_past:
        world.pass_time(PAST_S)
    world.server.post(on_its_way[0])
    assert len(world.server.repeated()) == repeated
    assert world.counts() == {"settled": 15}


def test_redis_clock_set_back_makes_events_in_flight_uncertain(world: DrainWorld) -> None:
    """A failover to a clock an hour behind: the first attempt lies ahead, so its time counts as unknown."""
    leave_unknown(world, 10)
    world.pass_time(PAST_S)
    first_ms, rest = world.marker().split(b" ", 1)
    world.redis.hset(lane_keys(APP, 0).state, "marker", b"%d %s" % (int(first_ms) + 3_600_000, rest))
    world.append(world.channel(), 5)
    world.drain(journal=world.worker())
    assert len(world.server.repeated()) == 10, "those in flight alone"
    assert world.counts() == {"settled": 15, "resent_after_window": 10, "unreadable_state": 1}


@pytest.mark.parametrize("off_s", [3600.0, -3600.0])
@pytest.mark.parametrize(("age_s", "counted"), [(118.0, None), (PAST_S, 10)], ids=["inside", "past"])
def test_wall_clock_that_is_an_hour_off_changes_nothing(
    world: DrainWorld, monkeypatch: pytest.MonkeyPatch, off_s: float, age_s: float, counted: int | None
) -> None:
    """Windows, leases and pauses are counted by Redis' clock and the monotonic one."""
    leave_unknown(world, 10)
    world.pass_time(age_s)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + off_s)
    world.append(world.channel(), 5)
    world.drain(journal=world.worker())
    assert world.counts().get("resent_after_window") == counted
    assert world.counts()["settled"] == 15
    assert len(world.server.repeated()) == (counted or 0)


# -- two primaries --------------------------------------------------------------------------------


@pytest.fixture
def primaries(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A primary and its replica that has caught up."""
    old = RedisServer(tmp_path / "old", args=("--repl-diskless-sync-delay", "0"), password="")
    new = RedisServer(tmp_path / "new", args=("--replicaof", f"127.0.0.1 {old.port}"), password="")
    try:
        yield old.start(), new.start()
    finally:
        for server in (old, new):
            server.kill()  # each would wait for the other


@pytest.mark.parametrize(("is_past", "repeated"), [(False, 0), (True, 3)], ids=["inside the window", "past it"])
def test_old_primary_that_still_serves_a_worker_lets_two_send(
    world: DrainWorld, primaries: tuple[RedisServer, RedisServer], is_past: bool, repeated: int
) -> None:
    """The lease is fenced in each Redis apart: inside the window the server lets each id through once, past it twice.

    What the old primary has taken since is in it alone: delivered only while it still has a worker.
    """
    old, new = primaries
    channel = world.channel()
    producer = Producer(old.url, APP, lanes=world.lanes, max_backlog=0, key_ttl_ms=1000)

    def append(*ids: str) -> None:
        assert producer.append([Item(channel, item(one, channel, "x"), 0) for one in ids]).failure is None

    with redis.Redis.from_url(old.url) as of_old, redis.Redis.from_url(new.url) as of_new:
        append("a", "b", "c")
        assert of_old.wait(1, 10_000) == 1
        of_new.replicaof("NO", "ONE")
        assert wait_for(lambda: of_new.info("replication")["role"] == "master", 60)
        append("d")

        def other_sends_first(body: bytes) -> Reply | NoReply:
            drain_on(world, new.url)
            if is_past:
                world.server.forget()
            return world.server.post(body)

        drain_on(world, old.url, other_sends_first)
        assert len(world.server.repeated()) == repeated
        assert list(dict.fromkeys(world.server.seen(channel))) == ["a", "b", "c", "d"]
        settled = [int(client.hget(lane_keys(APP, 0).counts, "settled")) for client in (of_old, of_new)]
        assert settled == [4, 3], "each counts what it has"


def drain_on(world: DrainWorld, url: str, post: object = None) -> None:
    """A worker of that Redis."""
    journal = Journal(url, APP, lanes=world.lanes)
    try:
        drain(
            journal,
            0,
            post=post or world.server.post,  # type: ignore[arg-type]
            policy=world.policy,
            control=Control(world),
            crash_point=lambda point: None,
        )
    finally:
        while journal.link._free:
            journal.link._free.pop().disconnect()

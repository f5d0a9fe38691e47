"""Due events while Redis is full, fails over, or forgets: none is lost, none is stored twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher import configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.errors import BacklogFull, JournalUnavailable
from sockudo_publisher.journal.redis import memory as memory_module
from sockudo_publisher.journal.schedule.due import DueEvents
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.workerapp import due_events
from sockudo_publisher.workerapp.due_events import DueMover
from tests.integration.journal.raw import read_lane

pytestmark = pytest.mark.integration

COUNT = 40


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A Redis of the test's own, with one lane, and the settings for it."""
    monkeypatch.setattr(memory_module, "LOOK_S", -1.0)
    monkeypatch.setattr(due_events, "RENEW_EVERY_S", -1.0)
    monkeypatch.setattr(due_events, "FULL_EVERY_S", 0.0)
    with RedisServer(tmp_path / "primary", args=["--repl-diskless-sync-delay", "0"], password="") as server:
        use(server.url)
        yield server
    configure()


def use(redis_url: str) -> None:
    configure(url="http://k:s@127.0.0.1:9/apps/a", redis_url=redis_url, lanes=1)


def schedule(count: int = COUNT) -> None:
    for n in range(count):
        publish.apply_async((f"c{n % 4}", "n", n), task_id=str(n), countdown=0.2)


def stored(url: str) -> list[int]:
    with redis.Redis.from_url(url) as client:
        return [
            int(one.body.split(b'"message_id":"')[1].split(b'"')[0])
            for one in read_lane(client, "default", 0).queue.items
        ]


def check_stored(url: str, wanted: list[int]) -> None:
    """Each once, every channel in its order; events of one millisecond have no order among channels."""
    found = stored(url)
    assert sorted(found) == wanted
    for channel in range(4):
        assert [n for n in found if n % 4 == channel] == [n for n in wanted if n % 4 == channel]


def wait_until_due() -> None:
    time.sleep(0.4)


def test_full_redis_leaves_events_scheduled(own_redis: RedisServer) -> None:
    """New ones are refused; those that wait can be cancelled; with room again they are stored, in order."""
    schedule()
    wait_until_due()
    mover = DueMover("default")
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(BacklogFull):
            schedule(1)
        assert mover.beat() == 0
        book = app_named().schedule_book()
        assert not any(event.is_claimed for event in book.events())
        assert book.cancel("7").taken == ("c3",)
        assert book.summary().count == COUNT - 1
        client.config_set("maxmemory", 0)
    assert mover.beat() == COUNT - 1
    check_stored(own_redis.url, [n for n in range(COUNT) if n != 7])
    assert app_named().schedule_book().summary().count == 0


def test_refused_append_in_a_full_redis_keeps_the_event(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full between the look at its memory and the append."""
    schedule()
    wait_until_due()
    monkeypatch.setattr(memory_module.MemoryGuard, "check", lambda _: None)
    mover = DueMover("default")
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
        assert mover.beat() == 0
        client.config_set("maxmemory", 0)
    assert mover.beat() == COUNT
    check_stored(own_redis.url, list(range(COUNT)))


class Lost(Exception):
    """The worker's connection is gone."""


@pytest.mark.parametrize("cut", ["before the claim", "after the claim", "after the append", "after the report"])
def test_failover_stores_each_event_once(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """The replica has everything up to the cut, and is promoted; the worker there begins with what it has."""
    args = ["--replicaof", "127.0.0.1", str(own_redis.port)]
    with (
        RedisServer(tmp_path / "replica", args=args, password="") as replica,
        redis.Redis.from_url(replica.url) as client,
    ):
        assert wait_for(lambda: client.info("replication").get("master_link_status") == "up", 30)
        schedule()
        wait_until_due()

        def promote() -> None:
            with redis.Redis.from_url(own_redis.url) as primary:
                assert primary.execute_command("WAIT", 1, 5000) >= 0
                offset = primary.info("replication")["master_repl_offset"]
                assert wait_for(lambda: client.info("replication")["slave_repl_offset"] >= offset, 10)
            client.replicaof("NO", "ONE")

        claim, append = DueEvents.claim, due_events.store
        claims: list[object] = []

        def watched_claim(self: DueEvents, *given: object) -> object:
            claims.append(None)
            found = claim(self, *given)  # type: ignore[arg-type]
            if (cut == "after the claim" and len(claims) == 1) or (cut == "after the report" and len(claims) == 2):
                promote()
                raise Lost
            return found

        def watched_store(*given: object, **options: object) -> object:
            done = append(*given, **options)  # type: ignore[arg-type]
            if cut == "after the append":
                promote()
                raise Lost
            return done

        with monkeypatch.context() as watched:
            watched.setattr(DueEvents, "claim", watched_claim)
            watched.setattr(due_events, "store", watched_store)
            if cut == "before the claim":
                promote()
            else:
                with pytest.raises(Lost):
                    DueMover("default").beat()
        use(replica.url)
        # The dead worker's right and leases end.
        client.delete("sockudo:{default}:due_holder", *(key for key in client.scan_iter("*:due*:lease")))
        DueMover("default").beat()
        check_stored(replica.url, list(range(COUNT)))
        assert app_named().schedule_book().summary().count == 0


def test_frozen_redis_leaves_everything_as_it_is(own_redis: RedisServer) -> None:
    """The beat raises; the next one goes on."""
    schedule()
    wait_until_due()
    mover = DueMover("default")
    mover.beat()
    schedule(4)
    wait_until_due()
    own_redis.pause()
    with pytest.raises(JournalUnavailable):
        mover.beat()
    own_redis.resume()
    # The ids are the same as those of stored events, so the ledger knows them.
    assert wait_for(lambda: mover.beat() == 4, 10)
    check_stored(own_redis.url, list(range(COUNT)))

"""Workers announce themselves: who is alive, since when, and records that no worker renews or can read."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.app import workers as workers_module
from sockudo_publisher.journal.app.workers import Target, WorkerRegistry
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.journal.redis.link import RedisLink
from tests.integration.journal.conftest import APP

pytestmark = pytest.mark.integration

KEY = AppKeys.of(APP).workers
TARGET = Target("blue", "host:1")


@pytest.fixture
def registry(link: RedisLink) -> WorkerRegistry:
    return WorkerRegistry(link, APP)


def test_a_worker_is_alive_since_its_first_word(registry: WorkerRegistry, client: redis.Redis) -> None:
    """However often it announces itself; each answer names all, the first one first."""
    [first] = registry.announce("b", "one@h", TARGET)
    client.hset(KEY, "b", client.hget(KEY, "b").replace(b"%d" % first.since_ms, b"%d" % (first.since_ms - 5000), 1))
    assert [(one.owner, one.since_ms) for one in registry.announce("b", "one@h", TARGET)] == [
        ("b", first.since_ms - 5000)
    ]
    assert [one.owner for one in registry.announce("a", "two@h", TARGET)] == ["b", "a"]
    assert [one.owner for one in registry.alive()] == ["b", "a"]
    assert 0 < client.pttl(KEY) <= workers_module.TTL_MS


def test_a_silent_worker_is_forgotten(
    registry: WorkerRegistry, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record goes with the next word of another, and counts no more before that."""
    registry.announce("silent", "one@h", TARGET)
    since, seen, record = client.hget(KEY, "silent").decode().split(" ", 2)
    old = int(seen) - workers_module.TTL_MS - 1000
    client.hset(KEY, "silent", f"{since} {old} {record}")
    assert registry.alive() == ()
    assert [one.owner for one in registry.announce("other", "two@h", TARGET)] == ["other"]
    assert client.hkeys(KEY) == [b"other"]


def test_all_ends_with_the_last_worker(
    registry: WorkerRegistry, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key runs out by itself."""
    monkeypatch.setattr(workers_module, "TTL_MS", 50)
    registry.announce("a", "one@h", TARGET)
    assert wait_for(lambda: not client.exists(KEY), 10)


@pytest.mark.parametrize("damage", [b"", b"x", b"1", b"1 2", b"1 x {}", b"\xff"])
def test_a_record_that_is_none_is_removed(registry: WorkerRegistry, client: redis.Redis, damage: bytes) -> None:
    """It would stay for as long as others live."""
    client.hset(KEY, "damaged", damage)
    assert [one.owner for one in registry.announce("a", "one@h", TARGET)] == ["a"]
    assert client.hkeys(KEY) == [b"a"]


def test_a_record_of_a_future_clock_is_removed(registry: WorkerRegistry, client: redis.Redis) -> None:
    """Redis' clock was set back: a dead worker would be alive for that long."""
    registry.announce("a", "one@h", TARGET)
    since, seen, record = client.hget(KEY, "a").decode().split(" ", 2)
    client.hset(KEY, "ahead", f"{since} {int(seen) + 10 * workers_module.TTL_MS} {record}")
    assert [one.owner for one in registry.alive()] == ["a"]
    assert [one.owner for one in registry.announce("b", "two@h", TARGET)] == ["a", "b"]


def test_a_key_of_another_type_begins_anew(registry: WorkerRegistry, client: redis.Redis) -> None:
    """All may be lost: the others say it again within seconds."""
    for spoil in (lambda: client.set(KEY, "x"), lambda: client.rpush(KEY, "x"), lambda: client.zadd(KEY, {"x": 1})):
        client.delete(KEY)
        spoil()
        assert registry.alive() == ()
        assert [one.owner for one in registry.announce("a", "one@h", TARGET)] == ["a"]
        assert [one.owner for one in registry.alive()] == ["a"]

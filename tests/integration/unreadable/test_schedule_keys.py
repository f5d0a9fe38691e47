"""Every key of a bucket, spoiled in every way: other buckets go on, nothing raises, the bad thing is named or gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from click.testing import CliRunner

from sockudo_publisher import SockudoError, configure, operations, publish
from sockudo_publisher.cli import main
from sockudo_publisher.journal.keys import AppKeys, Keyspace, bucket_of, lane_keys
from sockudo_publisher.workerapp import due_events
from sockudo_publisher.workerapp.due_events import DueMover
from tests.integration.unreadable.test_every_key import TYPES, VALUES, chosen, spoilings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HERE, THERE = "c", "d"
BUCKET = Keyspace().bucket("default", bucket_of(HERE))
assert bucket_of(HERE) != bucket_of(THERE)

SPOILED = {
    "times": BUCKET.times,
    "items": BUCKET.items,
    "claimed": BUCKET.claimed,
    "lease": BUCKET.lease,
    "cancelled": BUCKET.cancelled("gone"),
    "due_holder": AppKeys.of("default").due_holder,
}


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.setattr(due_events, "RENEW_EVERY_S", -1.0)
    monkeypatch.setattr(due_events, "FULL_EVERY_S", 0.0)
    configure(url="http://k:s@127.0.0.1:9/apps/a", redis_url=redis_url, lanes=1)
    with redis.Redis.from_url(redis_url) as client:
        yield client
    configure()


def live_in(client: redis.Redis) -> None:
    """A waiting, a due, a claimed and a cancelled event of one bucket."""
    client.flushall()
    configure(url="http://k:s@127.0.0.1:9/apps/a", redis_url=client_url(client), lanes=1)
    for id, countdown in (("due", 0.001), ("waiting", 600), ("gone", 600)):
        publish.apply_async((HERE, "n", id), {"key": id}, countdown=countdown)
    operations.cancel("gone")
    client.sadd(BUCKET.claimed, "0000000000 due")


def client_url(client: redis.Redis) -> str:
    given = client.connection_pool.connection_kwargs
    return f"redis://:{given.get('password') or ''}@{given['host']}:{given['port']}/0"


def act(client: redis.Redis, what: str) -> None:
    """Callers schedule, a worker stores, a person looks and cancels; the other bucket flows."""
    publish.apply_async((THERE, "n", "there"), countdown=0.001)
    for call in (
        lambda: publish.apply_async((HERE, "n", "again"), {"key": "waiting"}, countdown=600),
        lambda: publish.apply_async((HERE, "n", "new"), countdown=600),
    ):
        try:
            call()
        except SockudoError:
            continue
    before = client.xlen(lane_keys("default", 0).stream)
    for _ in range(3):
        DueMover("default").beat()
        client.delete(AppKeys.of("default").due_holder)
    assert client.xlen(lane_keys("default", 0).stream) > before, (what, "the other bucket flows")
    for args in (
        ["status"],
        ["scheduled", "list"],
        ["scheduled", "cancel", "waiting"],
        ["scheduled", "cancel", "gone"],
    ):
        for options in ([], ["--json"]):
            result = CliRunner().invoke(main, [*args, *options])
            assert result.exception is None or isinstance(result.exception, SystemExit), (what, args, result.exception)
            assert result.exit_code in (0, 1), (what, args, result.output)


@pytest.mark.parametrize("stride", [None, pytest.param(4, marks=pytest.mark.long)], ids=["quick", "depth"])
@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_key_stops_no_other_bucket(client: redis.Redis, name: str, stride: int | None) -> None:
    """Those of another type are named by `status`; a right without an end counts as free."""
    key = SPOILED[name]
    played = 0
    while True:
        live_in(client)
        if name in ("lease", "due_holder"):
            client.set(key, "x")
        ways = list(spoilings(client, key))
        indexes = chosen(len(ways), list(SPOILED).index(name), stride)
        way, spoil = ways[indexes[played]]
        spoil()
        act(client, f"{name}: {way}")
        if indexes[played] < TYPES and name in ("times", "items", "claimed"):
            assert key in CliRunner().invoke(main, ["status"]).output, way
        played += 1
        if played == len(indexes):
            return


@pytest.mark.parametrize("value", VALUES)
def test_unreadable_time_of_keys_is_replaced(client: redis.Redis, value: bytes) -> None:
    """Else the layout would be forgotten before its keys."""
    live_in(client)
    state = lane_keys("default", 0).state
    client.hset(state, "keys_until", value)
    publish.apply_async((HERE, "n", 1), {"key": "another"}, countdown=600)
    assert 10**12 < int(client.hget(state, "keys_until") or 0) < 10**14

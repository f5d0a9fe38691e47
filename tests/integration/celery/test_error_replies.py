"""The broker answers errors for a while: the worker connects again, delivers meanwhile, and never ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from sockudo_publisher import publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.embedded.worker import WorkerProcess
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.cases import in_depth
from tests.support.in_process import settings_from
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    """A broker apart from the journal, for this test alone."""
    with RedisServer(tmp_path / "broker", password="") as server:
        yield server


def blocked(client: redis.Redis) -> list[str]:
    """The connections that wait for a message."""
    return [str(one["id"]) for one in client.client_list() if one["cmd"] == "brpop"]


def unblock(client: redis.Redis) -> None:
    """As a failover answers a client that waits in BRPOP."""
    assert wait_for(lambda: any(client.client_unblock(one, error=True) for one in blocked(client)), 20)


@contextmanager
def unblocked(client: redis.Redis, _server: RedisServer) -> Iterator[None]:
    """UNBLOCKED: a failover's word to those who wait."""
    unblock(client)
    yield


@contextmanager
def replica(client: redis.Redis, _server: RedisServer) -> Iterator[None]:
    """READONLY, and UNBLOCKED before: the master has become a replica of a machine that is away."""
    client.replicaof("127.0.0.1", "1")
    yield
    client.replicaof("NO", "ONE")


@contextmanager
def failed_save(client: redis.Redis, server: RedisServer) -> Iterator[None]:
    """MISCONF: a snapshot could not be written."""
    where = Path(client.config_get("dir")["dir"]) / client.config_get("dbfilename")["dbfilename"]
    where.mkdir()  # a directory in its way
    client.config_set("save", "3600 1")
    client.set("one", "change")
    client.bgsave()
    assert wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] != "ok", 20)
    yield
    where.rmdir()
    client.bgsave()
    assert wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", 20)


@contextmanager
def no_permission(client: redis.Redis, _server: RedisServer) -> Iterator[None]:
    """NOPERM: a rule of access was changed by mistake, and is changed back."""
    client.acl_setuser("default", enabled=True, commands=["-brpop"])
    yield
    client.acl_setuser("default", enabled=True, commands=["+brpop"])


@contextmanager
def wrong_password(client: redis.Redis, server: RedisServer) -> Iterator[None]:
    """NOAUTH on new connections, and the old ones end."""
    client.config_set("requirepass", "another")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield
    client.config_set("requirepass", "")


FAULTS: dict[str, Callable[..., object]] = {
    "UNBLOCKED": unblocked,
    "READONLY": replica,
    "MISCONF": failed_save,
    "NOPERM": no_permission,
    "NOAUTH": wrong_password,
}


@pytest.mark.parametrize("pool", in_depth(["threads", "prefork", "gevent"], quick=["prefork"]))
def test_worker_survives_an_unblocked_consumer(stack: Stack, broker: RedisServer, pool: str) -> None:
    """Each pool's consumer connects again; it ended with "Unrecoverable error" before."""
    check(stack, broker, ["UNBLOCKED"], pool)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["MISCONF", "NOPERM"], id="MISCONF, NOPERM"),
        pytest.param(["READONLY", "NOAUTH"], id="READONLY, NOAUTH", marks=pytest.mark.long),
    ],
)
def test_worker_survives_error_replies(stack: Stack, broker: RedisServer, names: list[str]) -> None:
    """Events are delivered while the broker refuses; afterwards doorbells and messages are heard again."""
    check(stack, broker, names, "threads")


def test_worker_starts_while_the_broker_refuses(stack: Stack, broker: RedisServer) -> None:
    """It delivers from its start on, and hears doorbells once it may."""
    stack.environ["SOCKUDO_BROKER_URL"] = broker.url
    channel = stack.channel()
    with redis.Redis.from_url(broker.url) as client, stack.subscribe(channel) as seen:
        with no_permission(client, broker):
            worker = stack.worker(wait=False)
            publish.delay(channel, "n", {"n": 0})
            seen.wait_for_count(1, 40)
            assert wait_for(lambda: "NoPermissionError" in worker.log_text(), 30), worker.log_text()
            publish.delay(channel, "n", {"n": 1})
            seen.wait_for_count(2, 40)
            lost = disconnected(worker)
            began_at = time.monotonic()
            assert wait_for(lambda: disconnected(worker) >= lost + 3, 30)
            assert time.monotonic() - began_at > 1.0, "with a pause between two connections"
        assert wait_for(lambda: blocked(client), 60), worker.log_text()
        after_fault(stack, channel, client, 2)
        seen.wait_for_count(3, 30)
        assert worker.stop() == 0


def check(stack: Stack, broker: RedisServer, names: list[str], pool: str) -> None:
    """Faults at one worker, one after the other."""
    stack.environ["SOCKUDO_BROKER_URL"] = broker.url
    channel = stack.channel()
    client = redis.Redis.from_url(broker.url)
    with stack.subscribe(channel) as seen, client:
        worker = stack.worker(pool, 4)
        publish.delay(channel, "n", {"n": 0})
        seen.wait_for_count(1, 30)
        for name in names:
            survive(name, stack, broker, client, worker, seen)
        assert [event.data for event in seen.events()] == [f'{{"n":{n}}}' for n in range(1 + 2 * len(names))]
        assert worker.is_running
        assert "Unrecoverable" not in worker.log_text()
        assert worker.stop() == 0


def survive(
    name: str, stack: Stack, broker: RedisServer, client: redis.Redis, worker: WorkerProcess, seen: Subscriber
) -> None:
    """One fault: an event arrives during it, and another one, through the broker, after it."""
    channel, count = stack.channel(), seen.count
    assert wait_for(lambda: blocked(client), 20), f"{name}: it waits for messages"
    connections, lost = connected(worker), disconnected(worker)
    with FAULTS[name](client, broker):  # type: ignore[attr-defined]
        assert wait_for(lambda: disconnected(worker) > lost, 30), (name, worker.log_text())
        publish.delay(channel, "n", {"n": count})
        seen.wait_for_count(count + 1, 30)
    assert wait_for(lambda: connected(worker) > connections and blocked(client), 60), (name, worker.log_text())
    after_fault(stack, channel, client, count + 1)
    seen.wait_for_count(count + 2, 30)


def disconnected(worker: WorkerProcess) -> int:
    """How often its consumer has lost its connection."""
    return worker.log_text().count("Connection to broker lost")


def connected(worker: WorkerProcess) -> int:
    """How often its consumer has connected."""
    return worker.log_text().count("Connected to ")


def after_fault(stack: Stack, channel: str, client: redis.Redis, number: int) -> None:
    """A message goes through the broker and its consumer."""
    assert wait_for(client.ping, 20)
    with settings_from(stack.environ):
        publish.apply_async((channel, "n", {"n": number}), countdown=0.1, group_id="g")

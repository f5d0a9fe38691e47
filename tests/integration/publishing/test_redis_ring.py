"""A doorbell without Celery: the message that kombu stores, and that a worker runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from sockudo_publisher import configure, publish
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.redis.scripts import name_of
from sockudo_publisher.wiring import doorbell as doorbell_module
from sockudo_publisher.wiring.doorbell import Doorbell
from sockudo_publisher.wiring.redis_ring import is_broker_the_journal
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

URL = "http://key:secret@127.0.0.1:9/apps/app"
LANE = 3


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    configure(url=URL, redis_url=redis_url, namespace="shop")
    with redis.Redis.from_url(redis_url) as client:
        yield client
    configure()


def rung(client: Any, *, without_celery: bool, channel: str | None = None) -> dict[str, Any]:
    """The message of one ring, its body decoded."""
    doorbell = Doorbell()
    with pytest.MonkeyPatch.context() as patch:
        if not without_celery:
            patch.setattr(doorbell_module, "is_broker_the_journal", lambda _: False)
        assert doorbell.ring("default", [LANE], channel=channel)
    assert (doorbell._producer is None) == without_celery
    doorbell._close()
    message: dict[str, Any] = json.loads(client.rpop("sockudo.shop"))
    message["body"] = json.loads(base64.b64decode(message["body"]))
    return message


def shape(value: Any) -> Any:
    """The value with a word in place of random ids."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    is_id = isinstance(value, str) and len(value.replace("-", "")) == 32
    return "id" if is_id else value


@pytest.mark.parametrize("channel", [None, "held-channel"])
def test_message_is_that_of_kombu(client: Any, channel: str | None) -> None:
    """Field by field: the same names, values and queue, for a lane and for a held channel of one."""
    ours = rung(client, without_celery=True, channel=channel)
    theirs = rung(client, without_celery=False, channel=channel)
    assert ours["headers"]["id"] == ours["headers"]["root_id"] == ours["properties"]["correlation_id"]
    assert ours["properties"]["delivery_tag"] != ours["headers"]["id"]
    assert shape(ours) == shape(theirs)


def test_many_lanes_are_rung_in_one_round_trip(client: Any) -> None:
    """In their order; none is no command."""
    doorbell = Doorbell()
    assert doorbell.ring("default", [])
    assert doorbell.ring("default", [2, 0, 1])
    messages = [json.loads(client.rpop("sockudo.shop")) for _ in range(client.llen("sockudo.shop"))]
    assert [json.loads(base64.b64decode(one["body"]))[0] for one in messages] == [
        ["default", lane, None] for lane in (2, 0, 1)
    ]


def test_later_ring_goes_through_celery(client: Any) -> None:
    """It has a countdown, which is Celery's."""
    doorbell = Doorbell()
    assert doorbell.ring("default", [LANE], after_s=30.0)
    assert doorbell._producer is not None
    message = json.loads(client.rpop("sockudo.shop"))
    assert message["headers"]["eta"] is not None
    assert json.loads(base64.b64decode(message["body"]))[0] == ["default", LANE, None]
    doorbell._close()


def test_ring_follows_the_settings(client: Any) -> None:
    """To the queue of the new ones, after `configure`; to a broker of its own through Celery."""
    doorbell = Doorbell()
    assert doorbell.ring("default", [LANE])
    url = get_settings().redis_url
    configure(url=URL, redis_url=url, namespace="other")
    doorbell.forget()
    assert doorbell.ring("default", [LANE])
    assert (client.llen("sockudo.shop"), client.llen("sockudo.other")) == (1, 1)
    configure(url=URL, redis_url=url, broker_url=url.replace("127.0.0.1", "localhost"), namespace="other")
    doorbell.forget()
    assert doorbell.ring("default", [LANE])
    assert doorbell._producer is not None
    assert client.llen("sockudo.other") == 2
    doorbell._close()


def test_connection_that_redis_has_closed_is_replaced(client: Any) -> None:
    """A publisher may ring once a day: the broker has closed its connection meanwhile."""
    doorbell = Doorbell()
    assert doorbell.ring("default", [LANE])
    client.client_kill_filter(_type="normal", skipme=True)
    assert doorbell.ring("default", [LANE])
    assert client.llen("sockudo.shop") == 2
    assert doorbell.failures == 0
    doorbell._close()


def test_absent_redis_is_a_ring_that_is_skipped(client: Any) -> None:
    """Ringing never raises; the reason is in the log, without the password."""
    configure(url=URL, redis_url="redis://:hush@127.0.0.1:1/0")
    doorbell = Doorbell()
    assert not doorbell.ring("default", [LANE])
    assert doorbell.failures == 1


@pytest.mark.parametrize(
    ("redis_url", "broker_url", "is_one"),
    [
        ("redis://127.0.0.1:6379/0", "", True),
        ("redis://127.0.0.1:6379/0?client_name=a", "", True),
        ("rediss://127.0.0.1:6379/1", "", True),
        ("unix:///tmp/r.sock?db=3", "", True),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0", True),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/1", False),
        ("redis://127.0.0.1:6379/0", "amqp://127.0.0.1:5672//", False),
    ],
)
def test_broker_is_the_journal_by_its_address(redis_url: str, broker_url: str, is_one: bool) -> None:
    """Any other is rung through Celery."""
    configure(url=URL, redis_url=redis_url, **({"broker_url": broker_url} if broker_url else {}))  # type: ignore[arg-type]
    try:
        assert is_broker_the_journal(get_settings()) is is_one
    finally:
        configure()


def test_worker_runs_what_was_rung_without_celery(stack: Stack) -> None:
    """The message is taken from the queue, and nothing refuses it."""
    worker = stack.worker()
    doorbell = Doorbell()
    assert doorbell.ring("default", [0])
    assert wait_for(lambda: stack.redis.llen("sockudo") == 0, timeout_s=60)
    assert "refused" not in worker.log_text()
    assert "Traceback" not in worker.log_text()


def test_quiet_lane_is_rung_in_one_round_trip_after_the_append(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The append and the ring, and nothing else, once the process knows the lanes; an armed lane needs no ring."""
    publish.delay("c", "e", 0)
    client.flushall()
    publish.delay("c", "e", 1)  # the layout is written
    trips: list[list[str]] = []
    run = RedisLink.run

    def counted(link: RedisLink, commands: Any, **options: Any) -> list[Any]:
        commands = list(commands)
        if commands[0] != ("INFO", "memory"):  # looked at once a second
            trips.append([name_of(one[1]) if one[0] == "EVALSHA" else one[0] for one in commands])
        return run(link, commands, **options)

    monkeypatch.setattr(RedisLink, "run", counted)
    other = next(f"c{n}" for n in range(100) if lane_of(f"c{n}", 8) != lane_of("c", 8))
    publish.delay(other, "e", 2)
    assert trips == [["append"], ["LPUSH"]]
    del trips[:]
    publish.delay(other, "e", 3)
    assert trips == [["append"]]

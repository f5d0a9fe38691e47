"""A doorbell without Celery: the message that kombu stores, and that a worker runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from sockudo_publisher import configure
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
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


def rung(client: Any, *, without_celery: bool) -> dict[str, Any]:
    """The message of one ring, its body decoded."""
    doorbell = Doorbell()
    if without_celery:
        doorbell.avoid_celery()
    assert doorbell.ring("default", [LANE])
    assert (doorbell._producer is None) == without_celery
    message: dict[str, Any] = json.loads(client.rpop("sockudo.shop"))
    message["body"] = json.loads(base64.b64decode(message["body"]))
    return message


def shape(value: Any) -> Any:
    """The value with a word in place of random ids."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    is_id = isinstance(value, str) and len(value.replace("-", "")) == 32
    return "id" if is_id else value


def test_message_is_that_of_kombu(client: Any) -> None:
    """Field by field: the same names, values and queue."""
    ours, theirs = rung(client, without_celery=True), rung(client, without_celery=False)
    assert ours["headers"]["id"] == ours["headers"]["root_id"] == ours["properties"]["correlation_id"]
    assert ours["properties"]["delivery_tag"] != ours["headers"]["id"]
    assert shape(ours) == shape(theirs)


def test_many_lanes_are_rung_in_one_round_trip(client: Any) -> None:
    """In their order; none is no command."""
    doorbell = Doorbell()
    doorbell.avoid_celery()
    assert doorbell.ring("default", [])
    assert doorbell.ring("default", [2, 0, 1])
    messages = [json.loads(client.rpop("sockudo.shop")) for _ in range(client.llen("sockudo.shop"))]
    assert [json.loads(base64.b64decode(one["body"]))[0] for one in messages] == [
        ["default", lane, None] for lane in (2, 0, 1)
    ]


def test_held_channel_and_later_ring_go_through_celery(client: Any) -> None:
    """They have a countdown, or another lane's message: not for a command."""
    doorbell = Doorbell()
    doorbell.avoid_celery()
    assert doorbell.ring("default", [LANE], channel="c")
    assert json.loads(base64.b64decode(json.loads(client.rpop("sockudo.shop"))["body"]))[0] == ["default", LANE, "c"]


def test_absent_redis_is_a_ring_that_is_skipped(client: Any) -> None:
    """Ringing never raises; the reason is in the log, without the password."""
    configure(url=URL, redis_url="redis://:hush@127.0.0.1:1/0")
    doorbell = Doorbell()
    doorbell.avoid_celery()
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
    doorbell.avoid_celery()
    assert doorbell.ring("default", [0])
    assert wait_for(lambda: stack.redis.llen("sockudo") == 0, timeout_s=60)
    assert "refused" not in worker.log_text()
    assert "Traceback" not in worker.log_text()

"""Messages of other programs to a running worker: one log line each, no slot lost, and events flow."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.wiring.private_celery import celery_app
from tests.support.oracle import numbers
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DRAIN, PUBLISH, APPEND = "sockudo_publisher.drain", "sockudo_publisher.publish", "sockudo_publisher.append"
PAYLOAD = "a payload that no log may show"


def item(channel: str, message_id: str | None = "m") -> str:
    event = {"channel": channel, "name": "n", "data": PAYLOAD, "message_id": message_id}
    return json.dumps({name: value for name, value in event.items() if value is not None})


def send(name: str, *args: Any, **kwargs: Any) -> str:
    return str(celery_app.send_task(name, args=args, kwargs=kwargs, queue=QUEUE, argsrepr="-", kwargsrepr="-").id)


def finished(channel: str, **changes: Any) -> dict[str, Any]:
    return {
        "namespace": "",
        "app": "default",
        "id": "m",
        "items": [[channel, item(channel), 0]],
        "key": None,
        "fingerprint": "",
        **changes,
    }


def test_strangers_messages_cost_a_line_each(stack: Stack) -> None:
    """Doorbells for no lane, app or channel, and finished events that are none: more of each than there are slots."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    worker = stack.worker(pool="threads", concurrency=2)
    for _ in range(3):
        for lane in (-1, 0.5, True, "1", None, 10**9, 10**5):
            send(DRAIN, "default", lane)
        for args in (
            (),
            ("default",),
            ("nowhere", 0),
            (None, 0),
            ("default", 0, 7),
            ("default", 0, "no hold"),
            (1, 2, 3, 4),
        ):
            send(DRAIN, *args)
        send(DRAIN, "default", 0, None, much="more")
        send(DRAIN, "default", 0, "not-held")
    two = item(channel, "one") + "," + item(channel, "two")
    for items in ([[channel, two, 0]], [[channel, item(channel, None), 0]], [["another", item(channel), 0]], "x", [[]]):
        send(APPEND, event=finished(channel, items=items))
    for value in (
        None,
        7,
        [],
        {},
        finished(channel, app="nowhere"),
        finished(channel, id=""),
        finished(channel, key=1),
    ):
        send(APPEND, value)
        send(APPEND, event=value)
    for value in (None, 7, {"type": 1}):
        send(APPEND, event={"refused": value})
    send(APPEND)
    send(APPEND, 1, 2, 3)
    send(APPEND, object=PAYLOAD)
    send(PUBLISH, event=finished(channel))
    send(PUBLISH)
    send(PUBLISH, channel, "n")
    send(PUBLISH, 7, None, object=PAYLOAD)
    send(PUBLISH, "a b", "n", PAYLOAD)
    send(PUBLISH, channel, "n", PAYLOAD, tags=7)
    send(PUBLISH, channel, "n", PAYLOAD, app="nowhere")
    for n in range(10):
        publish.delay(channel, "n", {"n": n})
    seen.wait_for_count(10, 60)
    assert numbers(seen.events()) == {channel: list(range(10))}
    redis = stack.redis
    deadline = time.monotonic() + 60
    while redis.llen(QUEUE) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert redis.llen(QUEUE) == 0
    send(PUBLISH, channel, "n", {"n": 10})
    seen.wait_for_count(11, 60)
    log = worker.log_text()
    assert log.count("doorbell refused") == 3 * 14
    assert PAYLOAD not in log
    # An event is seen before it is settled.
    assert wait_for(lambda: not any(lane.depth for lane in operations.status()[0].lanes), 60)
    [shown] = operations.status()
    assert shown.pause is None
    assert not any(lane.dead or lane.held or lane.failures for lane in shown.lanes)
    assert not list(redis.scan_iter("sockudo:{default:-1}*"))

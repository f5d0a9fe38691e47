"""Somebody's own Celery app, for the tests beside it: `MY_BROKER` is its broker and result backend.

What its tasks were given is told in a list of that Redis, so that another process can see it.
"""

from __future__ import annotations

import os
from typing import Any

import redis
from celery import Celery, Task

from sockudo_publisher import register

app = Celery("theirs", broker=os.environ["MY_BROKER"], backend=os.environ["MY_BROKER"])
if os.environ.get("MY_REGISTER", "1") == "1":
    register(app)


def tell(list_name: str, value: object) -> None:
    """Append to a list of their Redis."""
    with redis.Redis.from_url(os.environ["MY_BROKER"]) as client:
        client.rpush(list_name, str(value))


@app.task(name="theirs.give")
def give(value: Any) -> Any:
    """Its result is what comes next in a chain."""
    tell("given", "")
    return value


@app.task(name="theirs.long_text")
def long_text(size: int) -> str:
    """A result that is too large for an event."""
    tell("given", "")
    return "x" * size


@app.task(name="theirs.audit")
def audit(value: Any) -> str:
    """What follows `publish` is given the message id."""
    tell("audited", value)
    return f"audited {value}"


@app.task(name="theirs.failed")
def failed(request: Any, error: Exception, traceback: Any) -> None:
    """An errback, in Celery's present form."""
    tell("failed", f"{type(error).__name__}: {error}")


@app.task(name="theirs.work", bind=True)
def work(self: Task, channel: str) -> str:
    """A task that publishes on its way, through the queue and directly."""
    from sockudo_publisher import publish

    stored = publish.delay(channel, "queued", {"n": 1})
    receipt = publish(channel, "direct", {"n": 2})
    later = publish.apply_async((channel, "later", {"n": 3}), countdown=0.2)
    return ",".join([stored.get(), receipt.message_id, later.id])

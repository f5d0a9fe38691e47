"""The Celery app of an application, for the tests beside it: `MY_BROKER` is its broker and result backend,
`MY_SETTINGS` more of its configuration (JSON).

Its tasks append their arguments to a list of that Redis, which another process can read.
"""

from __future__ import annotations

import json
import os
from typing import Any

import redis
from celery import Celery, Task
from celery.signals import before_task_publish

from sockudo_publisher import register

app = Celery("theirs", broker=os.environ["MY_BROKER"], backend=os.environ["MY_BROKER"])
app.conf.update(json.loads(os.environ.get("MY_SETTINGS", "{}")))
if os.environ.get("MY_REGISTER", "1") == "1":
    register(app)


@before_task_publish.connect
def put_trace(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """As tracing libraries do with every message of a process."""
    if headers is not None:
        headers["trace"] = "theirs"


def tell(list_name: str, value: object) -> None:
    """Append to a list of their Redis."""
    with redis.Redis.from_url(os.environ["MY_BROKER"]) as client:
        client.rpush(f"told:{list_name}", str(value))


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


@app.task(name="theirs.parent", bind=True)
def parent(self: Task, channel: str) -> str:
    """A task that publishes in each way that makes no task of its caller's; its children are its own tasks alone."""
    from sockudo_publisher import publish, publish_many

    publish.delay(channel, "e", "delay")
    publish_many([(channel, "e", "many")])
    publish.apply_async((channel, "e", "countdown"), countdown=0.1, priority=7)
    give.delay("child")
    return str(self.request.id)


@app.task(name="theirs.replaced", bind=True)
def replaced(self: Task, channel: str) -> Any:
    """A task that puts `publish` in its own place."""
    from sockudo_publisher import publish

    return self.replace(publish.s(channel, "e", "replaced"))

"""At DEBUG, and in answers to ``celery inspect``, a real worker shows no payload, no password and no signature."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Connection

from sockudo_publisher import operations, publish
from sockudo_publisher.config.settings import configure
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.wiring.private_celery import celery_app
from tests.support.redis_user import as_redis_user
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

PAYLOAD = "not-for-the-log"
PASSWORD = "BROKERPASSW0RD"
USER = "secrets-test"


@pytest.fixture
def guarded(stack: Stack) -> Iterator[Stack]:
    """A stack whose broker and journal ask for a password; two brokers, as of a failover, which are one."""
    stack.redis.acl_setuser(
        USER, enabled=True, passwords=[f"+{PASSWORD}"], categories=["+@all"], keys=["*"], channels=["*"]
    )
    url = as_redis_user(stack.redis_server.url, USER, PASSWORD)
    stack.environ["SOCKUDO_REDIS_URL"] = url
    stack.environ["SOCKUDO_BROKER_URL"] = f"{url};{url}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environ.items():
            patch.setenv(name, value)
        configure()
        yield stack
    configure()
    stack.redis.acl_deluser(USER)


def test_worker_shows_nothing_at_debug(guarded: Stack) -> None:
    """Its log and its banner, every answer to ``celery inspect``, and its events."""
    channel = guarded.channel()
    worker = guarded.worker(args=["--loglevel=DEBUG", "-E"])
    events: list[dict[str, Any]] = []
    seen = guarded.subscribe(channel)
    publish.delay(channel, "e", f"{PAYLOAD} 1")
    publish.apply_async((channel, "e", f"{PAYLOAD} later"), countdown=3600, group_id="g")
    # Another program's, whose header repeats the arguments.
    other = Celery("other", broker=guarded.environ["SOCKUDO_REDIS_URL"])
    with Connection(guarded.environ["SOCKUDO_REDIS_URL"]) as connection:
        receiver = other.events.Receiver(connection, handlers={"*": events.append})
        consumer = receiver.itercapture(limit=None, timeout=None, wakeup=False)
        next(consumer)  # it listens, and the worker has said something
        args = (channel, "e", f"{PAYLOAD} 2")
        other.send_task("sockudo_publisher.publish", args, queue="sockudo")
        other.send_task("sockudo_publisher.publish", (channel, "", PAYLOAD), queue="sockudo")
        other.send_task("sockudo_publisher.publish", (channel, "e", PAYLOAD), queue="sockudo", countdown=3600)
        seen.wait_for_count(2, 60)
        asked = celery_app.control.inspect(timeout=60, limit=1)  # returns with the one worker's answer
        assert wait_for(lambda: sum(len(one) for one in (asked.scheduled() or {}).values()) == 2, 60)
        answers = {
            "active": asked.active(),
            "conf": asked.conf(with_defaults=True),
            "query_task": asked.query_task([one["request"]["id"] for one in next(iter(asked.scheduled().values()))]),
            "registered": asked.registered(),
            "report": asked.report(),
            "reserved": asked.reserved(),
            "revoked": asked.revoked(),
            "scheduled": asked.scheduled(),
            "stats": asked.stats(),
        }
        received = time.monotonic() + 60
        while not {"task-received", "task-failed"} <= {one["type"] for one in events}:
            assert time.monotonic() < received, events
            next(consumer)  # a heartbeat at the latest
    assert "broker" in json.dumps(answers["stats"])
    for name, answer in answers.items():
        assert answer, name if name not in ("active", "reserved", "revoked") else ""
        text = json.dumps(answer)
        assert PAYLOAD not in text, name
        assert PASSWORD not in text, name
    text = json.dumps(events, default=str)
    assert PAYLOAD not in text
    log = worker.log_text()
    assert "batch_events?auth_…" in log, "urllib3 logs at DEBUG"
    assert "ValidationError: event name: empty" in log, "the refused one was met"
    for private in (PAYLOAD, PASSWORD, "auth_signature", "body_md5", app_named().client._credentials.secret + "@"):
        assert private not in log, private


def test_caller_shows_nothing_at_debug(guarded: Stack, caplog) -> None:
    """All loggers of a program that publishes, directly and through the queue, and looks at its queue."""
    with caplog.at_level(logging.DEBUG):
        publish(guarded.channel(), "e", PAYLOAD)
        publish.delay(guarded.channel(), "e", PAYLOAD)
        publish.apply_async((guarded.channel(), "e", PAYLOAD), countdown=3600)
        operations.status()
        app_named().client.channels_info()
    assert "auth_…" in caplog.text, "urllib3 logs at DEBUG"
    for private in (PAYLOAD, PASSWORD, "auth_signature", "body_md5"):
        assert private not in caplog.text, private


def test_celery_commands_show_no_password(guarded: Stack) -> None:
    """As an operator runs them beside a worker."""
    guarded.worker()
    for command in (["report"], ["inspect", "stats"], ["inspect", "conf"]):
        done = run_python(["-m", "celery", "-A", "sockudo_publisher", *command], env=guarded.python(), timeout=120)
        assert done.returncode == 0, (command, done.stderr)
        assert PASSWORD not in done.stdout + done.stderr, command

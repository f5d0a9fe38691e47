"""What is published is not to be read where Celery shows its messages."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from kombu import Connection, Queue

from sockudo_publisher import operations
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.embedded.worker import WorkerProcess
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.wiring.app import app_named
from tests.support.caller import call
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

RAW = """
from celery import Celery
import os
other = Celery("another program", broker=os.environ["SOCKUDO_REDIS_URL"])
for event in ("stored", ""):
    other.send_task("sockudo_publisher.publish", (C, event, "not-for-the-log"), queue="sockudo")
publish.apply_async((C, "stored", "not-for-the-log"), countdown=0.1)
"""


def test_debug_log_shows_no_contents_of_foreign_messages(debugged: Stack, debug_worker: WorkerProcess) -> None:
    """Their `argsrepr` holds the payload, and Celery's pool would write it; so would its copy of a short message."""
    seen = debugged.subscribe(debugged.channel())
    call(debugged, RAW)
    seen.wait_for_count(2, 20)
    assert seen.data() == ["not-for-the-log"] * 2
    log = debug_worker.log_text()
    assert "ValidationError: event name: empty" in log, "the refused one was met too"
    assert "not-for-the-log" not in log


def test_unreadable_value_is_in_no_log_and_no_dead_letter(debugged: Stack, debug_worker: WorkerProcess) -> None:
    """Its JSON reader names the value of the extras that it refuses; the words that are kept do not."""
    event = {"name": "e", "channel": debugged.channel(), "data": "x", "message_id": "m"}
    body = json.dumps({**event, "extras": {"ephemeral": "not-for-the-log"}}).encode()  # the caller refuses it now
    app_named().producer.append([Item(debugged.channel(), body)])
    assert wait_for(lambda: operations.dead_list(get_settings(), "default", 10), 60)
    [letter] = operations.dead_list(get_settings(), "default", 10)
    assert letter.reason == "refused"
    assert "ephemeral: invalid type: string …, expected a boolean" in letter.message
    assert "not-for-the-log" not in debug_worker.log_text()


SECRET = "not-for-the-log"

#: What a producer of another kind could put into our queue: a body, its content type, its headers.
UNUSABLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "no task's": ({"data": SECRET}, {}),
    "of an unregistered task": (
        ([SECRET], {}, {}),
        {"headers": {"task": "unknown.task", "id": "1", "argsrepr": SECRET, "lang": "py"}},
    ),
    "invalid task message": (
        {"task": "sockudo_publisher.publish", "id": "2", "args": SECRET, "kwargs": [SECRET]},
        {},
    ),
    "cannot be decoded": (f"{{{SECRET}", {"content_type": "application/json", "content_encoding": "utf-8"}),
    "ETA cannot be read": (
        (["c", "e", SECRET], {}, {}),
        {
            "headers": {
                **{"task": "sockudo_publisher.publish", "id": "3", "lang": "py", "argsrepr": SECRET},
                "eta": "0001-01-01T00:00:00+14:00",
            }
        },
    ),
}


def test_unusable_message_is_logged_without_its_contents(debugged: Stack, debug_worker: WorkerProcess) -> None:
    """Celery would write its whole body, and headers that hold the arguments."""
    before = len(debug_worker.log_text())
    with Connection(debugged.environ["SOCKUDO_REDIS_URL"]) as connection:
        producer = connection.Producer()
        for body, options in UNUSABLE.values():
            how = {"serializer": "json", **options}
            if "content_type" in options:
                del how["serializer"]
            producer.publish(body, routing_key="sockudo", exchange="", declare=[Queue("sockudo")], **how)
    until = time.monotonic() + 60
    while not all(kind in debug_worker.log_text()[before:] for kind in UNUSABLE):
        assert time.monotonic() < until, debug_worker.log_text()
        time.sleep(0.1)
    assert SECRET not in debug_worker.log_text()
    assert "Traceback" not in debug_worker.log_text()[before:]

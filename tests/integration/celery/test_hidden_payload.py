"""What is published is not to be read where Celery shows its messages."""

from __future__ import annotations

import pytest

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


def test_worker_at_debug_level_shows_nothing_of_messages_of_other_programs(stack: Stack) -> None:
    """Their `argsrepr` holds the payload, and Celery's pool would write it; so would its copy of a short message."""
    seen = stack.subscribe(stack.channel())
    worker = stack.worker(args=["--loglevel=DEBUG"])
    call(stack, RAW)
    seen.wait_for_count(2, 20)
    assert seen.data() == ["not-for-the-log"] * 2
    log = worker.log_text()
    assert "ValidationError: event name: empty" in log, "the refused one was met too"
    assert "not-for-the-log" not in log

"""Messages that a worker held when it died, or could not store: they come again, and their event once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sockudo_publisher import configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

#: Seconds after which a message of a dead worker is another's, instead of 10 minutes.
VISIBILITY_S = 2

#: Our worker with that, looking every second.
IMPATIENT = f"""
from sockudo_publisher.workerapp import app
app.conf.broker_transport_options = {{
    **app.conf.broker_transport_options, "visibility_timeout": {VISIBILITY_S}, "unacked_restore_interval": 1
}}
"""


def impatient_worker(stack: Stack, directory: Path) -> ForeignWorker:
    (directory / "impatient.py").write_text(IMPATIENT)
    return ForeignWorker("impatient", "sockudo", {**stack.python(), "SOCKUDO_LANES": "8"}, directory, directory)


def counts(stack: Stack, reason: str) -> int:
    """The journal's counter, over all lanes."""
    return sum(int(stack.redis.hget(key, reason) or 0) for key in stack.redis.scan_iter("sockudo:*:counts"))


def taken_s_ago(stack: Stack) -> float:
    """The age of the one message that a worker holds, by the broker's record."""
    ((_, taken_at),) = stack.redis.zrange("unacked_index", 0, -1, withscores=True)
    return time.time() - float(taken_at)


def test_message_of_a_killed_worker_is_stored_by_another_once(stack: Stack, tmp_path: Path) -> None:
    """The message waits in a worker that is killed; another has it after the visibility timeout."""
    seen = stack.subscribe(stack.channel())
    with impatient_worker(stack, tmp_path) as first:
        # In this process: the end of another one may come after the event is due.
        publish.apply_async((stack.channel(), "e", "later"), countdown=4, group_id="g")
        assert wait_for(lambda: stack.redis.hlen("unacked") == 1, 60)
        first.kill()
    # Kombu before 5.7 looks when a worker starts and then every 100 s: what is not yet due at the start is late.
    assert wait_for(lambda: taken_s_ago(stack) > VISIBILITY_S, 60)
    with impatient_worker(stack, tmp_path), impatient_worker(stack, tmp_path):
        seen.wait_for_count(1, 40)
        assert wait_for(lambda: stack.redis.hlen("unacked") == 0, 60), "no worker has it any more"
        seen.wait_until_quiet(1.0)
    assert seen.data() == ["later"]
    assert counts(stack, "settled") == 1, "the journal took it once, not only the server"


def test_event_that_falls_due_while_redis_is_full_is_kept(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be neither stored nor sent again, as the broker is the same Redis: it stays with the broker."""
    with RedisServer(tmp_path / "full") as redis_server:
        stack.redis_server = redis_server
        stack.environ["SOCKUDO_REDIS_URL"] = redis_server.url
        monkeypatch.setenv("SOCKUDO_REDIS_URL", redis_server.url)
        configure()
        seen = stack.subscribe(stack.channel())
        with impatient_worker(stack, tmp_path) as worker:
            publish.apply_async((stack.channel(), "e", "later"), countdown=4, group_id="g")
            assert wait_for(lambda: stack.redis.hlen("unacked") == 1, 60)
            stack.redis.config_set("maxmemory", "1mb")
            assert wait_for(lambda: "the broker takes no message" in worker.log_text(), 60), worker.log_tail()
            assert (seen.count, worker.is_running) == (0, True)
            stack.redis.config_set("maxmemory", "0")
            seen.wait_for_count(1, 40)
            seen.wait_until_quiet(1.0)
    assert seen.data() == ["later"]

"""Time limits that an application has for all of its tasks lose no event, and delay no drain for long."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from sockudo_publisher import publish_many
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.celery.theirs import APP, Theirs
from tests.support.caller import ROOT
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


class PreforkWorker(ForeignWorker):
    """The pool in which Celery can keep its limits."""

    def _command(self) -> list[str]:
        return [word.replace("threads", "prefork") for word in super()._command()]


def wait_for_links(theirs: Theirs, count: int, *, may_repeat: bool) -> None:
    """Until the links of that number of events have run, once each.

    ``may_repeat``: a hard limit may kill a child between its link and its end, and then the link runs again.
    """
    assert wait_for(lambda: len(set(theirs.read_list("audited"))) >= count, 30), theirs.read_list("audited")
    audited = theirs.read_list("audited")
    assert len(set(audited)) == count
    assert may_repeat or len(audited) == count, audited


@pytest.mark.parametrize(
    ("limits", "error_text"),
    [
        pytest.param({"task_soft_time_limit": 0.3}, "soft time limit ignored", id="soft"),
        pytest.param({"task_time_limit": 0.7}, "Hard time limit", id="hard"),
        pytest.param(
            {"task_soft_time_limit": 0.3, "task_time_limit": 0.5}, "Hard time limit", id="both", marks=pytest.mark.long
        ),
    ],
)
def test_event_of_a_canvas_outlasts_limits(
    stack: Stack, their_broker: RedisServer, tmp_path: Path, limits: dict[str, float], error_text: str
) -> None:
    """The journal is frozen while `publish` stores in their worker: the event is stored later, and the link runs."""
    has_hard_limit = "task_time_limit" in limits
    seen = stack.subscribe(stack.channel())
    with redis.Redis.from_url(their_broker.url) as client:
        client.flushall()
        theirs = Theirs(stack, their_broker.url, client, **limits)
        theirs.call("publish.apply_async((C, 'e', 'x'), link=audit.s())")
        with PreforkWorker(APP, "celery", {**stack.python(), **theirs.environ}, tmp_path, ROOT) as worker:
            worker.wait_until_ready()  # its first append makes a connection, and waits for an answer
            theirs.call("publish.apply_async((C, 'e', 'y'), link=audit.s())")
            wait_for_links(theirs, 2, may_repeat=has_hard_limit)
            stack.redis_server.pause()
            try:
                theirs.call("publish.apply_async((C, 'e', 'z'), link=audit.s())")  # sending needs no journal
                assert wait_for(lambda: error_text in worker.log_text(), 30)
            finally:
                stack.redis_server.resume()
            wait_for_links(theirs, 3, may_repeat=has_hard_limit)
            # Not a warm shutdown: a prefork pool, one of whose children a hard limit has just killed, may wait for
            # ever for the message that this child was given (billiard).
            worker.kill()
    stack.worker()
    assert seen.take(3) == ["x", "y", "z"]


def test_soft_limit_hands_a_drain_over(stack: Stack, tmp_path: Path) -> None:
    """Their worker reads our queue, and none of our workers sweeps: each drain that is cut has to ring for the next."""
    seen = stack.subscribe(stack.channel())
    theirs = Theirs(stack, stack.redis_server.url, stack.redis, task_soft_time_limit=0.5)
    environ = {**stack.python(), **theirs.environ, "SOCKUDO_BATCH_MAX_EVENTS": "10"}
    with PreforkWorker(APP, "celery,sockudo", environ, tmp_path, ROOT) as worker:
        publish_many((stack.channel(), "n", n) for n in range(4_000))
        seen.wait_for_count(4_000, 60)
        assert "drain cut by a soft time limit" in worker.log_text()
        assert "drain failed" not in worker.log_text()
    assert [int(data) for data in seen.data()] == list(range(4_000))

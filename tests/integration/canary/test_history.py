"""Uncertain events and a real server that keeps history."""

from __future__ import annotations

import pytest

from sockudo_publisher import operations, publish_many
from sockudo_publisher.canaries.ask import CHANNEL
from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.canaries.values import MemoryReport
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.delivery.drain import drain
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.workerapp import run_drain
from sockudo_publisher.workerapp.drain_requests import post_batch
from sockudo_publisher.workerapp.worker_control import WorkerControl
from tests.integration.canary.conftest import MakeStack

pytestmark = pytest.mark.integration

APP = "default"


class Died(BaseException):
    """A worker that is no more."""


@pytest.mark.parametrize("on_uncertain", ["resend", "park"])
def test_uncertain_events_found_in_history_are_settled(make_stack: MakeStack, on_uncertain: str) -> None:
    """Ten of two channels were accepted, their answer was lost, and the server is said to forget."""
    stack = make_stack({"SOCKUDO_ON_UNCERTAIN": on_uncertain, "SOCKUDO_LANES": "1"}, history=True)
    names = stack.channels(2)
    subscriber = stack.subscribe(*names)
    app = app_named()
    publish_many((names[n % 2], "tick", {"n": n}) for n in range(10))

    def die(point: str) -> None:
        if point == "posted":
            raise Died

    def post(body: bytes) -> Reply | NoReply:
        return post_batch(app, body, timeout_s=get_settings().delivery_timeout)

    control = WorkerControl(app, 0)
    with pytest.raises(Died):
        drain(app.journal, 0, post=post, policy=run_drain.policy_of(get_settings()), control=control, crash_point=die)
    for key in stack.redis.scan_iter("sockudo:*:lease"):
        stack.redis.delete(key)
    publish_many((name, "tick", {"n": 10}) for name in names)
    until_ms = app.journal.now_ms() + 60_000
    DedupMemory(app.journal.link, APP).record_report(MemoryReport("forgets", forgets_until_ms=until_ms))
    run_drain.run(APP, 0)
    counters = operations.status()[0].counters
    assert counters["settled_by_history"] == 10
    assert counters["settled"] == 2
    assert counters["resent_after_window"] == counters["parked_uncertain"] == 0
    subscriber.wait_for_count(12)
    subscriber.wait_until_quiet()
    assert subscriber.count == 12
    run_drain.canaries_of(app).beat([0])
    assert app.client.channel_history(CHANNEL)["items"] == [], "canaries are kept by no history"
    assert {name: len(data) for name, data in subscriber.by_channel().items()} == dict.fromkeys(names, 6)

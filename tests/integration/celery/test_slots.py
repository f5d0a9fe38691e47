"""Where every lane has a slot and none is left over: held channels get theirs all the same."""

from __future__ import annotations

import threading

import pytest

from sockudo_publisher import publish
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.wiring.app import app_named
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

#: Seconds: a slice, a doorbell's gap, and what a busy machine takes.
BOUND_S = 20.0


def test_held_channel_gets_a_slot_beside_busy_lanes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event a second in each of two lanes, two slots: an idle lane was watched for ten, and gave none back."""
    stack.environ["SOCKUDO_LANES"] = "2"
    monkeypatch.setenv("SOCKUDO_LANES", "2")
    from sockudo_publisher import configure

    configure()
    busy = [next(name for n in range(99) if lane_of(name := stack.channel(f"b{n}"), 2) == lane) for lane in (0, 1)]
    held = next(name for n in range(99) if lane_of(name := stack.channel(f"h{n}"), 2) == 0)
    seen = stack.subscribe(*busy, held)
    journal = app_named().journal
    publish.delay(held, "n", "held")
    holder = journal.acquire(0)
    assert holder is not None
    batch = journal.take(holder, max_items=1, max_bytes=9999).batch
    assert batch is not None
    journal.hold(holder, batch, retry_in_s=6.0)
    journal.hand_over(holder)

    over = threading.Event()

    def traffic() -> None:
        while not over.wait(1.0):
            for channel in busy:
                publish.delay(channel, "n", "x")

    thread = threading.Thread(target=traffic, daemon=True)
    thread.start()
    try:
        stack.worker(concurrency=2)
        assert wait_for(lambda: len(seen.data(busy[0])) > 2, 60)
        assert wait_for(lambda: seen.data(held) == ["held"], 6.0 + BOUND_S)
        assert thread.is_alive()
    finally:
        over.set()
        thread.join()

"""What each step of an event's way costs, one step at a time, in one process: microseconds per event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.json_text import load_orjson
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.publishing.prepare import prepare
from sockudo_publisher.wiring.app import app_named

from .parts import Parts
from .plan import Plan
from .workload import EVENT, data, events

__all__ = ["STEPS", "Steps", "measure"]

#: Events of one batch.
BATCH = 500

#: Events of one flush in bulk.
FLUSH = 2000

STEPS = {
    "text": "of that, the JSON text of its data, by `json`",
    "text by orjson": "the same text with `SOCKUDO_JSON=orjson`",
    "encode": "validate and encode an event, with its id",
    "append one": "append it alone: a script call, a round trip",
    "append bulk": f"append it in a flush of {FLUSH:,}, packs of 100",
    "take": f"take a batch of {BATCH} (mark it, read it)",
    "join": "join its packs into a request body",
    "post": "sign it, send it, read the answer (the server's work included)",
    "settle and take": "settle it and take the next in one round trip",
}


@dataclass
class Steps:
    """Microseconds per event by step: on the clock, and of this process' CPU."""

    wall_us: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str, count: int) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.wall_us.setdefault(step, []).append(wall / count * 1e6)
        self.cpu_us.setdefault(step, []).append(cpu / count * 1e6)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Steps:
    """One lane, no worker, no thread but this one."""
    parts.fresh()
    say("steps: encode, append, take, post, settle")
    result = Steps()
    app = app_named()
    lanes = app.producer.layout().appending.count
    with_orjson = Encoder(json_encoder=load_orjson())
    lane = 0
    bounds = {"max_items": BATCH, "max_bytes": 4 * 1024 * 1024}
    for number in range(plan.steps_rounds + 1):
        if number == 1:
            result = Steps()  # the round before was for connections and caches
        todo = list(events(FLUSH))
        with result.timed("text", FLUSH):
            for _, _, value in todo:
                app.encoder.payload(value)
        with result.timed("text by orjson", FLUSH):
            for _, _, value in todo:
                with_orjson.payload(value)
        with result.timed("encode", FLUSH):
            for channel, name, value in todo:
                prepare(app, PublishCall(channel, name, value))
        # All of one lane, so that there is one queue to take from.
        channels = [f"lane-{index}" for index in range(500) if lane_of(f"lane-{index}", lanes) == lane]
        items: list[Item] = []
        for index in range(FLUSH):
            items += prepare(app, PublishCall(channels[index % len(channels)], EVENT, data(index))).items
        single, bulk = items[: FLUSH // 4], items[FLUSH // 4 :]
        with result.timed("append one", len(single)):
            for item in single:
                app.producer.append([item])
        with result.timed("append bulk", len(bulk)):
            app.producer.append(bulk)
        holder = app.journal.acquire(lane)
        assert holder is not None
        with result.timed("take", BATCH):
            taken = app.journal.take(holder, **bounds)
        left = FLUSH
        while taken.batch is not None:
            batch = taken.batch
            assert batch.count == BATCH
            with result.timed("join", BATCH):
                body = batch.body
            with result.timed("post", BATCH):
                answer = app.client.send("POST", "/batch_events", body=body, timeout=30)
            assert answer.status == 200, answer.status
            left -= batch.count
            if left:
                with result.timed("settle and take", BATCH):
                    taken = app.journal.settle_and_take(holder, batch, **bounds)
            else:
                taken = app.journal.settle_and_take(holder, batch, **bounds)
        assert left == 0, left
        assert app.journal.release(holder)
    return result

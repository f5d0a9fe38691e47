"""Scheduled events: how late they arrive while many wait, what a waiting one costs in Redis, how fast calls are.

``python -m benchmarks.scheduled [--waiting N] [--blocks N]`` runs this part alone, without the peers' environment.

The waiting events are due in a day. The schedule is filled by the script that a call runs, in pipelines, as a million
calls would take minutes. Late is from the due time, by Redis' clock, to the arrival at a local subscriber.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import redis

from sockudo_publisher import publish
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.journal.keys import bucket_of
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.publishing.prepare import prepare
from sockudo_publisher.wiring.app import app_named

from .parts import Parts, parts, worker
from .plan import Plan
from .ratios import percentile
from .workload import CHANNELS, EVENT, data, events

__all__ = ["Scheduled", "measure"]

#: Script calls of one pipeline.
PIPELINE = 500

#: Events of one block, and the seconds over which they fall due.
BLOCK_EVENTS = 200
BLOCK_S = 10.0

#: Seconds from the last call of a block until its first event is due, and until its last one has arrived.
AHEAD_S, ARRIVE_S = 2.0, 15.0

#: Calls whose speed is measured.
CALLS = 1_000


@dataclass
class Scheduled:
    """``waiting`` events beside the measured ones; bytes of Redis' memory, and of the finished event, of each.

    ``late_ms``: p50 and p95 of each block; ``call_us``: the median time of a call.
    """

    waiting: int = 0
    redis_bytes: float = 0.0
    event_bytes: float = 0.0
    call_us: float = 0.0
    late_p50_ms: list[float] = field(default_factory=list)
    late_p95_ms: list[float] = field(default_factory=list)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Scheduled:
    """Fill the schedule, then let blocks of events fall due with one worker."""
    return measure_with(parts, plan.scheduled_waiting, plan.scheduled_blocks, say)


def measure_with(parts: Parts, waiting: int, blocks: int, say: Callable[[str], None]) -> Scheduled:
    parts.fresh()
    result = Scheduled(waiting)
    fill(parts, result)
    say(f"scheduled: {waiting:,} wait, {result.redis_bytes:,.0f} bytes each, {result.event_bytes:,.0f} of them its own")
    result.call_us = calls_us()
    say(f"scheduled: {result.call_us:,.0f} us a call")
    with worker(parts), Subscriber(parts.sockudo.ws_url(), *CHANNELS) as subscriber:
        for number in range(blocks):
            late = block(subscriber, 10_000_000 + number * BLOCK_EVENTS)
            result.late_p50_ms.append(percentile(late, 0.5))
            result.late_p95_ms.append(percentile(late, 0.95))
            texts = f"p50 {result.late_p50_ms[-1]:.0f} ms, p95 {result.late_p95_ms[-1]:.0f} ms"
            say(f"scheduled: block {number + 1} of {blocks}: {texts} late, load {os.getloadavg()[0]:.1f}")
    return result


def fill(parts: Parts, result: Scheduled) -> None:
    """Schedule the waiting events, and measure what they cost."""
    app = app_named()
    due_ms = app.producer.now_ms() + 86_400_000
    with redis.Redis.from_url(parts.redis.url) as client:
        before = int(client.info("memory")["used_memory"])
        commands, size = [], 0
        for channel, name, value in events(result.waiting):
            prepared = prepare(app, PublishCall(channel, name, value), is_keyed=True)
            size += len(prepared.items[0].body)
            items = prepared.keyed_items(prepared.message_id)
            commands.append(app.schedule._command(bucket_of(channel), items, due_ms + random.randrange(86_400_000)))
            if len(commands) == PIPELINE:
                app.producer.link.run(commands)
                commands.clear()
        if commands:
            app.producer.link.run(commands)
        result.redis_bytes = (int(client.info("memory")["used_memory"]) - before) / result.waiting
        result.event_bytes = size / result.waiting
    scheduled = app.schedule_book().summary().count
    if scheduled != result.waiting:
        raise RuntimeError(f"{scheduled} of {result.waiting} are scheduled")


def calls_us() -> float:
    """The median time of a call with a countdown, in microseconds."""
    times = []
    for number in range(CALLS):
        began = time.perf_counter()
        publish.apply_async((CHANNELS[number % len(CHANNELS)], EVENT, data(number)), countdown=86_400)
        times.append((time.perf_counter() - began) * 1e6)
    return percentile(times, 0.5)


def block(subscriber: Subscriber, first: int) -> list[float]:
    """Milliseconds by which each event of a block arrives after it is due."""
    subscriber.pop_events()
    app = app_named()
    redis_ms, began = app.producer.now_ms(), time.monotonic()
    start = datetime.fromtimestamp(redis_ms / 1000, tz=timezone.utc) + timedelta(seconds=AHEAD_S)
    due_s: dict[int, float] = {}
    for number in range(first, first + BLOCK_EVENTS):
        ahead_s = random.uniform(0.0, BLOCK_S)
        value = data(number)
        due_s[value["n"]] = began + AHEAD_S + ahead_s
        eta = start + timedelta(seconds=ahead_s)
        publish.apply_async((CHANNELS[number % len(CHANNELS)], EVENT, value), eta=eta)
    took_s = time.monotonic() - began
    if took_s > AHEAD_S:
        raise RuntimeError(f"{BLOCK_EVENTS} calls took {took_s:.1f} s")
    late: list[float] = []
    until = began + AHEAD_S + BLOCK_S + ARRIVE_S
    while len(late) < BLOCK_EVENTS and time.monotonic() < until:
        late += [(event.at - due_s[json.loads(event.data)["n"]]) * 1000 for event in subscriber.pop_events()]
        time.sleep(0.2)
    if len(late) < BLOCK_EVENTS:
        raise RuntimeError(f"{len(late)} of {BLOCK_EVENTS} arrived")
    return late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--blocks", type=int, default=5)
    chosen = parser.parse_args()
    with parts() as real:
        measure_with(real, chosen.waiting, chosen.blocks, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()

"""From the call to the subscriber: ``publish.delay`` through a worker beside the SDK's ``trigger``, at given rates.

Publisher and subscriber are one process with one clock. The two sides take turns in blocks of a second or so, each
at its rate whatever the answers take, so that a slow answer shows in those after it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sockudo_publisher import publish
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.dev.subscriber import Subscriber

from .parts import Parts, worker
from .plan import Plan
from .ratios import percentile
from .workload import CHANNELS, EVENT, data

__all__ = ["RATES", "Latencies", "measure"]

#: Events a second.
RATES = (20, 100, 300)

#: Seconds that the events of a block may take to arrive.
ARRIVE_S = 10.0


@dataclass
class Latencies:
    """p50 and p95 in milliseconds of each side at each rate, by pair."""

    p50_ms: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    p95_ms: dict[int, dict[str, list[float]]] = field(default_factory=dict)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Latencies:
    """One worker, one subscriber of all channels."""
    from .peers import sdk  # in the peers' environment alone

    parts.fresh()
    result = Latencies()
    own = Sockudo.from_url(parts.sockudo.url)
    with (
        worker(parts),
        Subscriber(parts.sockudo.ws_url(), *CHANNELS) as subscriber,
        sdk.Sockudo.from_url(parts.sockudo.url) as client,
    ):
        sides: dict[str, Callable[[str, object], object]] = {
            "delay": lambda channel, value: publish.delay(channel, EVENT, value),
            "trigger": lambda channel, value: sdk.trigger(client, channel, EVENT, value),
            "own trigger": lambda channel, value: own.trigger(channel, EVENT, value),
        }
        number = 0
        for call in sides.values():  # connections, hot lanes
            block(subscriber, call, 100, 100, number)
            number += 100
        for rate in RATES:
            for pair in range(plan.latency_pairs):
                texts = []
                for name, call in sides.items():
                    count = max(10, int(rate * plan.latency_block_s))
                    times = block(subscriber, call, rate, count, number)
                    number += count
                    p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
                    result.p50_ms.setdefault(rate, {}).setdefault(name, []).append(p50)
                    result.p95_ms.setdefault(rate, {}).setdefault(name, []).append(p95)
                    texts.append(f"{name} {p50:.1f}/{p95:.1f}")
                say(f"latency at {rate}/s: pair {pair + 1} of {plan.latency_pairs}, p50/p95 ms: {', '.join(texts)}")
    own.close()
    return result


def block(
    subscriber: Subscriber, call: Callable[[str, object], object], rate: int, count: int, first: int
) -> list[float]:
    """Milliseconds from call to arrival of ``count`` events at ``rate`` a second."""
    called: dict[int, float] = {}
    before = subscriber.count
    start = time.monotonic()
    for index in range(count):
        wait_s = start + index / rate - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        value = data(first + index)
        called[value["n"]] = time.monotonic()
        call(CHANNELS[index % len(CHANNELS)], value)
    subscriber.wait_for_count(before + count, ARRIVE_S)
    arrived = {json.loads(json.loads(frame)["data"])["n"]: at for at, frame in subscriber.raw()[before:]}
    return [(arrived[number] - at) * 1000 for number, at in called.items()]

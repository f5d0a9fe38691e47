"""What a direct call costs its caller: this package's client beside ``pusher`` and the official SDK.

All talk to a server that does nothing (``trivial.py``), so that what is measured is the client: validating, encoding,
signing, connecting, reading the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sockudo_publisher import Sockudo

from .plan import Plan
from .trivial import trivial_server
from .workload import events

__all__ = ["BATCH", "PEERS_OF_THE_CLIENT", "Called", "measure"]

#: Events of one batch request.
BATCH = 100

#: What this package's client is compared with.
PEERS_OF_THE_CLIENT = ("pusher", "sockudo-http-python")


@dataclass
class Called:
    """Microseconds per call by kind (``trigger``, ``trigger_batch``) and side, by pair: on the clock, and of CPU."""

    wall_us: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    cpu_us: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def measure(plan: Plan, say: Callable[[str], None]) -> Called:
    """Each pair measures every side once, one after the other."""
    from pusher import Pusher  # in the peers' environment alone

    from .peers import sdk

    result = Called()
    todo = list(events(BATCH))
    dicts = [{"channel": channel, "name": name, "data": data} for channel, name, data in todo]
    with trivial_server() as port:
        url = f"http://key:secret@127.0.0.1:{port}/apps/1"
        ours, official = Sockudo.from_url(url), sdk.Sockudo.from_url(url)
        pusher = Pusher("1", "key", "secret", ssl=False, host="127.0.0.1", port=port)
        kinds: dict[str, tuple[int, dict[str, Callable[[int], Any]]]] = {
            "trigger": (
                plan.client_calls,
                {
                    "ours": lambda number: ours.trigger(*todo[number % BATCH]),
                    "pusher": lambda number: pusher.trigger(*todo[number % BATCH]),
                    "sockudo-http-python": lambda number: sdk.trigger(official, *todo[number % BATCH]),
                },
            ),
            "trigger_batch": (
                plan.client_batches,
                {
                    "ours": lambda _: ours.trigger_batch(todo),
                    # It writes into what it is given: each call needs dicts of its own.
                    "pusher": lambda _: pusher.trigger_batch([dict(event) for event in dicts]),
                    "sockudo-http-python": lambda _: sdk.trigger_batch(official, todo),
                },
            ),
        }
        for kind, (count, sides) in kinds.items():
            for call in sides.values():  # connections, caches
                call(0)
            for pair in range(plan.client_pairs):
                for side, call in sides.items():
                    cpu, wall = time.process_time(), time.perf_counter()
                    for number in range(count):
                        call(number)
                    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                    result.wall_us.setdefault(kind, {}).setdefault(side, []).append(wall / count * 1e6)
                    result.cpu_us.setdefault(kind, {}).setdefault(side, []).append(cpu / count * 1e6)
                texts = [f"{side} {values[-1]:,.0f}" for side, values in result.cpu_us[kind].items()]
                say(f"client, {kind}: pair {pair + 1} of {plan.client_pairs}, us of CPU: {', '.join(texts)}")
        ours.close()
        official.close()
    return result

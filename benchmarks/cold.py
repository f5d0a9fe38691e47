"""An event on a lane that has been quiet for longer than a worker watches it, beside a direct call and a warm lane.

A worker watches an empty lane for some seconds and sees the next event at once; later events wait for their doorbell.
Each lane gets a direct call, a cold event and a warm one in turn, one after the other, and then rests while the other
lanes have theirs. Where the time goes is read from Redis' own MONITOR, so that neither process is changed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from sockudo_publisher import publish
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.delivery.watch import HOT_S
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.journal.redis.scripts import script
from sockudo_publisher.wiring.app import app_named

from .parts import Parts, worker
from .plan import Plan
from .workload import CHANNELS, EVENT, data

__all__ = ["HOPS", "SIDES", "Cold", "hops_of", "measure"]

SIDES = ("direct", "warm", "cold")

#: Seconds that a lane rests beyond the watch of its worker, and between two events of one turn.
MARGIN_S = 2.0
BETWEEN_S = 0.1

#: Seconds that an event may take to arrive.
ARRIVE_S = 10.0

#: The way of a cold event: what has happened, and the beginning of the command that Redis has got then.
HOPS = (
    ("the append is at Redis", f"EVALSHA {script('append').sha1}"),
    ("the doorbell is at Redis", "LPUSH {queue} "),
    ("the worker's consumer has the doorbell", "ZADD unacked"),
    ("a thread of its pool asks for the lease", f"EVALSHA {script('acquire').sha1}"),
    ("it takes the event", f"EVALSHA {script('take').sha1}"),
)
ARRIVED = "the subscriber has the event"


@dataclass
class Cold:
    """Milliseconds from call to arrival by side, one by one; and of the cold ones by hop, each since the hop before."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    hops_ms: dict[str, list[float]] = field(default_factory=dict)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Cold:
    """One worker, one subscriber of all channels."""
    parts.fresh()
    lane_of = app_named().producer.layout().appending.lane_of
    channels = list({lane_of(channel): channel for channel in CHANNELS}.values())
    result, seen = Cold(), list[tuple[float, str]]()
    called: dict[str, dict[int, float]] = {side: {} for side in SIDES}
    own = Sockudo.from_url(parts.sockudo.url)
    calls: dict[str, Callable[[str, object], object]] = {
        "direct": lambda channel, value: own.trigger(channel, EVENT, value),
        "cold": lambda channel, value: publish.delay(channel, EVENT, value),
        "warm": lambda channel, value: publish.delay(channel, EVENT, value),
    }
    rest_s = (HOT_S + MARGIN_S) / len(channels)
    wall_from_monotonic = time.time() - time.monotonic()
    with worker(parts), Subscriber(parts.sockudo.ws_url(), *CHANNELS) as subscriber, _watched(parts, seen):
        for channel in channels * 2:  # connections, also of the worker's threads
            for call in calls.values():
                call(channel, data(0))
        time.sleep(HOT_S + MARGIN_S)
        number = 1
        for turn in range(plan.cold_turns):
            for side, call in calls.items():
                value = data(number)
                called[side][value["n"]] = time.time()
                call(channels[turn % len(channels)], value)
                number += 1
                time.sleep(BETWEEN_S)
            time.sleep(rest_s)
        subscriber.wait_for_count(2 * len(channels) * len(calls) + number - 1, ARRIVE_S)
        arrived = {
            json.loads(json.loads(frame)["data"])["n"]: at + wall_from_monotonic for at, frame in subscriber.raw()
        }
    own.close()
    for side, times in called.items():
        result.ms[side] = [(arrived[n] - at) * 1000 for n, at in times.items()]
    for n, at in called["cold"].items():
        for hop, ms in hops_of(seen, get_settings().queue, at, arrived[n]).items():
            result.hops_ms.setdefault(hop, []).append(ms)
    say(f"cold lanes: {plan.cold_turns} events on lanes that were quiet for {HOT_S + MARGIN_S:.0f} s")
    return result


def hops_of(seen: Sequence[tuple[float, str]], queue: str, called: float, arrived: float) -> dict[str, float]:
    """Milliseconds of each hop of one event since the hop before; a hop that Redis has not seen is left out. Pure.

    ``seen``: Redis' commands with their times; ``called``, ``arrived``: of the event, by the same clock.
    """
    found: dict[str, float] = {}
    before = called
    for name, beginning in HOPS:
        start = beginning.format(queue=queue)
        at = next((at for at, text in seen if before <= at <= arrived and text.startswith(start)), None)
        if at is not None:
            found[name] = (at - before) * 1000
            before = at
    found[ARRIVED] = (arrived - before) * 1000
    return found


@contextmanager
def _watched(parts: Parts, seen: list[tuple[float, str]]) -> Iterator[None]:
    """Note every command that Redis gets, with its time, until the block ends."""
    is_over = threading.Event()

    def watch() -> None:
        with redis.Redis.from_url(parts.redis.url) as client, client.monitor() as monitor:
            started.set()
            while not is_over.is_set():
                command = monitor.next_command()
                if command["client_type"] != "lua":
                    seen.append((command["time"], command["command"][:80]))

    started = threading.Event()
    thread = threading.Thread(target=watch, name="bench-monitor", daemon=True)
    thread.start()
    started.wait(ARRIVE_S)
    try:
        yield
    finally:
        is_over.set()
        with redis.Redis.from_url(parts.redis.url) as client:
            client.ping()  # the last command that it waits for
        thread.join(ARRIVE_S)

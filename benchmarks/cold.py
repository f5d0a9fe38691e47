"""An event on a lane that has been quiet for a while; beside it a direct call, a warm lane, and one without a watch.

A worker goes on watching its part of the lanes while they are quiet; an event on any other lane waits for its doorbell.
Each lane gets a direct call, a cold event and a warm one in turn, one after the other, and then rests while the other
lanes have theirs. For the way by the doorbell an operator's pause takes the worker away from all lanes. Where the time
goes is read from Redis' own MONITOR, so that neither process is changed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from sockudo_publisher import operations, publish
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

#: What a lane gets in its turn; and the sides in all.
TURN = ("direct", "cold", "warm")
SIDES = (*TURN, "rung")

#: Seconds that a lane rests beyond the watch that any worker keeps, and between two events of one turn.
MARGIN_S = 2.0
#: Seconds of a pause after which the worker has left all lanes.
LEAVE_S = HOT_S + 4.0
BETWEEN_S = 0.1

#: Seconds that an event may take to arrive.
ARRIVE_S = 10.0

#: The way of an event with a doorbell: what has happened, and the beginning of the command that Redis has got then.
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
    """Milliseconds from call to arrival by side, one by one; and of the rung ones by hop, each since the hop before."""

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
    number = 0

    def call(side: str, channel: str, value: object) -> None:
        (own.trigger if side == "direct" else publish.delay)(channel, EVENT, value)

    def send(side: str, channel: str) -> None:
        nonlocal number
        number += 1
        value = data(number)
        called[side][value["n"]] = time.time()
        call(side, channel, value)
        time.sleep(BETWEEN_S)

    rest_s = (HOT_S + MARGIN_S) / len(channels)
    wall_from_monotonic = time.time() - time.monotonic()
    with worker(parts), Subscriber(parts.sockudo.ws_url(), *CHANNELS) as subscriber, _watched(parts, seen):
        for channel in channels * 2:  # connections, also of the worker's threads
            for side in TURN:
                call(side, channel, data(0))
        time.sleep(HOT_S + MARGIN_S)
        for turn in range(plan.cold_turns):
            for side in TURN:
                send(side, channels[turn % len(channels)])
            time.sleep(rest_s)
        for turn in range(plan.cold_turns):
            if turn % len(channels) == 0:
                operations.pause(reason="bench")
                time.sleep(LEAVE_S)
                operations.resume()
            send("rung", channels[turn % len(channels)])
        subscriber.wait_for_count(2 * len(channels) * len(TURN) + number, ARRIVE_S)
        arrived = {
            json.loads(json.loads(frame)["data"])["n"]: at + wall_from_monotonic for at, frame in subscriber.raw()
        }
    own.close()
    for side, times in called.items():
        result.ms[side] = [(arrived[n] - at) * 1000 for n, at in times.items()]
    for n, at in called["rung"].items():
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

"""Whether a held channel slows the others: a backlog with one of 64 channels held, beside one without, in turns.

The hold is real: a request is dropped while the server works on it, which leaves a claim in the server (for its 120 s),
and a worker finds the stuck item by its search and holds its channel. Then the backlog is stored, and a fresh worker
drains it while it tries the stuck item again and again, a second of the server's time each.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from sockudo_publisher import publish_many
from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.config.settings import DEFAULT_APP
from sockudo_publisher.delivery.outcome import Outcome, Reply, classify
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.doctor.facts.dropped_request import drop_batch
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import hold_keys, lane_keys
from sockudo_publisher.wiring.app import app_named

from .drained import settled, watch
from .parts import Parts, worker
from .plan import Plan
from .rates import middle_rate
from .workload import CHANNELS, EVENT, data, events

__all__ = ["Holds", "measure"]

#: Events of the request that is dropped: the server takes some ten milliseconds for them.
DROPPED = 400

#: Seconds after its last byte at which it is dropped; the server may have finished, or not have begun.
DROP_AFTER_S = (0.001, 0.008)

#: Requests dropped before the server is believed to leave no claim (two of three do).
MAX_DROPPED = 40

#: Seconds in which a worker finds the stuck item: a wait of two, and a search in which each "no" takes one.
FOUND_WITHIN_S = 60.0

#: Seconds of one request of this package.
REQUEST_S = 10.0


@dataclass
class Holds:
    """Events a second delivered, by pair: with the hold, and without; ``retries`` of the stuck item meanwhile."""

    held: list[float] = field(default_factory=list)
    free: list[float] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Holds:
    """Pairs of drains, the order changing."""
    result = Holds()
    for pair in range(plan.holds_pairs):
        for hold in (True, False) if pair % 2 else (False, True):
            parts.fresh()
            if hold:
                rate, retries = held(parts, plan.holds_backlog)
                result.held.append(rate)
                result.retries.append(retries)
            else:
                result.free.append(drained(parts, plan.holds_backlog, plan.holds_backlog))
        rates = f"{result.held[-1]:,.0f}/s ({result.retries[-1]} retries), {result.free[-1]:,.0f}/s"
        say(f"holds: pair {pair + 1} of {plan.holds_pairs}: {rates}")
    return result


def drained(parts: Parts, count: int, wanted: int) -> float:
    """Events a second of the ``wanted`` that are delivered of a backlog of ``count``."""
    publish_many(events(count))
    with settled(parts.redis.url) as look:
        before = look()
        with worker(parts):
            return middle_rate(watch(lambda: look() - before, wanted), wanted)


def held(parts: Parts, count: int) -> tuple[float, int]:
    """The same while a channel is held, and how often its stuck item was tried meanwhile."""
    lane, channel = make_stuck(parts)
    wanted = count - sum(name == channel for name, _, _ in events(count))
    hold = hold_keys(DEFAULT_APP, lane, channel)
    with redis.Redis.from_url(parts.redis.url) as client:

        def tries() -> int:
            return int(client.hget(hold.state, "fence") or 0)  # each attempt takes the lease of the held queue

        before = tries()
        rate = drained(parts, count, wanted)
        retries = tries() - before
        if client.zscore(hold.holds, channel) is None:
            raise RuntimeError("the stuck item was freed while the others were measured")
    return rate, retries


def make_stuck(parts: Parts) -> tuple[int, str]:
    """Leave a claim in the server, and let a worker find it; answers the lane and the channel that is held."""
    journal = app_named().journal
    layout = app_named().producer.layout().appending
    lane = layout.lane_of(CHANNELS[0])
    channels = [channel for channel in CHANNELS if layout.lane_of(channel) == lane]
    leave_claim(parts, journal, lane, channels)
    keys = lane_keys(DEFAULT_APP, lane)
    with redis.Redis.from_url(parts.redis.url) as client, worker(parts):
        if not wait_for(lambda: client.zcard(keys.holds) == 1 and client.xlen(keys.stream) == 0, FOUND_WITHIN_S):
            raise RuntimeError("the worker has found no stuck item")
        [channel] = client.zrange(keys.holds, 0, -1)
    return lane, channel.decode()


def leave_claim(parts: Parts, journal: Journal, lane: int, channels: list[str]) -> None:
    """Send as a worker does, and go away as one that dies: until the server says that an item is in progress."""
    credentials = Credentials.from_url(parts.sockudo.url)
    for _ in range(MAX_DROPPED):
        publish_many((channels[n % len(channels)], EVENT, data(n)) for n in range(DROPPED))
        holder = journal.acquire(lane)
        if holder is None:
            raise RuntimeError("another worker has the lane")
        batch = journal.take(holder, max_items=DROPPED, max_bytes=1 << 22).batch
        assert batch is not None
        drop_batch(credentials, batch.body, after_s=random.uniform(*DROP_AFTER_S), within_s=REQUEST_S)
        response = app_named().client.send("POST", "/batch_events", body=batch.body, timeout=REQUEST_S)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if classify(Reply(response.status, response.body, headers), batch.count).outcome is Outcome.STUCK:
            journal.hand_over(holder)  # marked: its successor sends exactly this
            journal.forget(holder)
            return
        journal.settle(holder, batch)
        journal.hand_over(holder)
        journal.forget(holder)
    raise RuntimeError(f"{MAX_DROPPED} requests were dropped and none left a claim")

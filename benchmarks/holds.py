"""Whether a held channel slows the others: a backlog with one of 64 channels held, beside one without, in turns.

The hold is made as the worker makes it, by the journal's own step, for an item whose turn does not come while this
measures; so all of its channel's events are moved to its queue, and the rest is delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sockudo_publisher import publish_many
from sockudo_publisher.apps import app_named

from .drained import settled, watch
from .parts import Parts, worker
from .plan import Plan
from .rates import middle_rate
from .workload import CHANNELS, EVENT, data, events

__all__ = ["Holds", "measure"]

#: Seconds until the stuck item would be tried again: longer than a measurement.
HELD_S = 3600.0


@dataclass
class Holds:
    """Events a second delivered, by pair: with the hold, and without."""

    held: list[float] = field(default_factory=list)
    free: list[float] = field(default_factory=list)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Holds:
    """Pairs of drains, the order changing."""
    result = Holds()
    for pair in range(plan.holds_pairs):
        for hold in (True, False) if pair % 2 else (False, True):
            parts.fresh()
            (result.held if hold else result.free).append(drained(parts, plan.backlog, hold=hold))
        say(f"holds: pair {pair + 1} of {plan.holds_pairs}: {result.held[-1]:,.0f}/s, {result.free[-1]:,.0f}/s")
    return result


def drained(parts: Parts, count: int, *, hold: bool) -> float:
    """Events a second of what is delivered."""
    wanted = count
    if hold:
        stuck = CHANNELS[0]
        publish_many([(stuck, EVENT, data(0))])
        make_stuck(stuck)
        wanted -= sum(channel == stuck for channel, _, _ in events(count))
    publish_many(events(count))
    with settled(parts.redis.url) as look, worker(parts):
        return middle_rate(watch(look, wanted), wanted)


def make_stuck(channel: str) -> None:
    """Take the channel's one event as a worker does, and hold it."""
    journal = app_named().journal
    lane = app_named().producer.layout().appending.lane_of(channel)
    holder = journal.acquire(lane)
    if holder is None:
        raise RuntimeError("another worker has the lane")
    taken = journal.take(holder, most_items=1, most_bytes=1 << 20)
    if taken.batch is None:
        raise RuntimeError("nothing to hold")
    journal.hold(holder, taken.batch, retry_in_s=HELD_S)
    journal.hand_over(holder)

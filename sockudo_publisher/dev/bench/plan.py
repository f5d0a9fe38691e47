"""How much one run publishes: known before it begins, so that it can be said. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BATCH",
    "DEFAULT_BYTES",
    "DEFAULT_CHANNELS",
    "EVENTS_ALONE",
    "EVENTS_HERE",
    "MIN_BYTES",
    "RATE",
    "Amounts",
    "Plan",
]

#: Events stored and drained, over all rounds, if this program started all parts.
EVENTS_ALONE = 60_000
#: The same on a deployment, which has other work.
EVENTS_HERE = 3_000
#: As in ``benchmarks/``, so that the figures can be laid side by side; bytes are those of an event's data.
DEFAULT_CHANNELS, DEFAULT_BYTES = 64, 230
#: No fewer bytes than any number needs: load.py.
MIN_BYTES = 32

#: Both sides take turns so often: what disturbs the machine for a moment is in one round, and shows.
ROUNDS = 3
#: Events of one ``trigger_batch``: Sockudo takes that many with its default settings.
BATCH = 100
#: Single calls of a side in each round: one for that number of events in bulk, within these bounds.
EVENTS_PER_CALL, MIN_CALLS, MAX_CALLS = 20, 10, 1000
#: Events a second of the light load, and how many a side in each round, likewise: it takes most of a run's time.
RATE = 20
EVENTS_PER_LIGHT, MIN_LIGHT, MAX_LIGHT = 25, 10, 40


@dataclass(frozen=True)
class Amounts:
    """Events of each part of a round, on either side: single calls, in bulk, at the light load."""

    calls: int
    bulk: int
    light: int

    @property
    def total(self) -> int:
        """All of a round's events: every part is published through the queue and directly."""
        return 2 * (self.calls + self.bulk + self.light)


#: A round that does not count: connections, scripts, caches.
WARM_UP = Amounts(calls=10, bulk=2 * BATCH, light=5)


@dataclass(frozen=True)
class Plan:
    """``events`` are those in bulk through the queue, over all rounds; the rest is in proportion."""

    events: int = EVENTS_ALONE
    channels: int = DEFAULT_CHANNELS
    bytes: int = DEFAULT_BYTES
    rounds: int = ROUNDS
    warm_up: Amounts = WARM_UP

    @property
    def each(self) -> Amounts:
        """What a round publishes."""
        bulk = max(2, self.events // self.rounds)
        calls = max(MIN_CALLS, min(MAX_CALLS, bulk // EVENTS_PER_CALL))
        return Amounts(calls, bulk, max(MIN_LIGHT, min(MAX_LIGHT, bulk // EVENTS_PER_LIGHT)))

    @property
    def total(self) -> int:
        """All events of the run, with the first one, which shows that there is a worker."""
        return 1 + self.warm_up.total + self.rounds * self.each.total

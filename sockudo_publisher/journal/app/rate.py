"""The rate limit of an app (``SOCKUDO_MAX_RATE``): one token bucket in Redis for all its workers.

A token is an event sent for the first time; resends of a marked batch are paid for already. The bucket
lives under the app, apart from the lanes: a worker that dies between taking tokens and sending has wasted
them, one that dies between marking a batch and paying leaves a batch that its successor resends unpaid.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..redis.link import RedisLink

__all__ = ["Grant", "Rate", "burst"]

#: Seconds of rest that the bucket saves up: what may go at once after a lull, on top of the rate.
BURST_S = 1.0


@dataclass(frozen=True)
class Grant:
    """``tokens`` may be spent now; if these were not all, ask again in ``wait_s``."""

    tokens: int
    wait_s: float


def burst(rate: float) -> int:
    """The most that goes at once, in events: a second's worth, at least one. Pure."""
    return max(1, int(rate * BURST_S))


class Rate:
    """The bucket of one app. ``per_s``: events per second over all workers, more than 0."""

    def __init__(self, link: RedisLink, app: str, per_s: float) -> None:
        assert per_s > 0, "no limit is no Rate"
        self._link = link
        self._key = link.keyspace.app(app).rate
        self._per_s = per_s

    def take(self, wanted: int) -> Grant:
        """At most ``wanted`` tokens, at once. Raises :class:`JournalUnavailable`."""
        _, granted, wait_ms = self._link.script("rate", (self._key,), (self._per_s, burst(self._per_s), wanted))
        return Grant(int(granted), int(wait_ms) / 1000)

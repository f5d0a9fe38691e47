"""The rate limit of an app (``SOCKUDO_MAX_RATE``): one token bucket in Redis for all its workers.

A token is an event sent for the first time; a resend of a marked batch needs no tokens. The bucket is a key of the app,
apart from the lanes: a worker that dies between taking tokens and sending wastes them; one that dies between marking a
batch and taking tokens leaves a batch that its successor sends without tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..redis.link import RedisLink

__all__ = ["Grant", "Rate", "burst"]

#: Seconds without sends that fill the bucket: it allows a burst of that many seconds of the rate.
BURST_S = 1.0


@dataclass(frozen=True)
class Grant:
    """``tokens`` may be spent now; if they are fewer than wanted, ask again in ``wait_s``."""

    tokens: int
    wait_s: float


def burst(rate: float) -> int:
    """The largest burst in events: one second of the rate, at least 1. Pure."""
    return max(1, int(rate * BURST_S))


class Rate:
    """The bucket of one app. ``per_s``: events per second over all workers, more than 0."""

    def __init__(self, link: RedisLink, app: str, per_s: float) -> None:
        assert per_s > 0, "a rate of 0 means no limit: no Rate is made"
        self._link = link
        self._key = link.keyspace.app(app).rate
        self._per_s = per_s

    def take(self, wanted: int) -> Grant:
        """Take at most ``wanted`` tokens, without waiting. Raises :class:`JournalUnavailable`."""
        _, granted, wait_ms = self._link.script("rate", (self._key,), (self._per_s, burst(self._per_s), wanted))
        return Grant(int(granted), int(wait_ms) / 1000)

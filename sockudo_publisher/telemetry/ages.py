"""How long events were in the journal, counted in buckets: one weighted observation per entry, not per event. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

__all__ = ["BOUNDS_S", "Ages", "percentile_s", "weigh_ages"]

#: Upper bounds of the buckets in seconds: a doorbell takes a millisecond or two, a server may be away for half an hour.
#: What is older than the last bound is in one more bucket.
BOUNDS_S: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

_BOUNDS_MS: Final = tuple(int(bound * 1000) if bound >= 0.01 else bound * 1000 for bound in BOUNDS_S)


class Ages(NamedTuple):
    """``counts``: events by bucket, and one number more for older ones; ``total_s``: the sum of all ages."""

    counts: Sequence[int]
    total_s: float


def weigh_ages(now_ms: int, entries: Iterable[tuple[int, int]]) -> Ages:
    """Ages at ``now_ms`` of entries, each ``(stored at, ms; events)``. Both times are Redis'."""
    counts = [0] * (len(BOUNDS_S) + 1)
    total_ms = 0
    for stored_ms, events in entries:
        age_ms = max(0, now_ms - stored_ms)  # below 0 after a failover to a node whose clock is behind
        counts[bisect_left(_BOUNDS_MS, age_ms)] += events
        total_ms += age_ms * events
    return Ages(counts, total_ms / 1000)


def percentile_s(counts: Sequence[int], share: float) -> float:
    """The age below which this share of the events is, to the precision of the buckets; the last bound at most."""
    wanted, seen, lower = share * sum(counts), 0, 0.0
    for count, bound in zip(counts, BOUNDS_S, strict=False):
        if count and seen + count >= wanted:
            return lower + (bound - lower) * (wanted - seen) / count
        seen, lower = seen + count, bound
    return lower

"""How long events were in the journal, counted in buckets: one weighted observation per entry, not per event. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
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


def weigh_ages(now_ms: int, stored_ms: Sequence[int], events: Sequence[int]) -> Ages:
    """Ages at ``now_ms`` of entries: when each was stored, oldest first, and its events. All times are Redis'."""
    # A batch may have 500 entries of one event: whole lists at a time, and a search per bucket instead of per entry.
    up_to = [0, *accumulate(events)]
    counts: list[int] = []
    younger = up_to[-1]  # events that are in no bucket yet: a prefix, as the first are the oldest
    for bound_ms in _BOUNDS_MS:
        older = up_to[bisect_left(stored_ms, now_ms - bound_ms)]
        counts.append(younger - older)
        younger = older
    counts.append(younger)
    total_ms = now_ms * up_to[-1] - sum(map(mul, stored_ms, events))
    return Ages(counts, max(0, total_ms) / 1000)  # below 0 after a failover to a node whose clock is behind


def percentile_s(counts: Sequence[int], share: float) -> float:
    """The age below which this share of the events is, to the precision of the buckets; the last bound at most."""
    wanted, seen, lower = share * sum(counts), 0, 0.0
    for count, bound in zip(counts, BOUNDS_S, strict=False):
        if count and seen + count >= wanted:
            return lower + (bound - lower) * (wanted - seen) / count
        seen, lower = seen + count, bound
    return lower

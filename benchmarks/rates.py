"""Rates over the middle of a run. Pure.

Left out are its start (first requests, cold caches) and its end (lanes that are done early).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MIDDLE", "at_count", "middle_rate"]

#: From a tenth to nine tenths of a run's events.
MIDDLE = (0.1, 0.9)


def at_count(samples: Sequence[tuple[float, float]], count: float) -> float:
    """The value at which a growing count reached ``count``, from samples of (value, count).

    Between two samples a straight line is drawn.

    Raises :class:`ValueError` when it never did.
    """
    before: tuple[float, float] | None = None
    for value, reached in samples:
        if reached >= count:
            if before is None or reached == before[1]:
                return value
            share = (count - before[1]) / (reached - before[1])
            return before[0] + share * (value - before[0])
        before = (value, reached)
    raise ValueError(f"count: {count:g} was never reached, the most was {before[1] if before else 0:g}")


def middle_rate(samples: Sequence[tuple[float, float]], total: int) -> float:
    """Events a second between a tenth and nine tenths of ``total``, from samples of (seconds, events so far)."""
    if not samples or samples[0][1] >= MIDDLE[0] * total:
        raise ValueError("samples: they begin after a tenth of the run")
    start, end = (at_count(samples, share * total) for share in MIDDLE)
    if end <= start:
        raise ValueError(f"samples: too few to tell a rate from {len(samples)}")
    return (MIDDLE[1] - MIDDLE[0]) * total / (end - start)

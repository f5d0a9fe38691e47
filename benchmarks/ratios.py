"""Medians with their spread, and ratios of things measured one right after the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Spread", "of_pairs", "percentile", "spread"]


@dataclass(frozen=True)
class Spread:
    """A median and the least and the most of what it was taken from."""

    middle: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 0, unit: str = "") -> str:
        """As in ``18,200/s (17,900-18,600)``."""
        low, high = f"{self.low:,.{digits}f}", f"{self.high:,.{digits}f}"
        return f"{self.middle:,.{digits}f}{unit} ({low} to {high})"


def spread(values: Sequence[float]) -> Spread:
    """The median of some values, with the least and the most."""
    if not values:
        raise ValueError("values: none")
    return Spread(median(values), min(values), max(values), len(values))


def of_pairs(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The ratio of each pair: what disturbs a machine for a while disturbs both sides of a pair."""
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values are (nearest rank)."""
    if not values:
        raise ValueError("values: none")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

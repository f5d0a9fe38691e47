"""Medians, rates and ratios of measured times, as a table for people and as values for programs. Pure.

The two sides of a pair run one directly after the other, and are compared within each round: a temporary slowdown of
the machine slows both. A ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ..tally import Verdict
from .plan import BATCH, RATE, Plan

__all__ = ["DIRECT", "RATES", "TIMES", "Row", "Samples", "describe_verdict", "percentile", "rates", "times", "values"]

#: A row of a table: name, figure, spread, and the ratios to the direct calls.
Row = tuple[str, ...]

#: The columns of :func:`times` and of :func:`rates`.
TIMES = ("", "median", "95 %", "x trigger")
RATES = ("", "events/s", "least to most", "x trigger", "x batch", "x ids")

#: The two sides of a pair.
SIDES = ("delay", "trigger")
#: The direct calls with which the queue's rates are compared.
DIRECT = ("trigger", "trigger_batch", "trigger_batch_with_ids")


@dataclass
class Samples:
    """The measurements by side: lists with an entry for each round.

    ``call_us`` and ``latency_ms`` hold the value of every call (``delay``, ``trigger``); ``rates`` are events a second
    (``publish_many``, ``drained`` and those of ``DIRECT``).
    """

    call_us: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    latency_ms: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def percentile(numbers: Sequence[float], share: float) -> float:
    """The least number that at least ``share`` of them do not exceed (nearest rank)."""
    if not numbers:
        raise ValueError("numbers: none")
    ordered = sorted(numbers)
    rank = -(-len(ordered) * round(share * 1000) // 1000)  # rounded up, without the noise of a float
    return ordered[max(0, rank - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each pair."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


def values(samples: Samples, verdict: Verdict, plan: Plan) -> dict[str, Any]:
    """For programs: the result of a run. ``ok``: every event arrived once, in its channel's order, unaltered."""
    return {
        "ok": verdict.ok,
        "load": {"events": plan.events, "channels": plan.channels, "bytes": plan.bytes, "rounds": plan.rounds},
        "arrived": {
            "published": verdict.published,
            "seen": verdict.seen,
            "lost": verdict.lost,
            "repeated": verdict.duplicates,
            "out_of_order": verdict.out_of_order,
            "altered": verdict.altered,
        },
        "call_us": {side: _quantiles(samples.call_us[side], 1) for side in SIDES},
        "latency_ms": {side: _quantiles(samples.latency_ms[side], 3) for side in SIDES},
        "events_per_s": {
            name: {"median": round(median(found)), "least": round(min(found)), "most": round(max(found))}
            for name, found in sorted(samples.rates.items())
        },
        "ratios": {name: round(value, 3) for name, value in _ratios(samples).items()},
    }


def times(samples: Samples) -> list[Row]:
    """For people: the time of a call, and the time until the subscriber has the event."""
    found = _ratios(samples)
    rows: list[Row] = []
    for what, rounds_of, unit, digits, compared in (
        ("a call", samples.call_us, "µs", 0, found["delay_to_trigger"]),
        (f"call to subscriber, {RATE}/s", samples.latency_ms, "ms", 1, found["delay_to_trigger_latency"]),
    ):
        for side, name in zip(SIDES, ("publish.delay", "trigger"), strict=True):
            middle, high = (f"{figure:,.{digits}f} {unit}" for figure in _pooled(rounds_of[side]))
            rows.append((f"{name}, {what}", middle, high, f"{compared:.2f}" if side == "delay" else ""))
    return rows


def rates(samples: Samples, *, here: bool) -> list[Row]:
    """For people: events a second."""
    found = _ratios(samples)
    rows: list[Row] = []
    for name, what in (
        ("publish_many", "publish_many, stored"),
        ("drained", f"drained by {'the workers' if here else 'one worker'}"),
        ("trigger", "trigger, one by one"),
        ("trigger_batch", f"trigger_batch of {BATCH}"),
        ("trigger_batch_with_ids", "the same, with ids"),
    ):
        each = samples.rates[name]
        beside = [found.get(f"{name}_to_{other}") for other in DIRECT]
        shown = ["" if value is None else f"{value:.1f}" for value in beside]
        rows.append((what, f"{median(each):,.0f}", f"{min(each):,.0f}-{max(each):,.0f}", *shown))
    return rows


def describe_verdict(verdict: Verdict) -> str:
    """For people: whether each event arrived once."""
    if verdict.ok:
        return f"Each of the {verdict.published:,} events arrived exactly once, in order."
    wrong = {"lost": verdict.lost, "repeated": verdict.duplicates, "out of order": verdict.out_of_order}
    found = [f"{count:,} {name}" for name, count in wrong.items() if count] or ["some altered"]
    return f"Not each of the {verdict.published:,} events arrived exactly once: {', '.join(found)}."


def _ratios(samples: Samples) -> dict[str, float]:
    """Below 1 is better for times, above 1 for rates."""
    call, latency = (
        {side: [median(each) for each in rounds] for side, rounds in found.items()}
        for found in (samples.call_us, samples.latency_ms)
    )
    return {
        "delay_to_trigger": ratio(call["delay"], call["trigger"]),
        "delay_to_trigger_latency": ratio(latency["delay"], latency["trigger"]),
        **{
            f"{ours}_to_{direct}": ratio(samples.rates[ours], samples.rates[direct])
            for ours in ("publish_many", "drained")
            for direct in DIRECT
        },
    }


def _pooled(rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """p50 and p95 of all rounds' calls."""
    pooled = [one for each in rounds for one in each]
    return median(pooled), percentile(pooled, 0.95)


def _quantiles(rounds: Sequence[Sequence[float]], digits: int) -> dict[str, float]:
    middle, high = _pooled(rounds)
    return {"p50": round(middle, digits), "p95": round(high, digits)}

"""What the answers to canaries mean: whether the server remembers ids, for how long, and what to change there. Pure.

Near its limit the server's memory cache keeps ids at random, so one canary proves little: "remembers" needs ten
answers, and one forgotten canary is enough for "forgets" (seen on 5.2.0: docs/reliability.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from .schedule import beat_s
from .values import Beat, CanaryAnswer, MemoryReport

__all__ = ["advice", "capacity", "current_report", "judge_answers", "peak_rate", "summary"]

#: Answers needed for the verdict "remembers".
ENOUGH: Final = 10

#: Beats after which a young canary has been asked, also on a busy machine: it is due after one beat. If only older
#: canaries are forgotten, age is the cause.
YOUNG_BEATS: Final = 2

#: Recommended capacity as a multiple of the ids of a window: room for bursts and for the cache's other entries.
ROOM: Final = 2.0

#: The smallest recommended capacity; the server's default is 10,000.
MIN_CAPACITY: Final = 100_000

#: Events per second below which no capacity is advised: a number from so few would be a guess.
MIN_RATE: Final = 1.0


def judge_answers(answers: Sequence[CanaryAnswer], now_ms: int, window_s: float, before: MemoryReport) -> MemoryReport:
    """The report of the last window's answers. ``before``: the previous report.

    Under ``forgets``: if age is the cause, ``remembered_s`` is the oldest age still remembered; otherwise 0.
    """
    window_ms = window_s * 1000
    counted = [
        one
        for one in answers
        # After the window only "remembered" is evidence: the server may forget the id then.
        if now_ms - window_ms < one.asked_ms <= now_ms and (one.remembered or one.age_ms <= window_ms)
    ]
    remembered = [one.age_ms for one in counted if one.remembered]
    forgotten = [one for one in counted if not one.remembered]
    # At most a window ahead: a later time comes from a clock that was set back, or is no time.
    kept_ms = min(before.forgets_until_ms, now_ms + int(window_ms))
    until_ms = max([kept_ms, *(one.asked_ms + int(window_ms) for one in forgotten)])
    forgets = until_ms > now_ms
    remembered_s = max(remembered, default=0) / 1000
    forgotten_from_s = min((one.age_ms for one in forgotten), default=0) / 1000
    has_known_age = not forgets or _is_forgotten_by_age(remembered_s, forgotten_from_s, window_s)
    return MemoryReport(
        verdict="forgets" if forgets else "remembers" if len(counted) >= ENOUGH else "unknown",
        remembered_s=remembered_s if has_known_age else 0.0,
        asked=len(counted),
        forgotten=len(forgotten),
        forgotten_from_s=forgotten_from_s,
        rate=before.rate,
        window_s=window_s,
        forgets_until_ms=until_ms if forgets else 0,
        at_ms=now_ms,
    )


def _is_forgotten_by_age(remembered_s: float, forgotten_from_s: float, window_s: float) -> bool:
    """Whether young ids are remembered and old ones are not: the time to live is too short, or old ids are evicted.

    A full memory cache forgets young ids. An emptied one had remembered older ids before (except in its first
    window). The two ages may overlap by up to a beat, the precision of the measurement.
    """
    beat = beat_s(window_s)
    return forgotten_from_s > YOUNG_BEATS * beat and 0 < remembered_s <= forgotten_from_s + beat


def current_report(report: MemoryReport, now_ms: int) -> MemoryReport:
    """The report while it is younger than its window; after that ``unknown``, as no worker sends canaries."""
    return report if now_ms - report.at_ms <= report.window_s * 1000 else MemoryReport(window_s=report.window_s)


def peak_rate(beat: Beat, window_s: float) -> tuple[float, int]:
    """Events per second in the busiest beat of the last window, and the time of that beat (Redis' time, ms)."""
    rate = 0.0
    if beat.before_ms and beat.now_ms > beat.before_ms:
        rate = max(0.0, (beat.settled - beat.before) * 1000 / (beat.now_ms - beat.before_ms))
    if rate >= beat.peak_rate or beat.now_ms - beat.peak_ms > window_s * 1000:
        return round(rate, 1), beat.now_ms
    return beat.peak_rate, beat.peak_ms


def capacity(rate: float, window_s: float) -> int:
    """The number of ids to allow in the server's cache at ``rate`` events per second: two digits, rounded up."""
    wanted = max(float(MIN_CAPACITY), rate * window_s * ROOM)
    unit = int(10 ** (math.floor(math.log10(wanted)) - 1))
    return math.ceil(wanted / unit) * unit


def summary(report: MemoryReport) -> str:
    """The report as one line of text, without advice."""
    match report.verdict:
        case "remembers":
            return f"the server remembers ids for {report.remembered_s:.0f} s at least ({report.asked} asked)"
        case "forgets":
            if not report.forgotten:
                return "the server does not remember ids"
            return f"the server does not remember ids: {report.forgotten} of {report.asked} were forgotten"
        case _:
            return f"not known yet whether the server remembers ids ({report.asked} asked)"


def advice(report: MemoryReport) -> str:
    """The setting of the server to change, and its new value; ``""`` if no change is needed."""
    if report.verdict != "forgets":
        return ""
    if report.remembered_s:
        first = _longer(report)
    elif _capacity(report):
        first = _larger(report)
    else:
        return _restarted_or_full(report)
    return f"{first}. After a restart of Sockudo or of its cache this passes within {_settled_s(report):g} s"


def _settled_s(report: MemoryReport) -> float:
    """Seconds after a restart of the server until nothing that it has forgotten counts any more, at most.

    An id from before the restart is asked for until it is a window old, and that answer counts for a window; the last
    questions are put before the second window ends.
    """
    return 2 * report.window_s


def _larger(report: MemoryReport) -> str:
    """Advice if new ids are forgotten: the dedup memory is full."""
    window = f"{report.window_s:g}"
    return (
        f"set {_capacity(report)} in Sockudo's configuration (CACHE_MAX_CAPACITY; default 10000; keep a larger value) "
        f"for {report.rate:,.0f} events/s over {window} s, more if others publish to it too, or use its Redis cache "
        f'([cache] driver = "redis", without eviction and with persistence; needed where several nodes share an app); '
        f"[idempotency] ttl_seconds must be at least {window}"
    )


def _restarted_or_full(report: MemoryReport) -> str:
    """Advice if new ids are forgotten while the workers deliver next to nothing: no number can be named."""
    window = f"{report.window_s:g}"
    return (
        f"nothing if Sockudo or its cache was restarted within the last {_settled_s(report):g} s: this passes by "
        f"itself. Otherwise keep [cache.memory] max_capacity (CACHE_MAX_CAPACITY; default 10000) above the ids that "
        f"all publishers send in {window} s, and [idempotency] ttl_seconds at least {window}; several nodes need one "
        f"Redis cache"
    )


def _longer(report: MemoryReport) -> str:
    """Advice if only old ids are forgotten: the time to live is too short, or the oldest are evicted."""
    window = math.ceil(report.window_s)
    capacity_text = _capacity(report) or "[cache.memory] max_capacity"
    return (
        f"set [idempotency] ttl_seconds = {window} in Sockudo's configuration (IDEMPOTENCY_TTL_SECONDS; the app's own "
        f"policy.idempotency.ttl_seconds and [cache.memory] ttl not below it): ids were remembered after "
        f"{report.remembered_s:.1f} s, and forgotten after {report.forgotten_from_s:.1f} s. Where they are set so, the "
        f"cache drops the oldest: a Redis cache needs maxmemory-policy noeviction and room, the memory cache "
        f"{capacity_text} or more"
    )


def _capacity(report: MemoryReport) -> str:
    """The capacity for the measured rate; ``""`` if the workers delivered too little for a number."""
    if report.rate < MIN_RATE:
        return ""
    return f"[cache.memory] max_capacity = {capacity(report.rate, report.window_s)}"

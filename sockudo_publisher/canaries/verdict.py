"""What the answers to canaries mean: whether the server remembers ids, for how long, and what to change there. Pure.

Near the limit of the server's memory cache it is a lottery which ids it keeps, so one canary is a coin flip: ten or
more are judged, and one forgotten among them is enough (seen on 5.2.0: docs/reliability.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from .schedule import beat_s
from .values import Beat, CanaryAnswer, MemoryReport

__all__ = ["advice", "capacity", "current_report", "judge_answers", "peak_rate", "summary"]

#: Answers that a good word needs.
ENOUGH: Final = 10


#: Beats after which a young canary has been asked, also on a busy machine: it is due after one. What is
#: forgotten later than that, while all younger ones are remembered, is forgotten for its age.
YOUNG_BEATS: Final = 2


#: Times the ids of a window that a server should have room for: bursts, and what else its cache keeps.
ROOM: Final = 2.0


#: The smallest room worth setting; the server's default is 10,000.
MIN_CAPACITY: Final = 100_000


def judge_answers(answers: Sequence[CanaryAnswer], now_ms: int, window_s: float, before: MemoryReport) -> MemoryReport:
    """The report of the last window's answers. ``before``: the report before this one.

    Of a server that forgets: if age is the cause, ``remembered_s`` is the oldest age still remembered; otherwise 0.
    """
    window_ms = window_s * 1000
    counted = [
        one
        for one in answers
        # Asked too late, only "remembered" means anything: forgetting is the server's right then.
        if now_ms - window_ms < one.asked_ms <= now_ms and (one.remembered or one.age_ms <= window_ms)
    ]
    remembered = [one.age_ms for one in counted if one.remembered]
    forgotten = [one for one in counted if not one.remembered]
    # Never further off than a window: more is a clock that was set back, or no time at all.
    kept_ms = min(before.forgets_until_ms, now_ms + int(window_ms))
    until_ms = max([kept_ms, *(one.asked_ms + int(window_ms) for one in forgotten)])
    forgets = until_ms > now_ms
    remembered_s = max(remembered, default=0) / 1000
    forgotten_from_s = min((one.age_ms for one in forgotten), default=0) / 1000
    is_told = not forgets or _is_forgotten_by_age(remembered_s, forgotten_from_s, window_s)
    return MemoryReport(
        verdict="forgets" if forgets else "remembers" if len(counted) >= ENOUGH else "unknown",
        remembered_s=remembered_s if is_told else 0.0,
        asked=len(counted),
        forgotten=len(forgotten),
        forgotten_from_s=forgotten_from_s,
        rate=before.rate,
        window_s=window_s,
        forgets_until_ms=until_ms if forgets else 0,
        at_ms=now_ms,
    )


def _is_forgotten_by_age(remembered_s: float, forgotten_from_s: float, window_s: float) -> bool:
    """Whether young ids are remembered and old ones are not: a time to live that is too short, or an eviction.

    A full memory forgets young ids; a lost one has remembered older ids before it was lost, except in its
    first window. The measurement itself overlaps by up to a beat.
    """
    beat = beat_s(window_s)
    return forgotten_from_s > YOUNG_BEATS * beat and 0 < remembered_s <= forgotten_from_s + beat


def current_report(report: MemoryReport, now_ms: int) -> MemoryReport:
    """The report while it is younger than its window; after that nothing is known, as no worker asks any more."""
    return report if now_ms - report.at_ms <= report.window_s * 1000 else MemoryReport(window_s=report.window_s)


def peak_rate(beat: Beat, window_s: float) -> tuple[float, int]:
    """Events per second of the busiest beat of the last window, and when that was (Redis' time, ms)."""
    rate = 0.0
    if beat.before_ms and beat.now_ms > beat.before_ms:
        rate = max(0.0, (beat.settled - beat.before) * 1000 / (beat.now_ms - beat.before_ms))
    if rate >= beat.peak_rate or beat.now_ms - beat.peak_ms > window_s * 1000:
        return round(rate, 1), beat.now_ms
    return beat.peak_rate, beat.peak_ms


def capacity(rate: float, window_s: float) -> int:
    """Ids that the server's cache needs room for, at ``rate`` events per second: two digits, rounded up."""
    wanted = max(float(MIN_CAPACITY), rate * window_s * ROOM)
    unit = int(10 ** (math.floor(math.log10(wanted)) - 1))
    return math.ceil(wanted / unit) * unit


def summary(report: MemoryReport) -> str:
    """One line for people: what is known, without advice."""
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
    """Which setting of the server to change, and to what; ``""`` when nothing has to be changed."""
    if report.verdict != "forgets":
        return ""
    first = _longer(report) if report.remembered_s else _larger(report)
    return f"{first}. After a restart of Sockudo or of its cache this passes within {report.window_s:g} s"


def _larger(report: MemoryReport) -> str:
    """New ids are forgotten: the memory is full."""
    window = f"{report.window_s:g}"
    wanted_for = f"for {report.rate:,.0f} events/s over {window} s" if report.rate else f"over {window} s"
    return (
        f"set [cache.memory] max_capacity = {capacity(report.rate, report.window_s)} in Sockudo's configuration "
        f"(CACHE_MAX_CAPACITY; default 10000) {wanted_for}, more if others publish to it too, or use its Redis cache "
        f'([cache] driver = "redis", without eviction and with persistence; needed where several nodes share an app); '
        f"[idempotency] ttl_seconds must be at least {window}"
    )


def _longer(report: MemoryReport) -> str:
    """Old ids are forgotten, and new ones are not: their time is too short, or the oldest are evicted."""
    window = math.ceil(report.window_s)
    return (
        f"set [idempotency] ttl_seconds = {window} in Sockudo's configuration (IDEMPOTENCY_TTL_SECONDS; the app's own "
        f"policy.idempotency.ttl_seconds and [cache.memory] ttl not below it): ids were remembered after "
        f"{report.remembered_s:.1f} s, and forgotten after {report.forgotten_from_s:.1f} s. Where they are set so, the "
        f"cache drops the oldest: a Redis cache needs maxmemory-policy noeviction and room, the memory cache "
        f"[cache.memory] max_capacity = {capacity(report.rate, report.window_s)}"
    )

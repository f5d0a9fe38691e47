"""Whether the server remembers ids: when canaries are planted and asked, and what the answers mean. Pure.

Sockudo's memory cache stops remembering *new* ids, in silence, once it holds ``max_capacity`` of them
(10,000 by default; a steady 83 events/s at the default window). Near the limit it is a lottery, so one
canary is a coin flip: ten or more are judged, and one forgotten among them is enough (seen on 5.2.0:
docs/reliability.md). Young canaries find a full memory within seconds; old ones, asked at ages all over
the window, find a shorter time to live, an eviction of the oldest, and a memory that came back empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from .values import Beat, Canary, CanaryAnswer, MemoryReport

__all__ = [
    "AFTER_TROUBLE",
    "advice",
    "after_trouble",
    "ages_to_plant",
    "askable",
    "beat_s",
    "capacity",
    "current",
    "due",
    "judge",
    "rate_seen",
    "summary",
]

#: Beats of a window: each plants a young canary, every second one an old one too.
BEATS: Final = 24

#: Seconds between two beats at most: with the default window a full memory is told within two of them.
MAX_BEAT_S: Final = 5.0

#: Old canaries of a window, and so the ages at which they are asked.
OLD: Final = 12

#: The order of those ages is scattered by steps of so many (it shares no factor with OLD), so that a
#: third of a window already has young and old.
OLD_STEP: Final = 5

#: The oldest age that is asked, of the window: the answer has to come inside it.
OLDEST: Final = 0.9

#: Answers that a good word needs.
ENOUGH: Final = 10

#: Beats after which a young canary has been asked, also on a busy machine: it is due after one. What is
#: forgotten later than that, while all younger ones are remembered, is forgotten for its age.
YOUNG_BEATS: Final = 2

#: Canaries asked after trouble, before anything is resent.
AFTER_TROUBLE: Final = 3

#: Times the ids of a window that a server should have room for: bursts, and what else its cache keeps.
ROOM: Final = 2.0

#: The smallest room worth setting; the server's default is 10,000.
MIN_CAPACITY: Final = 100_000


def beat_s(window_s: float) -> float:
    """Seconds between two beats."""
    return min(MAX_BEAT_S, window_s / BEATS)


def ages_to_plant(beat: int, window_s: float) -> tuple[float, ...]:
    """The ages, in seconds, at which the canaries of this beat are to be asked."""
    young = beat_s(window_s)
    beats_per_old = max(1, round(window_s / OLD / young))
    if beat % beats_per_old:
        return (young,)
    place = (beat // beats_per_old * OLD_STEP) % OLD + 1
    return young, max(young, window_s * OLDEST * place / OLD)


def askable(canary: Canary, now_ms: int, window_s: float) -> bool:
    """Whether a canary's answer would still mean something: the server may forget what is older than the window."""
    return now_ms - canary.planted_ms <= window_s * 1000 * (1 + OLDEST) / 2


def due(canaries: Sequence[Canary], now_ms: int) -> list[Canary]:
    """Those whose time has come."""
    return [one for one in canaries if one.planted_ms + one.ask_ms <= now_ms]


def after_trouble(canaries: Sequence[Canary], now_ms: int, since_ms: int, window_s: float) -> list[Canary]:
    """Which to ask when the server answers again: the youngest that were planted before the trouble began.

    Where there is none, the oldest that were planted in it: each probe plants one, so that a memory lost
    between two probes is noticed too.
    """
    alive = sorted((one for one in canaries if askable(one, now_ms, window_s)), key=lambda one: one.planted_ms)
    before = [one for one in alive if one.planted_ms <= since_ms]
    return (before[-AFTER_TROUBLE:] or alive[:AFTER_TROUBLE])[::-1]


def judge(answers: Sequence[CanaryAnswer], now_ms: int, window_s: float, before: MemoryReport) -> MemoryReport:
    """What the answers of the last window say; ``before``: what was said last.

    Of a server that forgets ``remembered_s`` says up to which age it remembers, if it is the age that decides.
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
    return MemoryReport(
        verdict="forgets" if forgets else "remembers" if len(counted) >= ENOUGH else "unknown",
        remembered_s=remembered_s if not forgets or _by_age(remembered_s, forgotten_from_s, window_s) else 0.0,
        asked=len(counted),
        forgotten=len(forgotten),
        forgotten_from_s=forgotten_from_s,
        rate=before.rate,
        window_s=window_s,
        forgets_until_ms=until_ms if forgets else 0,
        at_ms=now_ms,
    )


def _by_age(remembered_s: float, forgotten_from_s: float, window_s: float) -> bool:
    """Whether the young are remembered and the old are not: a time to live that is too short, or an eviction.

    A full memory forgets the young; a lost one has remembered older ids before it was lost, but for its
    first window. A beat of overlap is the measurement's own.
    """
    beat = beat_s(window_s)
    return forgotten_from_s > YOUNG_BEATS * beat and 0 < remembered_s <= forgotten_from_s + beat


def current(report: MemoryReport, now_ms: int) -> MemoryReport:
    """The report while it says something about now: nobody asks any more when all workers are gone."""
    return report if now_ms - report.at_ms <= report.window_s * 1000 else MemoryReport(window_s=report.window_s)


def rate_seen(beat: Beat, window_s: float) -> tuple[float, int]:
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
    of_whom = f"for {report.rate:,.0f} events/s over {window} s" if report.rate else f"over {window} s"
    return (
        f"set [cache.memory] max_capacity = {capacity(report.rate, report.window_s)} in Sockudo's configuration "
        f"(CACHE_MAX_CAPACITY; default 10000) {of_whom}, more if others publish to it too, or use its Redis cache "
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

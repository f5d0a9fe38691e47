"""Canaries as values: what was planted, what was answered, what it comes to. No I/O; imports nothing of this package.

``memory`` stores them, ``canaries/schedule.py`` decides over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Beat", "Canary", "CanaryAnswer", "MemoryReport"]


@dataclass(frozen=True)
class Canary:
    """An id that the server has accepted; it is asked for once, ``ask_ms`` after ``planted_ms`` (Redis' time)."""

    id: str
    planted_ms: int
    ask_ms: int


@dataclass(frozen=True)
class CanaryAnswer:
    """What became of one canary, asked at ``asked_ms`` when it was ``age_ms`` old."""

    id: str
    age_ms: int
    remembered: bool
    asked_ms: int


@dataclass(frozen=True)
class MemoryReport:
    """What is known of the server's memory of ids, at ``at_ms`` (Redis' time).

    ``verdict``: ``unknown`` (too few answers yet), ``remembers`` (all that were asked, up to
    ``remembered_s`` old) or ``forgets`` (at least one was not; holds until ``forgets_until_ms``, a whole
    window; ``remembered_s`` is above 0 then where only older ids are forgotten). ``asked`` and
    ``forgotten``: canaries of the last window; ``forgotten_from_s``: the age of the youngest that was
    forgotten, 0 for none. ``rate``: events per second that our workers delivered in
    the busiest moment of the last window, ``window_s``: the ``SOCKUDO_DEDUP_WINDOW`` it is measured against.
    """

    verdict: Literal["unknown", "remembers", "forgets"] = "unknown"
    remembered_s: float = 0.0
    asked: int = 0
    forgotten: int = 0
    forgotten_from_s: float = 0.0
    rate: float = 0.0
    window_s: float = 0.0
    forgets_until_ms: int = 0
    at_ms: int = 0


@dataclass(frozen=True)
class Beat:
    """What the holder of the canaries finds at one beat.

    ``number`` grows by one a beat; ``settled`` events were delivered in all, ``before`` at the beat
    before, ``before_ms`` (0: there was none).
    """

    number: int
    now_ms: int
    canaries: tuple[Canary, ...]
    settled: int
    before: int
    before_ms: int
    peak_rate: float
    peak_ms: int

"""The values of canaries: the canary, its answer, the report. No I/O; imports nothing of this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Beat", "Canary", "CanaryAnswer", "MemoryReport"]


@dataclass(frozen=True)
class Canary:
    """An id that the server has accepted. It is repeated once, ``ask_ms`` after ``planted_ms`` (Redis' time)."""

    id: str
    planted_ms: int
    ask_ms: int


@dataclass(frozen=True)
class CanaryAnswer:
    """The result of one canary, repeated at ``asked_ms`` (Redis' time) at the age ``age_ms``."""

    id: str
    age_ms: int
    remembered: bool
    asked_ms: int


@dataclass(frozen=True)
class MemoryReport:
    """The measured state of the dedup memory at ``at_ms`` (Redis' time).

    ``verdict``: ``unknown`` (too few answers yet), ``remembers`` (every canary, up to the age ``remembered_s``) or
    ``forgets`` (at least one canary was forgotten; valid until ``forgets_until_ms``, a whole window). Under
    ``forgets``, ``remembered_s`` is above 0 if only older ids are forgotten. ``asked`` and ``forgotten``: numbers of
    canaries in the last window. ``forgotten_from_s``: the age of the youngest forgotten canary; 0: none was
    forgotten. ``rate``: events per second that the workers delivered in the busiest beat of the last window.
    ``window_s``: the ``SOCKUDO_DEDUP_WINDOW`` that the report is measured against.
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
    """What the holder of the canaries reads at one beat.

    ``number`` increases by one each beat. ``settled``: events delivered so far; ``before``: the same at the previous
    beat, which was at ``before_ms`` (0: no previous beat).
    """

    number: int
    now_ms: int
    canaries: tuple[Canary, ...]
    settled: int
    before: int
    before_ms: int
    peak_rate: float
    peak_ms: int

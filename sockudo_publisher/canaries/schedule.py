"""When canaries are planted and asked. Pure.

Sockudo's memory cache stops remembering *new* ids, in silence, once it holds ``max_capacity`` of them
(10,000 by default; a steady 83 events/s at the default window). Young canaries find a full memory within seconds;
old ones, asked at ages all over the window, find a shorter time to live, an eviction of the oldest, and a memory that
came back empty. What the answers mean: ``verdict``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .values import Canary

__all__ = ["AFTER_TROUBLE", "ages_to_plant", "beat_s", "canaries_after_trouble", "due_canaries", "is_askable"]

#: Beats of a window: each plants a young canary, every second one an old one too.
BEATS: Final = 24

#: Seconds between two beats at most: with the default window a full memory is told within two of them.
MAX_BEAT_S: Final = 5.0

#: Old canaries of a window, and so the ages at which they are asked.
OLD: Final = 12

#: The order of those ages is scattered by steps of so many (it shares no factor with OLD), so that a
#: third of a window already has young and old.
OLD_STEP: Final = 5

#: The oldest age at which a canary is asked, as a share of the window: the answer has to come inside it.
OLDEST: Final = 0.9


#: Canaries asked after trouble, before anything is resent.
AFTER_TROUBLE: Final = 3


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


def is_askable(canary: Canary, now_ms: int, window_s: float) -> bool:
    """Whether a canary's answer would still mean something: the server may forget what is older than the window."""
    return now_ms - canary.planted_ms <= window_s * 1000 * (1 + OLDEST) / 2


def due_canaries(canaries: Sequence[Canary], now_ms: int) -> list[Canary]:
    """The canaries whose time to be asked has come."""
    return [one for one in canaries if one.planted_ms + one.ask_ms <= now_ms]


def canaries_after_trouble(canaries: Sequence[Canary], now_ms: int, since_ms: int, window_s: float) -> list[Canary]:
    """The canaries to ask when the server answers again: the youngest that were planted before the trouble began.

    Where there is none, the oldest that were planted in it: each probe plants one, so that a memory lost
    between two probes is noticed too.
    """
    alive = sorted((one for one in canaries if is_askable(one, now_ms, window_s)), key=lambda one: one.planted_ms)
    before = [one for one in alive if one.planted_ms <= since_ms]
    return (before[-AFTER_TROUBLE:] or alive[:AFTER_TROUBLE])[::-1]

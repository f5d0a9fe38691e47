"""When canaries are planted (first published) and asked (repeated). Pure.

Once Sockudo's memory cache holds ``max_capacity`` ids (10,000 by default; a steady 83 events/s at the default window),
it stops remembering *new* ids without any error. Young canaries detect a full cache within seconds. Old canaries, asked
at ages all over the window, detect a time to live that is too short, an eviction of the oldest ids, and an emptied
cache. ``verdict`` decides what the answers mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .values import Canary

__all__ = ["AFTER_TROUBLE", "ages_to_plant", "beat_s", "canaries_after_trouble", "due_canaries", "is_askable"]

#: Beats in a window: each plants a young canary, every second beat an old one too.
BEATS: Final = 24

#: Maximum seconds between two beats: with the default window a full dedup memory is detected within two beats.
MAX_BEAT_S: Final = 5.0

#: Old canaries planted in a window; as many ages at which they are asked.
OLD: Final = 12

#: The step between consecutive ages, in twelfths (no common factor with OLD), so that a third of a window already
#: has young and old canaries.
OLD_STEP: Final = 5

#: The oldest age at which a canary is asked, as a share of the window: the answer must arrive within the window.
OLDEST: Final = 0.9

#: Canaries asked after trouble, before anything is resent.
AFTER_TROUBLE: Final = 3


def beat_s(window_s: float) -> float:
    """Seconds between two beats."""
    return min(MAX_BEAT_S, window_s / BEATS)


def ages_to_plant(beat: int, window_s: float) -> tuple[float, ...]:
    """The ages, in seconds, at which the canaries that this beat plants are asked."""
    young = beat_s(window_s)
    beats_per_old = max(1, round(window_s / OLD / young))
    if beat % beats_per_old:
        return (young,)
    place = (beat // beats_per_old * OLD_STEP) % OLD + 1
    return young, max(young, window_s * OLDEST * place / OLD)


def is_askable(canary: Canary, now_ms: int, window_s: float) -> bool:
    """Whether an answer would still be evidence: the server may forget ids that are older than the window."""
    return now_ms - canary.planted_ms <= window_s * 1000 * (1 + OLDEST) / 2


def due_canaries(canaries: Sequence[Canary], now_ms: int) -> list[Canary]:
    """The canaries that are old enough to be asked."""
    return [canary for canary in canaries if canary.planted_ms + canary.ask_ms <= now_ms]


def canaries_after_trouble(canaries: Sequence[Canary], now_ms: int, since_ms: int, window_s: float) -> list[Canary]:
    """The canaries to ask when the server answers again: the youngest that were planted before the trouble began.

    Without such a canary, the oldest ones planted since: each probe plants one, so that a dedup memory lost between
    two probes is detected too.
    """
    askable = sorted(
        (canary for canary in canaries if is_askable(canary, now_ms, window_s)), key=lambda canary: canary.planted_ms
    )
    before = [canary for canary in askable if canary.planted_ms <= since_ms]
    return (before[-AFTER_TROUBLE:] or askable[:AFTER_TROUBLE])[::-1]

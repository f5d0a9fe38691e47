"""How many client events a connection may send in a window of time. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["EventRate"]


class EventRate:
    """At most ``count`` in ``window_s`` seconds; 0 is no limit."""

    def __init__(self, count: int, window_s: float, clock: Callable[[], float]) -> None:
        self._count = count
        self._window_s = window_s
        self._clock = clock
        self._used = 0
        self._ends_at = float("-inf")

    def allows(self) -> bool:
        """Count one, and say whether it is within the limit."""
        if not self._count:
            return True
        now = self._clock()
        if now >= self._ends_at:
            self._used, self._ends_at = 0, now + self._window_s
        self._used += 1
        return self._used <= self._count

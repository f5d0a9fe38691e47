"""Ring doorbells on a thread of their own: a frozen broker then delays no caller and no flush.

A ring that is lost costs time, never an event: the sweep of any worker finds the lane.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..faultpoint import crash_point
from ..wiring.doorbell import CONNECT_S, SEND_S, doorbell
from .background_thread import BackgroundThread

__all__ = ["ring_soon", "wait_for_rings"]

#: Seconds within which the last rings of a process are sent, or fail.
LAST_RINGS_S = 2 * (CONNECT_S + SEND_S)


class _Rings:
    """Lanes to be rung, by app; a lane that is rung several times before its turn is rung once."""

    def __init__(self) -> None:
        self.pending: dict[str, dict[int, None]] = {}
        self.thread = BackgroundThread("sockudo-publisher-rings", self._take, _ring)

    def add(self, app: str, lanes: Iterable[int]) -> None:
        with self.thread.lock:
            self.pending.setdefault(app, {}).update(dict.fromkeys(lanes))
            try:
                self.thread.wake()
            except RuntimeError:  # the interpreter ends; a ring by this thread takes half a second at most
                while (work := self._take()) is not None:
                    _ring(work)

    def _take(self) -> tuple[str, tuple[int, ...]] | None:
        if not self.pending:
            return None
        app = next(iter(self.pending))
        return app, tuple(self.pending.pop(app))


def _ring(work: tuple[str, tuple[int, ...]]) -> None:
    doorbell.ring(*work)
    crash_point("rung")


_rings = _Rings()


def ring_soon(app: str, lanes: Iterable[int]) -> None:
    """Ring these lanes of an app, on another thread."""
    _rings.add(app, lanes)


def wait_for_rings() -> None:
    """Wait until all rings are sent, for a bounded time."""
    rings = _rings
    rings.thread.wait_until_idle(LAST_RINGS_S, lambda: bool(rings.pending))


def _after_fork() -> None:
    """The parent's thread rings what the parent has stored."""
    global _rings  # noqa: PLW0603 -- the one place
    _rings = _Rings()


os.register_at_fork(after_in_child=_after_fork)

"""Counts the events that this process has not stored where ``SOCKUDO_ON_UNAVAILABLE=log`` let its callers go on.

A fork begins at zero. Imports nothing of the package.
"""

from __future__ import annotations

import os
import threading
from typing import NamedTuple

__all__ = ["UnstoredCounts", "count_unstored", "unstored_events"]


class UnstoredCounts(NamedTuple):
    """Events of one app since the process began, one for each channel.

    ``lost``: certainly not stored; ``unknown``: Redis failed before it answered.
    """

    lost: int = 0
    unknown: int = 0


_lock = threading.Lock()
_counts: dict[str, UnstoredCounts] = {}


def count_unstored(app: str, events: int, *, is_unknown: bool) -> None:
    """Add to the counts of an app."""
    with _lock:
        lost, unknown = _counts.get(app, UnstoredCounts())
        _counts[app] = UnstoredCounts(lost, unknown + events) if is_unknown else UnstoredCounts(lost + events, unknown)


def unstored_events() -> dict[str, UnstoredCounts]:
    """The counts of each app, by its name; apps without such an event are absent."""
    with _lock:
        return dict(_counts)


def _after_fork() -> None:
    global _lock, _counts
    _lock, _counts = threading.Lock(), {}


os.register_at_fork(after_in_child=_after_fork)

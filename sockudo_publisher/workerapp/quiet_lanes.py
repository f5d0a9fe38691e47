"""The quiet lanes that this process's worker watches on, so that their next event needs no doorbell.

A doorbell costs an event five milliseconds, in Celery and in the pool. So the live workers share an app's lanes, and
each watches its part for as long as they are quiet. An event of another worker's part goes by its doorbell, as before.
The sweep renews this every second; without it, or in a pool's child, a lane is left after its usual time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

__all__ = ["MAX_KEPT", "forget", "is_kept", "keep", "part_of"]

#: Lanes that one worker watches while they are quiet: each costs a request a second and a connection to Redis.
MAX_KEPT: Final = 64

#: Seconds after which what was kept counts no more: the sweep does not renew it.
FRESH_S: Final = 5.0

#: app -> lanes, and until when they are kept, of the monotonic clock. Replaced whole, so that threads need no lock.
_kept: dict[str, tuple[frozenset[int], float]] = {}


def keep(app: str, lanes: frozenset[int]) -> None:
    """Watch these lanes of the app on, for now."""
    _kept[app] = (lanes, time.monotonic() + FRESH_S)


def forget(app: str) -> None:
    """Watch no lane of the app on: it is paused."""
    _kept.pop(app, None)


def is_kept(app: str, lane: int) -> bool:
    """Whether this worker watches the lane on."""
    lanes, until = _kept.get(app, (frozenset[int](), 0.0))
    return lane in lanes and time.monotonic() < until


def part_of(lanes: Sequence[int], place: tuple[int, int] | None, most: int) -> frozenset[int]:
    """The part of an app's lanes for the worker at ``place`` (its place from 0, the number of workers). Pure.

    ``None``: it has none; ``most``: lanes at most.
    """
    if place is None:
        return frozenset()
    index, workers = place
    return frozenset(sorted(lanes)[index::workers][:most])

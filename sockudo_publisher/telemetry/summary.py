"""One log line a minute about what a worker has delivered, in place of one per drain.

The numbers are in shared memory, a row per process, so that the children of a prefork pool and their parent count
together: only the parent writes the line.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Sequence
from typing import Final

from ..redaction import package_logger
from .ages import BOUNDS_S, Ages, percentile_s
from .observer import Observer

__all__ = ["EVERY_S", "Summary"]

logger = package_logger("sockudo_publisher.summary")

#: Seconds between two lines about one app.
EVERY_S: Final = 60.0

#: Processes with a row of their own; a later child shares the row of an earlier one, which has most likely ended.
ROWS: Final = 256

_BUCKETS: Final = len(BOUNDS_S) + 1
#: Numbers of one app in a row: settled, resent, dead, and events by age.
_SETTLED, _RESENT, _DEAD, _AGES = 0, 1, 2, 3
_COLUMNS: Final = 3 + _BUCKETS


class Summary(Observer):
    """Counts for these apps, and writes their lines. Made before a pool forks."""

    def __init__(self, apps: Sequence[str]) -> None:
        self._apps = {app: index * _COLUMNS for index, app in enumerate(apps)}
        self._width = _COLUMNS * max(1, len(apps))
        self._numbers = memoryview(mmap.mmap(-1, ROWS * self._width * 8)).cast("q")
        self._row = 0
        self._forks = 0
        self._lock = threading.Lock()  # between the threads of one process
        self._written: dict[str, list[int]] = {app: [0] * _COLUMNS for app in apps}
        self._since = time.monotonic()
        os.register_at_fork(before=self._before_fork, after_in_child=self._in_child)

    def _before_fork(self) -> None:
        self._forks += 1

    def _in_child(self) -> None:
        self._row = self._forks % ROWS
        self._lock = threading.Lock()

    # -- the observer -------------------------------------------------------------------------------

    def settled(self, app: str, count: int, ages: Ages | None) -> None:  # noqa: D102
        self._add(app, _SETTLED, count)
        if ages is not None:
            for bucket, number in enumerate(ages.counts):
                if number:
                    self._add(app, _AGES + bucket, number)

    def resent(self, app: str, count: int) -> None:  # noqa: D102
        self._add(app, _RESENT, count)

    def buried(self, app: str, reason: str, count: int = 1) -> None:  # noqa: ARG002, D102
        self._add(app, _DEAD, count)

    def _add(self, app: str, column: int, count: int) -> None:
        start = self._apps.get(app)
        if start is not None:
            with self._lock:
                self._numbers[self._row * self._width + start + column] += count

    # -- the line -----------------------------------------------------------------------------------

    def write_if_due(self, *, is_last: bool = False) -> None:
        """Write a line for each app that has delivered something, when a minute has passed since the last one."""
        passed_s = time.monotonic() - self._since
        if passed_s < EVERY_S and not is_last:
            return
        self._since = time.monotonic()
        for app, start in self._apps.items():
            now = [
                sum(self._numbers[row * self._width + start + column] for row in range(min(self._forks + 1, ROWS)))
                for column in range(_COLUMNS)
            ]
            new = [after - before for after, before in zip(now, self._written[app], strict=True)]
            self._written[app] = now
            if any(new[:_AGES]):
                ages = new[_AGES:]
                logger.info(
                    "delivered app=%s seconds=%d settled=%d resent=%d dead=%d p50_s=%.3f p95_s=%.3f",
                    *(app, round(passed_s), new[_SETTLED], new[_RESENT], new[_DEAD]),
                    *(percentile_s(ages, 0.5), percentile_s(ages, 0.95)),
                )

"""Numbers on their way from the code that counts to the metrics: appended without a lock, added up by a thread.

The locks of metrics libraries must not be in the path of an event. A fork while another thread holds one leaves it
locked in the child for ever, and a signal handler that publishes would wait for the code that it has interrupted. So
:meth:`PendingCounts.add` only appends to a deque, which is atomic. A daemon thread adds up what has come, every half
second.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from ..redaction import package_logger

__all__ = ["EVERY_S", "Key", "PendingCounts"]

logger = package_logger("sockudo_publisher.telemetry")

#: A series: the metric's name and the values of its labels.
Key: TypeAlias = "tuple[str | int, ...]"

#: Seconds between two additions: a scrape of another process' files is late by that at most.
EVERY_S: Final = 0.5

#: Numbers that wait to be added up; beyond, the oldest are lost. The thread empties this twice a second.
MAX_PENDING: Final = 1_000_000

#: Seconds that a fork waits for an addition to end.
FORK_WAIT_S: Final = 1.0


class PendingCounts:
    """Adds up numbers by series, and gives the sums to ``apply`` in a thread of its own. One per process and use."""

    def __init__(self, apply: Callable[[Mapping[Key, float]], None]) -> None:
        self._apply = apply
        self._pending: deque[tuple[Key, float]] = deque(maxlen=MAX_PENDING)
        self._lock = threading.Lock()  # held while numbers are added up
        self._is_running = False
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._in_child)
        atexit.register(self.flush)

    def add(self, key: Key, amount: float = 1) -> None:
        """Add to a series, soon."""
        self._pending.append((key, amount))
        if not self._is_running:
            self._start()

    def flush(self) -> None:
        """Add up what has come, now."""
        with self._lock:
            sums: dict[Key, float] = {}
            pending = self._pending
            while pending:
                key, amount = pending.popleft()
                sums[key] = sums.get(key, 0) + amount
            if sums:
                self._apply(sums)

    def _start(self) -> None:
        self._is_running = True  # two threads at once may start two: the lock keeps their work apart
        with suppress(RuntimeError):  # the process ends: atexit adds up
            threading.Thread(target=self._run, name="sockudo-telemetry", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            try:
                self.flush()
            except Exception:
                # Metrics must not end with one error, as a full disk under PROMETHEUS_MULTIPROC_DIR.
                logger.exception("numbers not added up")

    def _before_fork(self) -> None:
        self._has_lock = self._lock.acquire(timeout=FORK_WAIT_S)

    def _after_fork(self) -> None:
        if self._has_lock:
            self._lock.release()

    def _in_child(self) -> None:
        # What waits is the parent's to add up; its thread does not exist here.
        self._pending = deque(maxlen=MAX_PENDING)
        self._lock = threading.Lock()
        self._is_running = False

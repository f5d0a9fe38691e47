"""Figures for scrapes: read at most once a second, and in a thread, so that a scrape never waits long.

Redis may be frozen, and a look-up of its name may take longer than any timeout of a connection.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from ..errors import SockudoError
from ..redaction import package_logger

__all__ = ["FRESH_S", "MAX_WAIT_S", "Cached"]

logger = package_logger("sockudo_publisher.metrics")

Read = TypeVar("Read")

#: Seconds for which what was read is shown again.
FRESH_S: Final = 1.0

#: Seconds that a scrape waits for a read that is under way.
MAX_WAIT_S: Final = 0.8


class Cached(Generic[Read]):
    """What ``read()`` returned at most a second ago, or ``None`` where it fails or takes too long. Safe for threads."""

    def __init__(
        self, read: Callable[[], Read], *, fresh_s: float = FRESH_S, thread_name: str = "sockudo-figures"
    ) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._thread_name = thread_name
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # The thread that reads does not exist in a child of a fork, and may have held the lock.
        self._lock = threading.Lock()
        self._reading: threading.Event | None = None
        self._value: Read | None = None
        self._read_at = float("-inf")
        self._is_failing = False

    def get(self) -> Read | None:
        """The value; waits at most :data:`MAX_WAIT_S`."""
        with self._lock:
            if time.monotonic() - self._read_at <= self._fresh_s:
                return self._value
            reading = self._reading
            if reading is None:
                reading = self._reading = threading.Event()
                threading.Thread(target=self._refresh, args=(reading,), name=self._thread_name, daemon=True).start()
        if not reading.wait(MAX_WAIT_S):
            return None
        return self._value

    def _refresh(self, reading: threading.Event) -> None:
        value: Read | None = None
        error: Exception | None = None
        try:
            value = self._read()
        except SockudoError as unavailable:
            error = unavailable
        except Exception as unexpected:
            error = unexpected
            logger.exception("figures not read")
        if isinstance(error, SockudoError) and not self._is_failing:
            logger.warning("figures not read error=%s", error)  # once, not at each scrape
        with self._lock:
            self._value, self._read_at, self._reading = value, time.monotonic(), None
            self._is_failing = error is not None
        reading.set()

"""A daemon thread that does what it is given, one after the other, and sleeps while there is nothing.

It is started with the first work. A fork has none of its parent's threads: its owner makes a new one there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from ..redaction import package_logger

__all__ = ["BackgroundThread", "LookAgain"]

logger = package_logger("sockudo_publisher.background_thread")

Work = TypeVar("Work")

#: Seconds between two looks of a thread that waits for this one to finish.
CHECK_EVERY_S = 0.002


class LookAgain(NamedTuple):
    """Answer of ``take()``: nothing to do now; call it again after these seconds, or at a wake-up before."""

    after_s: float


class BackgroundThread(Generic[Work]):
    """Calls ``take()`` under :attr:`lock` for the next work, and ``do(work)`` without it.

    ``take()`` answers ``None`` if there is nothing until the next wake-up. Callers add work and call :meth:`wake`, both
    under :attr:`lock`.
    """

    def __init__(self, name: str, take: Callable[[], Work | LookAgain | None], do: Callable[[Work], None]) -> None:
        # Reentrant: a signal handler, or a coroutine that is garbage, may interrupt the thread that has it.
        self.lock = threading.RLock()
        self.is_busy = False
        self.is_stopping = False
        self._name = name
        self._take = take
        self._do = do
        self._thread: threading.Thread | None = None
        # Held while there is nothing to do: a Condition costs a caller several times as much.
        self._sleep = threading.Lock()
        self._sleep.acquire()
        self._is_asleep = False

    def wake(self) -> None:
        """Let the thread look for work. Raises :class:`RuntimeError` if it cannot be started: the process ends."""
        if self._is_asleep:
            self._is_asleep = False
            self._sleep.release()
        elif self._thread is None:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:
                self._thread = None
                raise

    def stop(self) -> None:
        """End when there is nothing left to do."""
        with self.lock:
            self.is_stopping = True
            if self._thread is not None:
                self.wake()

    def wait_until_idle(self, timeout_s: float, has_work: Callable[[], bool]) -> bool:
        """Wait until all is done, at most ``timeout_s``; ``False``: something is left."""
        until = time.monotonic() + timeout_s
        while True:
            with self.lock:
                if not self.is_busy and not has_work():
                    return True
            if time.monotonic() >= until or self._thread is None or not self._thread.is_alive():
                return False
            time.sleep(CHECK_EVERY_S)

    def _run(self) -> None:
        while True:
            with self.lock:
                work = self._take()
                is_idle = work is None or isinstance(work, LookAgain)
                self.is_busy = not is_idle
                if is_idle:
                    if self.is_stopping:
                        return
                    self._is_asleep = True
            if work is None or isinstance(work, LookAgain):
                self._fall_asleep(None if work is None else work.after_s)
                continue
            try:
                self._do(work)
            except Exception:
                logger.exception("background work failed thread=%s", self._name)
            work = None  # not kept in memory while the thread sleeps

    def _fall_asleep(self, seconds: float | None) -> None:
        """Sleep until the next wake-up, or for some seconds."""
        if self._sleep.acquire(timeout=-1 if seconds is None else seconds):
            return
        with self.lock:
            if self._is_asleep:
                self._is_asleep = False
            else:  # woken since then: the next sleep must not find this wake-up
                self._sleep.acquire()

"""The stop of this process's worker, which signal handlers set and drains, threads and forked children read."""

from __future__ import annotations

import mmap
import time

from celery.signals import worker_shutting_down

__all__ = ["StopFlag", "flag", "stop_with_worker", "wait_or_stop"]

#: Seconds of one nap inside a wait: bounds how long a stop is not seen.
NAP_S = 0.1

#: The flag's byte in a cold shutdown.
_COLD = 3


class StopFlag:
    """Set once, from a signal handler, and seen by threads, greenlets and children forked later.

    A byte of shared memory without a lock. A ``multiprocessing.Event`` locks to be read: a signal that
    comes while its own thread reads waits for itself, and a child killed while it reads stops all others.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def is_set(self) -> bool:
        """Whether the worker shuts down."""
        return self._byte[0] != 0

    def set(self) -> None:
        """The worker shuts down, and waits for its drains."""
        self._byte[0] |= 1

    def is_cold(self) -> bool:
        """Whether the worker does not wait for its drains."""
        return self._byte[0] == _COLD

    def set_cold(self) -> None:
        """The worker shuts down, and does not wait for its drains."""
        self._byte[0] = _COLD


#: The flag of this process. Made before a pool forks, so that its children share it.
flag = StopFlag()


def wait_or_stop(seconds: float) -> bool:
    """Sleep, at most until the worker shuts down. Returns whether it does."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not flag.is_set():
        time.sleep(min(left, NAP_S))
    return flag.is_set()


def stop_with_worker() -> None:
    """Let a warm shutdown (SIGTERM) of this process's worker end its drains between two requests.

    Celery announces it in the worker's main process only, and then waits for the running tasks; a
    drain may run for as long as there are events.
    """
    worker_shutting_down.connect(_set_flag, weak=False, dispatch_uid="sockudo_publisher.stop")


def _set_flag(**_: object) -> None:
    flag.set()

"""The tally loses nothing between threads, and neither a fork nor a signal handler waits for its lock."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from sockudo_publisher.telemetry.pending_counts import EVERY_S, MAX_PENDING, Key, PendingCounts

pytestmark = pytest.mark.unit


class Sums:
    """What a tally has applied."""

    def __init__(self) -> None:
        self.by_key: Counter[Any] = Counter()
        self.calls = 0

    def __call__(self, sums: Mapping[Key, float]) -> None:
        self.calls += 1
        self.by_key.update(sums)


def test_threads_lose_no_number() -> None:
    sums = Sums()
    tally = PendingCounts(sums)

    def count() -> None:
        for _ in range(20_000):
            tally.add(("a",))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.flush()
    assert sums.by_key[("a",)] == 80_000
    assert sums.calls < 1000, "they are added up before metrics see them"


def test_numbers_are_added_up_by_themselves() -> None:
    sums = Sums()
    tally = PendingCounts(sums)
    tally.add(("b", "app"), 3)
    deadline = time.monotonic() + 20 * EVERY_S
    while not sums.calls and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sums.by_key == {("b", "app"): 3}


def test_failure_of_the_metrics_does_not_end_them() -> None:
    seen: list[float] = []

    def apply(sums: Mapping[Key, float]) -> None:
        seen.append(sum(sums.values()))
        if len(seen) == 1:
            raise OSError("no space left")

    tally = PendingCounts(apply)
    tally.add(("a",))
    deadline = time.monotonic() + 20 * EVERY_S
    while len(seen) < 2 and time.monotonic() < deadline:
        tally.add(("a",))
        time.sleep(0.05)
    assert len(seen) >= 2


def test_fork_while_numbers_are_added_up() -> None:
    """The child has a lock that is free, and none of the parent's numbers."""
    is_applying, may_end = threading.Event(), threading.Event()

    def apply(_sums: Mapping[Key, float]) -> None:
        is_applying.set()
        may_end.wait(10)

    tally = PendingCounts(apply)
    tally.add(("a",), 7)
    flushing = threading.Thread(target=tally.flush)
    flushing.start()
    assert is_applying.wait(5)
    pid = os.fork()
    if pid == 0:
        sums = Sums()
        tally._apply = sums
        tally.add(("a",), 2)
        tally.flush()
        os._exit(0 if sums.by_key == {("a",): 2} else 1)
    may_end.set()
    flushing.join()
    assert os.waitstatus_to_exitcode(_wait(pid)) == 0


def _wait(pid: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the child waits for a lock of its parent's thread")


def test_signal_handler_does_not_wait_for_the_lock() -> None:
    sums = Sums()
    tally = PendingCounts(sums)
    before = signal.signal(signal.SIGUSR1, lambda *_: tally.add(("handler",)))
    try:
        with tally._lock:  # the interrupted code
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGUSR1, before)
    tally.flush()
    assert sums.by_key[("handler",)] == 1


def test_waiting_numbers_are_bounded() -> None:
    tally = PendingCounts(Sums())
    assert tally._pending.maxlen == MAX_PENDING

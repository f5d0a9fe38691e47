"""The thread that does what it is given, sleeps while there is nothing, and looks again after a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.publishing.background_thread import BackgroundThread, LookAgain

pytestmark = pytest.mark.unit

#: Seconds that no test waits for: a sleep of this length ends by a wake-up, or the test fails.
LONG_S = 60.0


class Worker:
    """Does the numbers that it is given; ``patience_s``: how long it lets them wait, ``None`` not at all."""

    def __init__(self) -> None:
        self.queue: deque[int] = deque()
        self.patience_s: float | None = None
        self.until = 0.0
        self.looks = 0
        self.done: list[int] = []
        self.thread: BackgroundThread[int] = BackgroundThread("test-background", self._take, self.done.append)

    def add(self, number: int, *, wakes: bool = True) -> None:
        with self.thread.lock:
            self.queue.append(number)
            if wakes:
                self.thread.wake()

    def wait(self, seconds: float) -> None:
        """From now on, what is added waits for these seconds."""
        with self.thread.lock:
            self.patience_s, self.until = seconds, time.monotonic() + seconds

    def _take(self) -> int | LookAgain | None:
        self.looks += 1
        left_s = self.until - time.monotonic()
        if left_s > 0 and not self.thread.is_stopping:
            return LookAgain(left_s)
        return self.queue.popleft() if self.queue else None


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.until = 0.0
    worker.thread.stop()
    assert worker.thread.wait_until_idle(10, lambda: bool(worker.queue))


def test_work_is_done_in_order_and_then_it_sleeps(worker: Worker) -> None:
    for number in range(100):
        worker.add(number)
    assert wait_for(lambda: len(worker.done) == 100, LONG_S / 2)
    assert worker.done == list(range(100))
    assert worker.thread.wait_until_idle(10, lambda: bool(worker.queue))
    looks = worker.looks
    time.sleep(0.05)
    assert worker.looks == looks, "an idle thread does not look"


def test_it_looks_again_after_the_time_without_a_wake_up(worker: Worker) -> None:
    worker.wait(0.1)
    worker.add(1)  # starts the thread, which waits
    worker.add(2, wakes=False)
    assert wait_for(lambda: worker.done == [1, 2], LONG_S / 2)


def test_wake_up_ends_the_wait_for_the_next_look(worker: Worker) -> None:
    worker.wait(LONG_S)
    worker.add(1)
    assert wait_for(lambda: worker.looks > 0, LONG_S / 2)
    assert worker.done == []
    worker.until = 0.0
    worker.add(2)
    assert wait_for(lambda: worker.done == [1, 2], LONG_S / 2)


def test_stop_ends_the_wait_and_what_waits_is_done(worker: Worker) -> None:
    worker.wait(LONG_S)
    worker.add(1)
    assert wait_for(lambda: worker.looks > 0, LONG_S / 2)
    worker.thread.stop()
    assert wait_for(lambda: worker.done == [1], LONG_S / 2)


def test_wake_ups_beside_the_end_of_a_wait_break_nothing(worker: Worker) -> None:
    """A wake-up at the very moment at which the time is over is not lost, and is not found by a later sleep."""
    for number in range(500):
        worker.wait(0.0005)
        worker.add(number)
        time.sleep(0.0005)
    worker.until = 0.0
    worker.add(500)
    assert wait_for(lambda: len(worker.done) == 501, LONG_S / 2)
    assert worker.done == list(range(501))
    assert worker.thread.wait_until_idle(10, lambda: bool(worker.queue))
    looks = worker.looks
    time.sleep(0.05)
    assert worker.looks == looks


def test_failed_work_does_not_end_the_thread(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.thread._do = lambda number: worker.done.append(1 // number)
    worker.add(0)
    worker.add(1)
    assert wait_for(lambda: worker.done == [1], LONG_S / 2)
    assert "background work failed" in caplog.text

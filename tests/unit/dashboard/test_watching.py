"""One look for all viewers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from sockudo_publisher import JournalUnavailable
from sockudo_publisher.dashboard.watching import LookResult, SharedLook

pytestmark = pytest.mark.unit


class Reads:
    """Counts the looks, and how many ran at a time."""

    def __init__(self, answer: Callable[[], int] = lambda: 7) -> None:
        self.began: list[float] = []
        self._answer = answer
        self._one = threading.Lock()

    def __call__(self) -> int:
        assert self._one.acquire(blocking=False), "two looks at a time"
        try:
            self.began.append(time.monotonic())
            return self._answer()
        finally:
            self._one.release()


def test_viewers_share_a_look() -> None:
    """A hundred at once cost one; the next one comes a period later."""
    reads = Reads()

    async def view() -> list[LookResult[int]]:
        look = SharedLook(reads, every_s=0.3)
        seen = [one for _ in range(5) for one in await asyncio.gather(*(look.get() for _ in range(20)))]
        await asyncio.sleep(0.35)
        return [*seen, await look.get()]

    seen = asyncio.run(view())
    assert {one.value for one in seen} == {7}
    assert len(reads.began) == seen[-1].number == 2
    assert reads.began[1] - reads.began[0] >= 0.3


def test_nothing_is_read_while_no_viewer_asks() -> None:
    """No look before the first viewer, none after the last."""
    reads = Reads()

    async def view() -> None:
        look = SharedLook(reads, every_s=0.02)
        await asyncio.sleep(0.1)
        assert not reads.began
        await look.get()
        await asyncio.sleep(0.2)

    asyncio.run(view())
    assert len(reads.began) == 1


def test_slow_look_keeps_no_viewer() -> None:
    """It goes on, alone, and its value is for the next viewer."""
    release = threading.Event()
    reads = Reads(lambda: int(release.wait(10)))

    async def view() -> None:
        look = SharedLook(reads, every_s=0.01, wait_s=0.1)
        began = time.monotonic()
        seen = await asyncio.gather(*(look.get() for _ in range(10)))
        assert time.monotonic() - began < 5
        assert {(one.value, one.error.partition(":")[0]) for one in seen} == {(None, "Redis does not answer")}
        release.set()
        while (await look.get()).value is None:
            await asyncio.sleep(0.01)

    asyncio.run(view())


def test_failure_is_named_and_ends() -> None:
    """The package's own errors with their text, others with their type alone."""
    failures: list[Exception] = [ValueError("payload"), JournalUnavailable("Redis did not answer: x", stored=None)]

    def answer() -> int:
        if failures:
            raise failures.pop()
        return 7

    async def view() -> list[LookResult[int]]:
        look = SharedLook(answer, every_s=0.0)
        return [await look.get() for _ in range(3)]

    first, second, third = asyncio.run(view())
    assert (first.value, first.error) == (None, "Redis did not answer: x")
    assert "ValueError" in second.error
    assert "payload" not in second.error
    assert third == LookResult(7, 3)

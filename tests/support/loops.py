"""Run coroutines in asyncio's loop or in uvloop's, and measure how long a loop is held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from .parts import need_module

T = TypeVar("T")

#: The loops that applications use.
LOOPS = ("asyncio", "uvloop")


def run_in(loop_name: str, coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, with a loop of that kind."""
    if loop_name == "asyncio":
        return asyncio.run(coroutine)
    need_module("uvloop")
    import uvloop

    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


class LoopWatch:
    """`async with LoopWatch() as watch`: the longest time in which the loop did nothing for a sleeping task."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.longest_s = max(self.longest_s, time.monotonic() - before - 0.005)

    async def __aenter__(self) -> LoopWatch:
        self._task = asyncio.ensure_future(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

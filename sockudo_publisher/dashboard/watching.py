"""One look at Redis a second, whatever the number of viewers; none while no page asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from ..errors import SockudoError
from ..redaction import package_logger
from ..redaction.frame_locals import clear_locals

__all__ = ["EVERY_S", "MAX_WAIT_S", "LookResult", "SharedLook"]

logger = package_logger("sockudo_publisher.dashboard")

Read = TypeVar("Read")

#: Seconds for which a look is shown again.
EVERY_S: Final = 1.0

#: Seconds that a viewer waits for a look: a frozen Redis costs several.
MAX_WAIT_S: Final = 2.0


@dataclass(frozen=True)
class LookResult(Generic[Read]):
    """A look's value; ``None`` and ``error`` if it failed. ``number`` increases with each look."""

    value: Read | None
    number: int = 0
    error: str = ""


class SharedLook(Generic[Read]):
    """Calls ``read()`` in a thread, at most once in ``every_s`` seconds and never twice at a time. Of one event loop.

    ``wait_s``: how long a viewer waits; the look goes on, and its value is for the next viewer.
    """

    def __init__(self, read: Callable[[], Read], *, every_s: float = EVERY_S, wait_s: float = MAX_WAIT_S) -> None:
        self._read = read
        self._every_s = every_s
        self._wait_s = wait_s
        self._began = float("-inf")
        self._seen: LookResult[Read] = LookResult(None, error="no look yet")
        self._task: asyncio.Task[None] | None = None

    async def get(self) -> LookResult[Read]:
        """What was seen at most ``every_s`` seconds ago."""
        task = self._task
        if task is None or task.done():
            if time.monotonic() - self._began < self._every_s:
                return self._seen
            self._began = time.monotonic()
            task = self._task = asyncio.ensure_future(self._look())
        # Not wait_for, which would cancel the look that others wait for.
        await asyncio.wait((task,), timeout=self._wait_s)
        if not task.done():
            return LookResult(None, self._seen.number, f"Redis does not answer: no answer within {self._wait_s:g} s")
        return self._seen

    async def _look(self) -> None:
        number = self._seen.number + 1
        try:
            self._seen = LookResult(await run_in_threadpool(self._read), number)
        except SockudoError as error:
            self._seen = LookResult(None, number, str(error))
        except Exception as error:
            clear_locals(error)
            logger.exception("look failed")
            self._seen = LookResult(None, number, f"the look failed ({type(error).__name__}): see the dashboard's log")

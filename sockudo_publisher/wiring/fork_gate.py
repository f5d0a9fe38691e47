"""Forks wait for clients that hold locks.

A lock that a thread holds at a fork stays locked in the child, where that thread does not exist: the child's first call
would wait for ever. This package takes no such locks, or makes new ones in the child, but it cannot replace those of
kombu, Celery and redis-py. So a thread records when it is inside them, and a fork by another thread waits until it has
left, for a bounded time. Imports nothing of the package.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from types import TracebackType

__all__ = ["inside_client"]

#: Maximum seconds that a fork waits. An attempt to send a doorbell or a message ends within one, or on a busy machine
#: within a few; a child that is forked before its end may wait for ever.
WAIT_S = 5.0

#: Seconds between two checks.
CHECK_EVERY_S = 0.002

#: Threads (or greenlets) that are inside a client now, once for each time; list.append and list.remove are atomic.
_inside: list[int] = []


class _InsideClient:
    """``with inside_client:`` around calls that may take locks of kombu, Celery or redis-py.

    A signal handler that publishes may enter again in the middle of its thread's own call.
    """

    def __enter__(self) -> None:
        _inside.append(threading.get_ident())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ValueError):  # a child begins with none
            _inside.remove(threading.get_ident())


inside_client = _InsideClient()


def _wait_for_others() -> None:
    """Before a fork, wait until no other thread is inside. The forking thread itself may be (a signal handler)."""
    own = threading.get_ident()
    until = time.monotonic() + WAIT_S
    while any(one != own for one in tuple(_inside)) and time.monotonic() < until:
        time.sleep(CHECK_EVERY_S)


# The child has one thread, which is inside no client.
os.register_at_fork(before=_wait_for_others, after_in_child=_inside.clear)

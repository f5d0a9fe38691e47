"""Virtual time: while it lasts, leases look at the clock of the running world."""

from __future__ import annotations

import logging
import random as global_random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sockudo_publisher.journal import lease as lease_module
from tests.simulation.scheduler import Scheduler

__all__ = ["virtual_clock", "virtual_time"]


class _Clock:
    """In the place of the ``time`` module where the lease looks at it.

    Other threads (the lease keeper of a worker that has just ended) go on in real time.
    """

    def __init__(self) -> None:
        self.scheduler: Scheduler | None = None
        self.thread: int | None = None

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def monotonic(self) -> float:
        if threading.get_ident() != self.thread:
            return time.monotonic()
        assert self.scheduler is not None, "only a running world has a time"
        return self.scheduler.now


virtual_clock = _Clock()
_delivery_logger = logging.getLogger("sockudo_publisher.delivery")


@contextmanager
def virtual_time() -> Iterator[None]:
    """While this lasts worlds may run: leases look at their clock, and nothing is logged."""
    kept, state = lease_module.time, global_random.getstate()
    was_disabled = _delivery_logger.disabled
    virtual_clock.thread = threading.get_ident()
    lease_module.time = virtual_clock  # type: ignore[assignment]
    _delivery_logger.disabled = True
    try:
        yield
    finally:
        lease_module.time = kept
        _delivery_logger.disabled = was_disabled
        global_random.setstate(state)

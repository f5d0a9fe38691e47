"""Virtual time: while it lasts, leases and what is due look at the clock of the running world."""

from __future__ import annotations

import logging
import random as global_random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sockudo_publisher.journal import lease as lease_module
from sockudo_publisher.workerapp import due_events as due_module
from tests.simulation.scheduler import Scheduler

__all__ = ["virtual_clock", "virtual_time"]


class _Clock:
    """In the place of the ``time`` module where the lease and the worker that stores due events look at it.

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
_loggers = [logging.getLogger(f"sockudo_publisher.{name}") for name in ("delivery", "due")]


@contextmanager
def virtual_time() -> Iterator[None]:
    """While this lasts worlds may run: leases look at their clock, and nothing is logged."""
    kept, state = [(module, module.time) for module in (lease_module, due_module)], global_random.getstate()
    were_disabled = [logger.disabled for logger in _loggers]
    virtual_clock.thread = threading.get_ident()
    for module, _ in kept:
        module.time = virtual_clock  # type: ignore[assignment]
    for logger in _loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for module, real in kept:
            module.time = real
        for logger, was_disabled in zip(_loggers, were_disabled, strict=True):
            logger.disabled = was_disabled
        global_random.setstate(state)

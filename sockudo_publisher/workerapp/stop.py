"""The worker's stop, as every drain sees it, in threads, greenlets and forked children.

Celery announces a warm shutdown (SIGTERM) in the worker's main process only, and then waits for the
running tasks. A drain may run for as long as there are events: so it looks at this flag between two
requests. It is a ``multiprocessing`` event made before any child is forked, and so theirs too.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from celery.signals import worker_shutting_down

from ..draining import state

__all__ = ["install_stop"]


def install_stop() -> None:
    """Replace this process's stop by one that forked children inherit, set at a warm shutdown."""
    state.stop = multiprocessing.get_context("fork").Event()
    worker_shutting_down.connect(_set_stop, weak=False, dispatch_uid="sockudo_publisher.stop")


def _set_stop(**_: Any) -> None:
    state.stop.set()

"""The step that stores what is due: every 100 ms, by one worker of each app.

Every worker has a thread for each app, so that one app's trouble delays no other. A right in Redis that expires decides
which worker acts. The threads drain nothing: a due event goes to its lane, and its doorbell is rung.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from celery import bootsteps

from ...config.settings import get_settings
from ...errors import ConfigurationError, JournalUnavailable
from ...redaction import package_logger
from ...redaction.frame_locals import clear_locals
from ...wiring import stop
from ..due_events import EVERY_S, DueMover

__all__ = ["DueStep"]

logger = package_logger("sockudo_publisher.due")

#: Seconds that the worker waits for the threads at its end.
STOP_S = 5.0

#: Seconds until the next try after an error.
AFTER_ERROR_S = 1.0


class DueStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker. It starts after the pool, so that the pool does not fork while the threads run."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, _parent: Any, **_: Any) -> None:
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, _parent: Any) -> None:
        """Start a thread for each app."""
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"sockudo-due-{name}", daemon=True)
            for name in get_settings().app_urls()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, _parent: Any) -> None:
        """End the threads; another worker can take the right at once."""
        self._end.set()
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    terminate = stop

    def _run(self, name: str) -> None:
        mover = DueMover(name)
        wait_s = EVERY_S
        while not self._end.wait(wait_s) and not stop.flag.is_set():
            wait_s = EVERY_S if _is_done(name, mover.beat) else AFTER_ERROR_S
        _is_done(name, mover.stop)


def _is_done(name: str, act: Callable[[], object]) -> bool:
    """Act; log an error. Without this the thread would end, and no worker would store what is due."""
    try:
        act()
    except JournalUnavailable as error:
        logger.warning("due events not stored app=%s error=%s", name, error)
    except ConfigurationError as error:
        logger.error("due events not stored app=%s error=%s", name, error)  # noqa: TRY400 -- the message says it all
    except Exception as error:
        clear_locals(error)
        logger.exception("due events not stored app=%s", name)
    else:
        return True
    return False

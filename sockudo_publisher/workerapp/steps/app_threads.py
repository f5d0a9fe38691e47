"""A step of the worker with a thread for each app, so that one app's trouble delays no other."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from celery import bootsteps

from ...config.settings import get_settings
from ...errors import ConfigurationError, JournalUnavailable
from ...redaction.frame_locals import clear_locals
from ...wiring import stop

__all__ = ["AppThreads", "is_done"]

#: Seconds that the worker waits for the threads at its end; what they still do then is dropped.
STOP_S = 5.0


class AppThreads(bootsteps.StartStopStep):  # type: ignore[misc]
    """It starts after the pool, so that the pool does not fork while the threads run."""

    requires: ClassVar = {"celery.worker.components:Pool"}
    #: Beginning of the threads' names.
    thread_name: ClassVar[str]

    def __init__(self, _parent: Any, **_: Any) -> None:
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    @abstractmethod
    def run(self, app: str) -> None:
        """What the thread of an app does, until :meth:`has_ended`; it must not raise."""

    def has_ended(self, wait_s: float) -> bool:
        """Wait; whether the worker ends meanwhile."""
        return self._end.wait(wait_s) or stop.flag.is_set()

    def start(self, _parent: Any) -> None:
        """Start a thread for each app."""
        self._threads = [
            threading.Thread(target=self.run, args=(app,), name=f"{self.thread_name}-{app}", daemon=True)
            for app in get_settings().app_urls()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, _parent: Any) -> None:
        """End the threads; another worker can take their rights at once."""
        self._end.set()
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    terminate = stop


def is_done(act: Callable[[], object], logger: logging.Logger, what: str, app: str) -> bool:
    """Act; log an error as ``what`` went wrong. Without this the thread would end, and its work with it."""
    try:
        act()
    except JournalUnavailable as error:
        logger.warning("%s app=%s error=%s", what, app, error)
    except ConfigurationError as error:
        logger.error("%s app=%s error=%s", what, app, error)  # noqa: TRY400 -- the message says it all
    except Exception as error:
        clear_locals(error)
        logger.exception("%s app=%s", what, app)
    else:
        return True
    return False

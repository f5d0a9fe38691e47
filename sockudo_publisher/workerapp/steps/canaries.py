"""The canaries' beat: one worker per app asks all the time whether the server still remembers ids.

Every worker has a thread for each app, so that one whose server hangs keeps no other waiting; which worker
plants and asks is a right in Redis that runs out. A thread's I/O is its own: it drains nothing, holds up
nothing, and ends with the worker. While the app is paused nothing is sent here either; whoever probes asks
the canaries then (``delivery/drain.py``).
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

from celery import bootsteps

from ...canaries.schedule import beat_s
from ...config.settings import get_settings
from ...errors import ConfigurationError, JournalUnavailable
from ...wiring import stop
from ...wiring.app import app_named
from .. import run_drain

__all__ = ["CanaryStep", "beat_once"]

logger = logging.getLogger("sockudo_publisher.canary")

#: Beats that the right to plant and ask lasts: a holder that died is followed after so many.
BEATS_HELD = 3

#: Seconds that the worker waits for the threads at its end; what is in flight is dropped then.
STOP_S = 5.0

#: Milliseconds that it lasts at least, with the shortest windows.
MIN_HELD_MS = 2000


class CanaryStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker, after its pool: forked children are not made beside the thread."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, _parent: Any, **_: Any) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._owner = uuid.uuid4().hex

    def start(self, _parent: Any) -> None:
        """Begin to ask."""
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"sockudo-canary-{name}", daemon=True)
            for name in get_settings().app_urls()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, _parent: Any) -> None:
        """End it; another worker may go on at once."""
        self._over.set()
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    terminate = stop

    def _run(self, name: str) -> None:
        every_s = beat_s(get_settings().dedup_window)
        while not self._over.wait(every_s) and not stop.flag.is_set():
            self._guarded(name, beat_once)
        self._guarded(name, _give_up)

    def _guarded(self, name: str, act: Any) -> None:
        try:
            act(name, self._owner)
        except JournalUnavailable as error:
            logger.warning("canaries of app %s: %s", name, error)
        except ConfigurationError as error:
            logger.error("canaries of app %s: %s", name, error)  # noqa: TRY400 -- the message says it all
        except Exception:
            # As with the sweep: what died in silence would be missed when it is needed.
            logger.exception("canaries of app %s", name)


def beat_once(name: str, owner: str) -> bool:
    """One beat of an app, if ``owner`` holds its canaries or nobody does; whether it was done."""
    app = app_named(name)
    canaries = run_drain.canaries_of(app)
    held_ms = max(MIN_HELD_MS, int(beat_s(get_settings().dedup_window) * BEATS_HELD * 1000))
    if app.journal.shared.view().pause is not None or not canaries.memory.take_right(owner, held_ms):
        return False
    canaries.beat(app.journal.lanes())
    return True


def _give_up(name: str, owner: str) -> None:
    run_drain.canaries_of(app_named(name)).memory.drop_right(owner)

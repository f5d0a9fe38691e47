"""The canaries' beat: one worker per app measures continuously whether the server still remembers ids.

Every worker has a thread for each app, so that a hanging server delays no other app. A right in Redis that expires
decides which worker plants and asks canaries. The threads drain nothing, delay no drain, and end with the worker. While
the app is paused they send nothing: the worker that probes asks canaries then (``delivery/drain.py``).
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from celery import bootsteps

from ...canaries.schedule import beat_s
from ...config.settings import get_settings
from ...errors import ConfigurationError, JournalUnavailable
from ...redaction import package_logger
from ...redaction.frame_locals import clear_locals
from ...wiring import stop
from ...wiring.app import app_named
from .. import run_drain

__all__ = ["CanaryStep", "beat_once"]

logger = package_logger("sockudo_publisher.canary")

#: Beats until the right to plant and ask expires: another worker then follows a dead holder.
RIGHT_BEATS = 3

#: Seconds that the worker waits for the threads at its end; later requests are dropped.
STOP_S = 5.0

#: Minimum milliseconds of the right, for the shortest windows.
MIN_RIGHT_MS = 2000


class CanaryStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker. It starts after the pool, so that the pool does not fork while the threads run."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, _parent: Any, **_: Any) -> None:
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self._owner = uuid.uuid4().hex

    def start(self, _parent: Any) -> None:
        """Start a thread for each app."""
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"sockudo-canary-{name}", daemon=True)
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
        every_s = beat_s(get_settings().dedup_window)
        while not self._end.wait(every_s) and not stop.flag.is_set():
            self._call_guarded(name, beat_once)
        self._call_guarded(name, _drop_right)

    def _call_guarded(self, name: str, act: Any) -> None:
        try:
            act(name, self._owner)
        except JournalUnavailable as error:
            logger.warning("canaries not sent app=%s error=%s", name, error)
        except ConfigurationError as error:
            logger.error("canaries not sent app=%s error=%s", name, error)  # noqa: TRY400 -- the message says it all
        except Exception as error:
            clear_locals(error)
            # Without this the thread would end, and no worker would notice that the server forgets.
            logger.exception("canaries not sent app=%s", name)


def beat_once(name: str, owner: str) -> bool:
    """Run one beat of an app if ``owner`` has the right or can take it. Returns whether it ran."""
    app = app_named(name)
    canaries = run_drain.canaries_of(app)
    right_ms = max(MIN_RIGHT_MS, int(beat_s(get_settings().dedup_window) * RIGHT_BEATS * 1000))
    if app.journal.shared.view().pause is not None or not canaries.memory.take_right(owner, right_ms):
        return False
    canaries.beat(app.journal.lanes())
    return True


def _drop_right(name: str, owner: str) -> None:
    run_drain.canaries_of(app_named(name)).memory.drop_right(owner)

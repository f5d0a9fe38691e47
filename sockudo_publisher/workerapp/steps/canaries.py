"""The canaries' beat: one worker per app measures continuously whether the server still remembers ids.

Every worker has a thread for each app (app_threads.py). A right in Redis that expires decides which worker plants and
asks canaries. The threads drain nothing, delay no drain, and end with the worker. While the app is paused they send
nothing: the worker that probes asks canaries then (``delivery/drain.py``).
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from ...canaries.schedule import beat_s
from ...config.settings import get_settings
from ...redaction import package_logger
from ...wiring.app import app_named
from .. import run_drain
from .app_threads import AppThreads, is_done

__all__ = ["CanaryStep", "beat_once"]

logger = package_logger("sockudo_publisher.canary")

#: Beats until the right to plant and ask expires: another worker then follows a dead holder.
RIGHT_BEATS = 3

#: Minimum milliseconds of the right, for the shortest windows.
MIN_RIGHT_MS = 2000


class CanaryStep(AppThreads):
    """Plants and asks canaries. Without it no worker would notice that the server forgets."""

    thread_name = "sockudo-canary"

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._owner = uuid.uuid4().hex

    def run(self, app: str) -> None:
        """Beat until the worker ends, then drop the right."""
        every_s = beat_s(get_settings().dedup_window)
        while not self.has_ended(every_s):
            is_done(partial(beat_once, app, self._owner), logger, "canaries not sent", app)
        is_done(partial(_drop_right, app, self._owner), logger, "canaries not sent", app)


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

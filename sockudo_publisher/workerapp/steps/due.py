"""The step that stores what is due: every 100 ms, by one worker of each app.

A right in Redis that expires decides which worker acts. The threads drain nothing: a due event goes to its lane, and
its doorbell is rung.
"""

from __future__ import annotations

from ...redaction import package_logger
from ..due_events import EVERY_S, DueMover
from .app_threads import AppThreads, is_done

__all__ = ["DueStep"]

logger = package_logger("sockudo_publisher.due")

#: Seconds until the next try after an error.
AFTER_ERROR_S = 1.0


class DueStep(AppThreads):
    """Moves due events into their lanes."""

    thread_name = "sockudo-due"

    def run(self, app: str) -> None:
        """Move what is due until the worker ends, then drop the right."""
        mover = DueMover(app)
        wait_s = EVERY_S
        while not self.has_ended(wait_s):
            wait_s = EVERY_S if is_done(mover.beat, logger, "due events not stored", app) else AFTER_ERROR_S
        is_done(mover.stop, logger, "due events not stored", app)

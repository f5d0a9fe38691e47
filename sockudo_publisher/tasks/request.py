"""The worker's view of a message of our tasks, which shows no arguments: they are the event.

Celery's log lines, its events (Flower and the like) and the answers of ``celery inspect`` take the arguments from here.
A message that ``publish`` has made hides them itself; ``inspect scheduled`` shows them all the same, and another
program's message has a header that repeats them. Loaded by workers alone, through ``Task.Request``.
"""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from .signature import HIDDEN

__all__ = ["QuietRequest"]


class QuietRequest(Request):  # type: ignore[misc]
    """Celery's, without arguments in what it shows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._argsrepr = self._kwargsrepr = HIDDEN
        # The log record of a failure takes them from here.
        self._request_dict.update(argsrepr=HIDDEN, kwargsrepr=HIDDEN)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Celery's."""
        return {**super().info(safe), "args": HIDDEN, "kwargs": HIDDEN}

"""Dead letters in the log: one line each, until there are many of them."""

from __future__ import annotations

import logging
from typing import Final

from ..journal.holder import DeadLetterFields
from ..journal.pack import Item
from .log import item_fields, log

__all__ = ["EVERY_S", "MAX_LINES", "LetterLog"]

#: Lines in ``EVERY_S`` seconds. Further letters are counted, and one line tells their number when the time is over.
MAX_LINES: Final = 20
EVERY_S: Final = 10.0


class LetterLog:
    """Writes the log lines of one run's dead letters. ``sockudo-publisher dead list`` has all letters."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._since_s = float("-inf")
        self._lines = 0
        self._left_out = 0

    def write(self, item: Item, letter: DeadLetterFields, now_s: float) -> None:
        """Write that ``item`` became a dead letter; ``now_s``: of a monotonic clock."""
        if now_s - self._since_s >= EVERY_S:
            self.flush()
            self._since_s, self._lines = now_s, 0
        if self._lines >= MAX_LINES:
            self._left_out += 1
            return
        self._lines += 1
        fields = {**item_fields(item), "bytes": len(item.body), "reason": letter.reason}
        log(logging.ERROR, "dead letter", letter.message, app=self._app, **fields)

    def flush(self) -> None:
        """Write how many letters had no line."""
        if self._left_out:
            log(logging.ERROR, "further dead letters", app=self._app, count=self._left_out)
            self._left_out = 0

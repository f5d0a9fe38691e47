"""Dead letters in the log: a line each, until there are many of them."""

from __future__ import annotations

import logging
from typing import Final

from ..journal.holder import DeadLetterFields
from ..journal.pack import Item

__all__ = ["LetterLog"]

logger = logging.getLogger("sockudo_publisher.delivery")

#: Lines in ``EVERY_S`` seconds; further letters are counted, and one line has their number when the time is over.
MAX_LINES: Final = 20
EVERY_S: Final = 10.0


class LetterLog:
    """The log lines of one run's dead letters. ``sockudo-publisher dead list`` has all letters."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._since_s = float("-inf")
        self._lines = 0
        self._left_out = 0

    def write(self, item: Item, letter: DeadLetterFields, now_s: float) -> None:
        """``item`` became a dead letter; ``now_s``: of a monotonic clock."""
        if now_s - self._since_s >= EVERY_S:
            self.flush()
            self._since_s, self._lines = now_s, 0
        if self._lines >= MAX_LINES:
            self._left_out += 1
            return
        self._lines += 1
        logger.error(
            "app %s: dead letter on channel %s (%d bytes): %s: %s",
            self._app,
            item.channel,
            len(item.body),
            letter.reason,
            letter.words,
        )

    def flush(self) -> None:
        """Write how many letters had no line."""
        if self._left_out:
            logger.error("app %s: further dead letters count=%d", self._app, self._left_out)
            self._left_out = 0

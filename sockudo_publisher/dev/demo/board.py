"""What the board shows at this moment, for a page that comes late or comes back.

A WebSocket tells what changes; what was before it has to be asked for. A page subscribes, holds back
what arrives, takes this snapshot, and drops the held messages whose number the snapshot has.

Thread-safe: the replay writes, the web server reads. Imports this room's data and timetable alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, time
from typing import Any

from .flights import DAY
from .timetable import NEW_DAY, BoardMessage

__all__ = ["Board"]


class Board:
    """The latest message of each flight and the latest number of each channel."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[int, dict[str, Any]] = {}
        self._seq: dict[str, int] = {}
        self._clock = datetime.combine(DAY, time())
        self.published = 0

    def apply(self, messages: Iterable[BoardMessage], clock: datetime | None = None) -> None:
        """Take in ``messages``, published in this order, and set the board's time to ``clock``."""
        with self._lock:
            for message in messages:
                self.published += 1
                self._seq[message.channel] = message.data["seq"]
                if message.name == NEW_DAY:
                    origin = message.data["from"]
                    self._flights = {n: data for n, data in self._flights.items() if data["from"] != origin}
                elif "id" in message.data:
                    self._flights[message.data["id"]] = message.data
            if clock is not None:
                self._clock = clock

    def set_clock(self, clock: datetime) -> None:
        """The board's time, when nothing was published."""
        with self._lock:
            self._clock = clock

    def snapshot(self) -> dict[str, Any]:
        """``{"clock": ISO time, "seq": {channel: number}, "flights": [message data, ...]}``."""
        with self._lock:
            return {
                "clock": self._clock.isoformat(timespec="seconds"),
                "seq": dict(self._seq),
                "flights": list(self._flights.values()),
            }

"""The events of a run, numbered per channel, so that a loss, a repeat or a swap is seen.

Pure, except for the random part of the channels' names.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from ..tally import Tally

__all__ = ["EVENT", "PREFIX", "NumberedEvents", "channel_names", "text_of"]

#: The prefix of every channel of a run; no other channel has it.
PREFIX = "sockudo-publisher-bench-"
#: The name of every event.
EVENT = "bench"


def channel_names(count: int) -> tuple[str, ...]:
    """Channels that no run had before."""
    run = secrets.token_hex(4)
    return tuple(f"{PREFIX}{run}-{number:03d}" for number in range(count))


def text_of(data: dict[str, Any]) -> str:
    """``data`` as a subscriber receives it: compact JSON, as the publisher encodes it."""
    return json.dumps(data, separators=(",", ":"))


class NumberedEvents:
    """Makes events on ``channels`` in turn, with data of ``size`` bytes, and counts each in ``tally``."""

    def __init__(self, channels: tuple[str, ...], size: int, tally: Tally) -> None:
        self.channels = channels
        self.tally = tally
        self._size = size
        self._made = 0

    def events(self, count: int) -> list[tuple[str, str, dict[str, Any]]]:
        """The next ``count`` events, to be published in this order."""
        made = []
        for place in range(self._made, self._made + count):
            turn, index = divmod(place, len(self.channels))
            data: dict[str, Any] = {"seq": turn + 1, "fill": ""}
            data["fill"] = "x" * (self._size - len(text_of(data)))
            self.tally.note_published(self.channels[index], text_of(data))
            made.append((self.channels[index], EVENT, data))
        self._made += count
        return made

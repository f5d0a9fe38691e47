"""The last event of each cache channel, for who subscribes later. Pure; the clock is an argument."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["LastEvents", "is_cache_channel"]

#: Seconds that an event is kept: the memory cache of a server as it comes (``cache.memory.ttl``).
KEPT_S = 300.0
#: Channels whose event is kept; then the oldest leaves.
MAX_CHANNELS = 10_000


def is_cache_channel(channel: str) -> bool:
    """The real server's pattern has no anchor: any name with ``cache-`` in it."""
    return "cache-" in channel


class LastEvents:
    """The frames, by channel."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._frames: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def set(self, channel: str, frame: str) -> None:
        """Keep a channel's frame."""
        self._frames[channel] = (self._clock() + KEPT_S, frame)
        self._frames.move_to_end(channel)
        if len(self._frames) > MAX_CHANNELS:
            self._frames.popitem(last=False)

    def get(self, channel: str) -> str | None:
        """The frame, unless its time is over."""
        kept = self.look(channel)
        return None if kept is None else kept[0]

    def look(self, channel: str) -> tuple[str, int] | None:
        """The frame, and the seconds that are left."""
        expires_at, frame = self._frames.get(channel, (0.0, ""))
        left_s = expires_at - self._clock()
        return (frame, int(left_s)) if frame and left_s > 0 else None

    def forget(self) -> None:
        """Remove all, as a restart does."""
        self._frames.clear()

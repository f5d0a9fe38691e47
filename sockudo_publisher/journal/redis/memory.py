"""Redis' memory: appends stop while there is still room for draining. Imports the link alone."""

from __future__ import annotations

import time
from typing import Any

from ...errors import BacklogFull, JournalUnavailable
from ...redaction import package_logger
from .link import RedisLink
from .refusal import describe_refusal

__all__ = ["MemoryGuard", "memory_share"]

logger = package_logger("sockudo_publisher.journal")

#: Share of `maxmemory` above which nothing is appended: the rest is for draining, dead letters and the broker.
MAX_SHARE = 0.9

#: Seconds between two looks at Redis' memory in one process.
LOOK_S = 1.0

#: Seconds until a look that Redis has refused is tried again: rights are changed while a process runs.
REFUSED_LOOK_S = 60.0

assert 0 < MAX_SHARE < 1
assert LOOK_S < REFUSED_LOOK_S

#: What this process has warned of: once is enough, whatever the number of apps.
_warned: set[str] = set()


class MemoryGuard:
    """Refuses appends while Redis is nearly full.

    A precaution: where Redis does not show its memory, appends go on, and Redis refuses them when it is full.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._looked_at = float("-inf")
        self._is_look_refused = False
        self._is_full = False

    def has_room(self) -> bool:
        """Whether the last look allows appends and is fresh: no question to Redis, which :meth:`check` may ask."""
        return not self._is_full and not self._is_look_due(time.monotonic())

    def check(self) -> None:
        """Raise :class:`BacklogFull` above 90 % of ``maxmemory``. Asks Redis at most once a second."""
        now = time.monotonic()
        if self._is_look_due(now):
            share = self._look()
            self._is_look_refused = share is None
            self._is_full = share is not None and share >= MAX_SHARE
            self._looked_at = now
        if self._is_full:
            raise BacklogFull(f"Redis has used {MAX_SHARE:.0%} of its maxmemory: nothing was stored")

    def _is_look_due(self, now: float) -> bool:
        return now - self._looked_at > (REFUSED_LOOK_S if self._is_look_refused else LOOK_S)

    def _look(self) -> float | None:
        """The used share of the memory; ``None``: Redis does not say."""
        try:
            answer = self._link.run([("INFO", "memory")])[0]
        except JournalUnavailable as error:
            error.stored = False  # the question comes before the append
            raise
        if isinstance(answer, Exception):
            _warn(describe_refusal(answer))
            return None
        share = memory_share(answer)
        if share is None:
            _warn("its answer cannot be read")
        return share


def _warn(why: str) -> None:
    if "memory" not in _warned:
        _warned.add("memory")
        logger.warning(
            "Redis does not show its memory (INFO memory); appends go on, and are refused at maxmemory, not at "
            "%.0f %% of it error=%s",
            MAX_SHARE * 100,
            why,
        )


def memory_share(info: Any) -> float | None:
    """The used share of ``maxmemory`` by ``INFO memory``; 0.0 without a limit, ``None`` for what is no such answer."""
    try:
        if not isinstance(info, dict):
            pairs = [line.split(b":", 1) for line in info.splitlines() if b":" in line]
            info = {name.decode(): value for name, value in pairs}
        used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    except (ValueError, TypeError, AttributeError):
        return None
    return used / limit if limit > 0 else 0.0

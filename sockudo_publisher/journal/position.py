"""How far a bulk job has read its input: kept beside the keys of its events, so that a later run begins there.

Advisory: a lost or unreadable record only means that the input is read from the beginning, and the keys of its events
say what is stored. It is written after the events that it covers, and lives as long as their keys.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from ..errors import JournalUnavailable
from .redis.link import RedisLink

__all__ = ["PositionRecord", "ReadPosition"]


class ReadPosition(NamedTuple):
    """All before byte ``offset`` is stored: ``events`` events, the last of which ends with ``line``."""

    offset: int
    line: int
    events: int


class PositionRecord:
    """The record of one job of one app. ``job`` identifies the input and how it is read."""

    def __init__(self, link: RedisLink, app: str, job: str, *, ttl_ms: int) -> None:
        self._link = link
        self._key = link.keyspace.position(app, job)
        self._ttl_ms = ttl_ms

    def read(self) -> ReadPosition | None:
        """The position; ``None`` if there is no record, or if it cannot be read."""
        try:
            text = self._link.call("GET", self._key)
        except JournalUnavailable:
            return None  # the append that follows fails for the same reason, or does not need the record
        return _position_in(text)

    def write(self, position: ReadPosition) -> bool:
        """Record the position. ``False``: Redis did not take it, which costs a later run its time only."""
        try:
            self._link.call("SET", self._key, json.dumps(position), "PX", self._ttl_ms)
        except JournalUnavailable:
            return False
        return True


def _position_in(text: bytes | None) -> ReadPosition | None:
    try:
        numbers = json.loads(text or b"null")
    except ValueError:
        return None
    if not isinstance(numbers, list) or len(numbers) != len(ReadPosition._fields):
        return None
    if any(type(number) is not int or number < 0 for number in numbers):
        return None
    return ReadPosition(*numbers)

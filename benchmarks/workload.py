"""The events of every measurement: 64 channels in turn, 230 bytes of JSON each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["CHANNELS", "DATA_BYTES", "EVENT", "data", "events"]

CHANNELS = tuple(f"bench-{number:02d}" for number in range(64))

EVENT = "price-changed"

#: Bytes of an event's data as compact JSON.
DATA_BYTES = 230

_FIELDS: dict[str, Any] = {"price": 1234.56, "currency": "EUR", "instrument": "XS0123456789", "venue": "bench"}


def _size(value: dict[str, Any]) -> int:
    return len(json.dumps(value, separators=(",", ":")))


_NOTE = "n" * (DATA_BYTES - _size({"n": 1_000_000_000, **_FIELDS, "note": ""}))


def data(number: int) -> dict[str, Any]:
    """The data of the event of that number (below a thousand million)."""
    return {"n": 1_000_000_000 + number, **_FIELDS, "note": _NOTE}


def events(count: int, first: int = 0) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """``(channel, name, data)`` of ``count`` events."""
    for number in range(first, first + count):
        yield CHANNELS[number % len(CHANNELS)], EVENT, data(number)

"""What the server has accepted, newest last, and how much of what: for tests and for its page. Bounded; thread-safe."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["AcceptedEvent", "Counts", "EventLog"]

#: Events that are kept, and bytes of their data; then the oldest leave.
MAX_EVENTS = 10_000
MAX_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class AcceptedEvent:
    """One event on one channel, as it was published. ``data`` is the text that subscribers got.

    ``subscribers``: how many connections it was sent to. ``at_ms``: milliseconds since 1970.
    """

    app_id: str
    channel: str
    name: str
    data: str
    message_id: str | None
    socket_id: str | None
    tags: Mapping[str, str] | None
    extras: Mapping[str, Any] | None
    subscribers: int
    at_ms: int


@dataclass(frozen=True)
class Counts:
    """Events accepted, repeats answered with the first receipt; requests refused, and spoiled by faults."""

    accepted: int
    replayed: int
    refused: int
    faults: Mapping[str, int]


class EventLog:
    """The last accepted events, and the counts of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[AcceptedEvent] = deque()
        self._bytes = 0
        self._accepted = 0
        self._replayed = 0
        self._refused = 0
        self._faults: Counter[str] = Counter()

    def accept(self, event: AcceptedEvent) -> None:
        """Keep an event that was published."""
        with self._lock:
            self._accepted += 1
            self._events.append(event)
            self._bytes += len(event.data)
            while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
                self._bytes -= len(self._events.popleft().data)

    def count_replay(self) -> None:
        """A repeat was answered with the first receipt."""
        with self._lock:
            self._replayed += 1

    def count_refusal(self) -> None:
        """A request was answered with an error."""
        with self._lock:
            self._refused += 1

    def count_fault(self, name: str) -> None:
        """A request has met a fault."""
        with self._lock:
            self._faults[name] += 1

    def last(self, count: int = MAX_EVENTS) -> list[AcceptedEvent]:
        """The last events, oldest first."""
        with self._lock:
            start = max(0, len(self._events) - count)
            return [self._events[index] for index in range(start, len(self._events))]

    @property
    def counts(self) -> Counts:
        """All so far."""
        with self._lock:
            return Counts(self._accepted, self._replayed, self._refused, dict(self._faults))

    def clear(self) -> None:
        """Forget events and counts."""
        with self._lock:
            self._events.clear()
            self._bytes = self._accepted = self._replayed = self._refused = 0
            self._faults.clear()

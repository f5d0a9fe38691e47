"""The dedup memory per app and channel: a resend is not delivered again.

A record is *pending* while its event is being published and *committed* afterwards. A failed publish takes
its record away; a commit starts its time anew. Facts: docs/server.md, 3.2 and 3.5.
Pure: the clock is an argument of the store, nothing waits here.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .decoding import Message

__all__ = ["Claim", "Conflict", "Decision", "DedupStore", "InProgress", "RecordKey", "StoredReceipt", "fingerprint"]

#: App id, channel, key.
RecordKey = tuple[str, str, str]


@dataclass(frozen=True)
class Claim:
    """A new id: publish the event, then commit or abort."""

    key: RecordKey
    fingerprint: bytes
    owner: int


@dataclass(frozen=True)
class StoredReceipt:
    """The event is already published: answer with its receipt."""

    acknowledgement_id: str


@dataclass(frozen=True)
class Conflict:
    """The key was used with another payload."""


@dataclass(frozen=True)
class InProgress:
    """Another request is publishing the event, or ended while it did."""


Decision = Claim | StoredReceipt | Conflict | InProgress


@dataclass(slots=True)
class _Record:
    state: Literal["pending", "committed"]
    fingerprint: bytes
    owner: int
    acknowledgement_id: str
    expires_at: float


#: Made once: this is for each event.
_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def fingerprint(message: Message, channel: str) -> bytes:
    """The fields that must be equal in a resend: channel, name, data text, tags, id and extras; nothing else.

    Absent is not the same as empty. The real server's fingerprint depends on the order of unordered maps
    when ``extras.headers`` has two entries or more; this one does not.
    """
    text = _json([channel, message.name, message.data, message.tags, message.message_id, message.extras])
    return hashlib.sha256(text.encode()).digest()


class DedupStore:
    """The records. ``clock`` in seconds, never going back.

    ``capacity`` bounds them: when it is full, new keys are published and not remembered, which is what the
    real server's memory cache does (it admits by frequency, and newcomers have none).
    """

    def __init__(self, ttl_s: float, capacity: int, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._clock = clock
        self._owners = 0
        # By time of the last write, which is by expiry: the time to live is the same for all.
        self._records: OrderedDict[RecordKey, _Record] = OrderedDict()

    def __len__(self) -> int:
        self._expire()
        return len(self._records)

    def begin(self, key: RecordKey, fingerprint: bytes) -> Decision:
        """Claim the key, or return its state."""
        self._expire()
        record = self._records.get(key)
        if record is None:
            self._owners += 1
            if len(self._records) < self._capacity:
                expires_at = self._clock() + self._ttl_s
                self._records[key] = _Record("pending", fingerprint, self._owners, "", expires_at)
            return Claim(key, fingerprint, self._owners)
        if record.fingerprint != fingerprint:
            return Conflict()
        return StoredReceipt(record.acknowledgement_id) if record.state == "committed" else InProgress()

    def commit(self, claim: Claim, acknowledgement_id: str) -> None:
        """Record the claim's event as published. Its time to live starts again."""
        self._expire()
        record = self._owned(claim)
        if record is not None:
            record.state, record.acknowledgement_id = "committed", acknowledgement_id
            record.expires_at = self._clock() + self._ttl_s
            self._records.move_to_end(claim.key)

    def abort(self, claim: Claim) -> None:
        """Remove a claim whose event could not be published."""
        if self._owned(claim) is not None:
            del self._records[claim.key]

    def forget(self) -> None:
        """Remove all records, as a restart does."""
        self._records.clear()

    def resize(self, capacity: int) -> None:
        """Hold at most this number of records: the newest leave, and no new one is kept while it is full."""
        self._capacity = capacity
        while len(self._records) > capacity:
            self._records.popitem()

    def _owned(self, claim: Claim) -> _Record | None:
        record = self._records.get(claim.key)
        return record if record is not None and record.owner == claim.owner and record.state == "pending" else None

    def _expire(self) -> None:
        now = self._clock()
        while self._records:
            key, record = next(iter(self._records.items()))
            if record.expires_at > now:
                return
            del self._records[key]

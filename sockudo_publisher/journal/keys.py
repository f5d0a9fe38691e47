"""Names of everything the journal keeps in Redis.

Whatever must change together shares one hash tag, ``{app:lane}``, and so one slot of a Redis
Cluster. What concerns a whole app is under ``{app}`` and is only ever read or changed by itself.
Names given by users are percent-encoded, so that no name can imitate a tag or another key.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote

__all__ = ["APPS", "AppKeys", "QueueKeys", "hold_keys", "lane_keys", "lane_of", "ledger_key"]

PREFIX = "sockudo"

#: set: the names of all apps that have lanes in this Redis.
APPS = f"{PREFIX}:apps"


@lru_cache(maxsize=65_536)
def lane_of(channel: str, lanes: int) -> int:
    """The lane a channel lives in: CRC-32 of its UTF-8 bytes modulo the number of lanes.

    Stable over processes, versions and machines: a channel that changed its lane would lose its order.
    """
    return zlib.crc32(channel.encode()) % lanes


def _encode(name: str) -> str:
    return quote(name, safe="")


@dataclass(frozen=True)
class QueueKeys:
    """The keys of one queue: a lane, or the held items of one channel (``channel`` is set)."""

    app: str
    lane: int
    channel: str | None
    stream: str  # stream of packs, oldest first
    state: str  # hash: head, depth, armed, marker, fence, rung, unanswered, unheard, lane (open or closed: layout.py)
    lease: str  # string with expiry: the holder's token
    gone: str  # hash "entry-id:index" -> 1: items behind the head that have left
    holds: str  # sorted set channel -> due time (ms); of the lane, also for a hold
    dead: str  # stream of dead letters; of the lane, also for a hold
    counts: str  # hash reason -> number; of the lane, also for a hold

    def hold(self, channel: str) -> QueueKeys:
        """The held queue of one channel of this lane."""
        return hold_keys(self.app, self.lane, channel)


@lru_cache(maxsize=1024)
def lane_keys(app: str, lane: int) -> QueueKeys:
    """The keys of a lane."""
    base = f"{PREFIX}:{{{_encode(app)}:{lane}}}"
    return QueueKeys(
        app=app,
        lane=lane,
        channel=None,
        stream=f"{base}:stream",
        state=f"{base}:state",
        lease=f"{base}:lease",
        gone=f"{base}:gone",
        holds=f"{base}:holds",
        dead=f"{base}:dead",
        counts=f"{base}:counts",
    )


@lru_cache(maxsize=4096)
def hold_keys(app: str, lane: int, channel: str) -> QueueKeys:
    """The keys of one held channel, in the lane's slot."""
    shared = lane_keys(app, lane)
    base = f"{PREFIX}:{{{_encode(app)}:{lane}}}:hold:{_encode(channel)}"
    return replace(
        shared,
        channel=channel,
        stream=f"{base}:stream",
        state=f"{base}:state",
        lease=f"{base}:lease",
        gone=f"{base}:gone",
    )


def ledger_key(app: str, lane: int, channel: str, key: str) -> str:
    """Where one ``key=`` of a channel is remembered."""
    return f"{PREFIX}:{{{_encode(app)}:{lane}}}:ledger:{_encode(channel)}:{_encode(key)}"


@dataclass(frozen=True)
class AppKeys:
    """What concerns a whole app."""

    pause: str  # hash: reason, words, since, until, count
    probe: str  # string with expiry: who may send while the app is paused
    limits: str  # hash with expiry: events, bytes: batch limits learned from the server
    lanes: str  # string: the layout of the lanes (layout.py)
    rate: str  # hash with expiry: tokens, at: the bucket of the rate limit
    memory: str  # hash: forgets_until, report, and the beats of the canaries' holder (memory.py)
    canaries: str  # sorted set "id ask_ms" -> planted_ms: canaries that wait to be asked
    canary_answers: str  # sorted set "id age_ms remembered" -> asked_ms
    canary_holder: str  # string with expiry: who plants and asks

    @classmethod
    @lru_cache(maxsize=1024)
    def of(cls, app: str) -> AppKeys:
        """The keys of an app."""
        base = f"{PREFIX}:{{{_encode(app)}}}"
        names = ("pause", "probe", "limits", "lanes", "rate", "memory", "canaries", "canary_answers", "canary_holder")
        return cls(*(f"{base}:{name}" for name in names))

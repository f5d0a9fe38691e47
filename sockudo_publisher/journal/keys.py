"""Names of all keys that the journal has in Redis.

Keys that change together share one hash tag, ``{app:lane}``, and so one slot of a Redis Cluster. Keys of a whole app
are under ``{app}``; each is read and changed on its own. Names given by users are percent-encoded, so that no name can
imitate a tag or another key.

A :class:`Keyspace` names one deployment's keys. It belongs to the connection (``RedisLink.keyspace``), so that code
which has the connection has the right names.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

__all__ = [
    "APPS",
    "BUCKETS",
    "AppKeys",
    "BucketKeys",
    "Keyspace",
    "QueueKeys",
    "bucket_of",
    "hold_keys",
    "lane_keys",
    "lane_of",
    "ledger_key",
]

PREFIX = "sockudo"


@lru_cache(maxsize=65_536)
def lane_of(channel: str, lanes: int) -> int:
    """The lane of a channel: CRC-32 of its UTF-8 bytes modulo the number of lanes.

    The same in all processes, versions and machines: a channel that changed its lane would lose its order.
    """
    return zlib.crc32(channel.encode()) % lanes


#: Buckets of each app's schedule. Never changed: an event that is due far ahead is found by its channel.
BUCKETS = 16


def bucket_of(channel: str) -> int:
    """The bucket of the schedule in which a channel's events wait until they are due."""
    return lane_of(channel, BUCKETS)


def _encode(name: str) -> str:
    return quote(name, safe="")


class QueueKeys(NamedTuple):
    """The keys of one queue: a lane, or the held items of one channel (``channel`` is set)."""

    app: str
    lane: int
    channel: str | None
    prefix: str  # the beginning of all keys of the deployment
    stream: str  # stream of packs, oldest first
    # hash: head, depth, armed, marker, fence, rung, unanswered, unheard (sweep.lua), failures, failing_since, failure,
    # retry_at (fail.lua), lane (open or closed: layout.py), numbered (collapse.lua),
    # keys_until (schedule_once.lua)
    state: str
    lease: str  # string with expiry: the holder's token
    gone: str  # hash "entry-id:index" -> 1: items behind the head that have left
    holds: str  # sorted set channel -> due time (ms); of the lane, also for a hold
    dead: str  # stream of dead letters; of the lane, also for a hold
    dead_size: str  # hash: bytes of the dead letters, aged (trim.lua), reported (dead_reports.py); of the lane
    counts: str  # hash reason -> number; of the lane, also for a hold
    latest: str  # hash channel and collapse key -> number of the latest item; of the lane, also for a hold

    def hold(self, channel: str) -> QueueKeys:
        """The held queue of one channel of this lane."""
        return _hold_keys(self.prefix, self.app, self.lane, channel)


class AppKeys(NamedTuple):
    """The keys of a whole app."""

    pause: str  # hash: reason, message, since, until, count
    probe: str  # string with expiry: the token of the worker that may probe while the app is paused
    limits: str  # hash with expiry: events, bytes: batch limits learned from the server
    lanes: str  # string: the layout of the lanes (layout.py)
    rate: str  # hash with expiry: tokens, at: the bucket of the rate limit
    memory: str  # hash: forgets_until, report, and the beats of the canaries' holder (memory.py)
    canaries: str  # sorted set "id ask_ms" -> planted_ms: canaries that wait to be asked
    canary_answers: str  # sorted set "id age_ms remembered" -> asked_ms
    canary_holder: str  # string with expiry: the token of the worker that plants and asks canaries
    dead_reporter: str  # string with expiry: the token of the process that reports dead letters (dead_reports.py)
    workers: str  # hash with expiry: the live workers, and the Sockudo app of each (workers.py)
    operator_pause: str  # hash: reason, by, since (operator.py)
    audit: str  # stream: what operators did, newest last (operator.py)
    due_holder: str  # string with expiry: the token of the worker that stores what is due

    @classmethod
    def of(cls, app: str) -> AppKeys:
        """The keys of an app without a namespace, for tools and tests."""
        return Keyspace().app(app)


class BucketKeys(NamedTuple):
    """The keys of one bucket of the schedule, in one slot."""

    app: str
    bucket: int
    base: str
    times: str  # sorted set "SEQ ID" -> due time in ms; +inf: parked (due.lua)
    items: str  # hash message id -> its entries (record.lua)
    claimed: str  # set: names of the events that a worker is storing
    lease: str  # string with expiry: the token of that worker

    def cancelled(self, message_id: str) -> str:
        """String with expiry: what was cancelled of one message id."""
        return f"{self.base}:cancelled:{_encode(message_id)}"


class Keyspace:
    """The keys of one deployment: ``sockudo:...``, with a namespace ``NAMESPACE:sockudo:...``.

    The namespace comes first, so that one ACL pattern (``~NAMESPACE:sockudo:*``) covers one deployment and
    never another's: a namespace has no ``:`` and is not ``sockudo`` (settings.py), so no prefix begins with
    another one.
    """

    __slots__ = ("_prefix", "apps")

    def __init__(self, namespace: str = "") -> None:
        self._prefix = f"{namespace}:{PREFIX}" if namespace else PREFIX
        #: set: the names of all apps that have lanes here.
        self.apps = f"{self._prefix}:apps"

    def __repr__(self) -> str:
        return f"<Keyspace {self.pattern}>"

    @property
    def pattern(self) -> str:
        """The pattern of all these keys, as in an ACL."""
        return f"{self._prefix}:*"

    def lane(self, app: str, lane: int) -> QueueKeys:
        """The keys of a lane."""
        return _lane_keys(self._prefix, app, lane)

    def hold(self, app: str, lane: int, channel: str) -> QueueKeys:
        """The keys of one held channel, in the lane's slot."""
        return _hold_keys(self._prefix, app, lane, channel)

    def ledger(self, app: str, lane: int, channel: str, key: str) -> str:
        """The ledger of one ``key=`` of a channel."""
        return f"{_lane_base(self._prefix, app, lane)}:ledger:{_encode(channel)}:{_encode(key)}"

    def bucket(self, app: str, bucket: int) -> BucketKeys:
        """The keys of one bucket of an app's schedule."""
        return _bucket_keys(self._prefix, app, bucket)

    def position(self, app: str, job: str) -> str:
        """The position of one bulk job in its input (position.py)."""
        return f"{self._prefix}:{{{_encode(app)}}}:position:{_encode(job)}"

    def app(self, app: str) -> AppKeys:
        """The keys of an app."""
        return _app_keys(self._prefix, app)


def _lane_base(prefix: str, app: str, lane: int) -> str:
    return f"{prefix}:{{{_encode(app)}:{lane}}}"


@lru_cache(maxsize=1024)
def _lane_keys(prefix: str, app: str, lane: int) -> QueueKeys:
    base = _lane_base(prefix, app, lane)
    return QueueKeys(
        app=app,
        lane=lane,
        channel=None,
        prefix=prefix,
        stream=f"{base}:stream",
        state=f"{base}:state",
        lease=f"{base}:lease",
        gone=f"{base}:gone",
        holds=f"{base}:holds",
        dead=f"{base}:dead",
        dead_size=f"{base}:dead_size",
        counts=f"{base}:counts",
        latest=f"{base}:latest",
    )


@lru_cache(maxsize=4096)
def _hold_keys(prefix: str, app: str, lane: int, channel: str) -> QueueKeys:
    base = f"{_lane_base(prefix, app, lane)}:hold:{_encode(channel)}"
    return _lane_keys(prefix, app, lane)._replace(
        channel=channel,
        stream=f"{base}:stream",
        state=f"{base}:state",
        lease=f"{base}:lease",
        gone=f"{base}:gone",
    )


@lru_cache(maxsize=1024)
def _bucket_keys(prefix: str, app: str, bucket: int) -> BucketKeys:
    base = f"{prefix}:{{{_encode(app)}:due{bucket}}}"
    return BucketKeys(app, bucket, base, f"{base}:times", f"{base}:items", f"{base}:claimed", f"{base}:lease")


@lru_cache(maxsize=1024)
def _app_keys(prefix: str, app: str) -> AppKeys:
    base = f"{prefix}:{{{_encode(app)}}}"
    names = (
        "pause",
        "probe",
        "limits",
        "lanes",
        "rate",
        "memory",
        "canaries",
        "canary_answers",
        "canary_holder",
        "dead_reporter",
        "workers",
        "operator_pause",
        "audit",
        "due_holder",
    )
    return AppKeys(*(f"{base}:{name}" for name in names))


# The keys of a journal without a namespace, for tools and tests. The package's own modules use their connection's
# keyspace (a test checks that): otherwise they would use another deployment's keys.
_PLAIN = Keyspace()
APPS = _PLAIN.apps
lane_keys = _PLAIN.lane
hold_keys = _PLAIN.hold
ledger_key = _PLAIN.ledger

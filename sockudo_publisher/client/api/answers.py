"""The shapes of the server's answers, for type checkers: at run time each is the server's own ``dict``.

Types only; imports nothing. Fields that a newer server adds are in the dict too; fields that it does not send are
missing, so read optional fields with ``.get``. Serials are ``int`` of up
to 64 bits, which Python keeps whole. Facts: docs/server.md, 1.3 to 1.8.
"""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = [
    "AnnotationDeleted",
    "AnnotationPublished",
    "AnnotationsPage",
    "BatchAnswer",
    "BatchItemAnswer",
    "CachedEvent",
    "ChannelAnswer",
    "ChannelCounts",
    "ChannelsAnswer",
    "Continuity",
    "HistoryBounds",
    "HistoryItem",
    "HistoryPage",
    "HistoryPurge",
    "HistoryReset",
    "HistoryStateAnswer",
    "Mutation",
    "PresenceHistoryItem",
    "PresenceHistoryPage",
    "PresenceHistoryReset",
    "PresenceHistoryStateAnswer",
    "PresenceMember",
    "PresenceSnapshot",
    "Revocation",
    "StreamState",
    "StreamStateAnswer",
    "TriggerAnswer",
    "UserAnswer",
    "UsersAnswer",
    "VersionedMessageAnswer",
    "VersionsPage",
]


# -- publishing ----------------------------------------------------------------------------------------


class BatchItemAnswer(TypedDict, total=False):
    """The result of one event on one channel.

    ``acknowledgement_id``: of an event with ``message_id`` or ``info``; the id, or with versioned messages
    the serial of the message. Empty without these, and if the server skipped the event as a
    repeat of its ``idempotency_key``. The serials are those of versioned messages.
    """

    acknowledgement_id: str
    message_serial: str
    history_serial: int
    delivery_serial: int
    version_serial: str
    user_count: int
    subscription_count: int


class TriggerAnswer(TypedDict, total=False):
    """An event's channels, by name; empty without ``info`` and ``message_id``."""

    channels: dict[str, BatchItemAnswer]


class BatchAnswer(TypedDict, total=False):
    """One answer per event, in order; empty if no event had ``info`` or an id."""

    batch: list[BatchItemAnswer]


# -- channels ------------------------------------------------------------------------------------------


class ChannelCounts(TypedDict, total=False):
    """The requested counts of one channel of a listing."""

    user_count: int
    subscription_count: int


class ChannelsAnswer(TypedDict):
    """The occupied channels, by name."""

    channels: dict[str, ChannelCounts]


class CachedEvent(TypedDict):
    """The last event of a cache channel: ``data`` is its JSON text, ``ttl`` the seconds it is kept."""

    data: str
    ttl: int


class _Occupied(TypedDict):
    occupied: bool


class ChannelAnswer(_Occupied, total=False):
    """One channel. ``subscription_count_complete`` is there, and false, when some node did not answer."""

    user_count: int
    subscription_count: int
    subscription_count_complete: bool
    cache: CachedEvent


class UserAnswer(TypedDict):
    """A member of a presence channel."""

    id: str


class UsersAnswer(TypedDict):
    """The members of a presence channel."""

    users: list[UserAnswer]


# -- history -------------------------------------------------------------------------------------------


class HistoryBounds(TypedDict):
    """The bounds of a query as the server read them; times in milliseconds since 1970."""

    start_serial: int | None
    end_serial: int | None
    start_time_ms: int | None
    end_time_ms: int | None


class Continuity(TypedDict, total=False):
    """What is kept of a stream; ``retained_messages`` of events, ``retained_events`` of presence."""

    stream_id: str | None
    oldest_available_serial: int | None
    newest_available_serial: int | None
    oldest_available_published_at_ms: int | None
    newest_available_published_at_ms: int | None
    retained_messages: int
    retained_events: int
    retained_bytes: int
    complete: bool
    truncated_by_retention: bool
    degraded: bool


class StreamState(TypedDict, total=False):
    """How sound a stream is: ``durable_state`` is healthy, degraded or reset_required."""

    stream_id: str | None
    durable_state: str
    recovery_allowed: bool
    continuity_proven: bool
    reset_required: bool
    reason: str | None
    node_id: str | None
    last_transition_at_ms: int | None
    authoritative_source: str
    observed_source: str


class HistoryItem(TypedDict):
    """One event as it was published. ``message`` is the stored one: event, channel, data, tags, extras …"""

    stream_id: str
    serial: int
    published_at_ms: int
    message_id: str | None
    event_name: str | None
    operation_kind: str
    payload_size_bytes: int
    message: dict[str, Any]


class HistoryPage(TypedDict):
    """A page of a channel's history."""

    items: list[HistoryItem]
    direction: str
    limit: int
    has_more: bool
    next_cursor: str | None
    bounds: HistoryBounds
    continuity: Continuity
    stream_state: StreamState


class StreamStateAnswer(TypedDict):
    """A stream: the serial that comes next, what is kept, and how sound it is."""

    stream_id: str | None
    next_serial: int | None
    retained: Continuity
    state: StreamState


class HistoryStateAnswer(TypedDict):
    """What is kept of a channel."""

    channel: str
    stream: StreamStateAnswer


class _Ordered(TypedDict):
    ok: bool
    operation: str
    channel: str
    reason: str
    requested_by: str | None
    purged_bytes: int
    stream: StreamStateAnswer


class HistoryReset(_Ordered):
    """A history that begins anew."""

    previous_stream_id: str | None
    new_stream_id: str
    purged_messages: int


class HistoryPurge(_Ordered):
    """Events that are gone."""

    mode: str
    before_serial: int | None
    before_time_ms: int | None
    purged_messages: int


# -- presence history ----------------------------------------------------------------------------------


class PresenceHistoryItem(TypedDict):
    """A member that joined, left or changed; ``cause`` is the reason."""

    stream_id: str
    serial: int
    published_at_ms: int
    event: str
    cause: str
    user_id: str
    connection_id: str | None
    dead_node_id: str | None
    payload_size_bytes: int
    presence_event: dict[str, Any]


class PresenceHistoryPage(TypedDict):
    """A page of a presence channel's history."""

    items: list[PresenceHistoryItem]
    direction: str
    limit: int
    has_more: bool
    next_cursor: str | None
    bounds: HistoryBounds
    continuity: Continuity
    stream_state: StreamState


class PresenceMember(TypedDict):
    """A member that was present."""

    user_id: str
    last_event: str
    last_event_serial: int
    last_event_at_ms: int


class PresenceSnapshot(TypedDict):
    """Who was there at a time."""

    channel: str
    members: list[PresenceMember]
    member_count: int
    events_replayed: int
    snapshot_serial: int | None
    snapshot_time_ms: int | None
    continuity: Continuity


class PresenceHistoryStateAnswer(TypedDict):
    """What is kept of a presence channel."""

    channel: str
    stream: StreamStateAnswer


class PresenceHistoryReset(_Ordered):
    """A presence history that begins anew."""

    previous_stream_id: str | None
    new_stream_id: str
    purged_events: int


# -- versioned messages and annotations ------------------------------------------------------------------


class VersionedMessageAnswer(TypedDict):
    """A message as it is now: ``event``, ``name``, ``data``, ``action``, ``message_serial``, ``version`` …"""

    channel: str
    item: dict[str, Any]


class _Versions(TypedDict):
    channel: str
    direction: str
    limit: int
    has_more: bool
    items: list[dict[str, Any]]


class VersionsPage(_Versions, total=False):
    """A page of a message's versions; ``next_cursor`` only where there are more."""

    next_cursor: str


class _Accepted(TypedDict):
    channel: str
    message_serial: str
    action: str
    accepted: bool
    status: str


class Mutation(_Accepted, total=False):
    """A change that was made; ``status`` is applied, or duplicate for an ``op_id`` seen before."""

    version_serial: str
    history_serial: int
    delivery_serial: int


class AnnotationPublished(TypedDict):
    """The serial of a new annotation."""

    annotationSerial: str


class AnnotationDeleted(TypedDict):
    """The serial of the deletion, and of what it deleted."""

    annotationSerial: str
    deletedAnnotationSerial: str


class AnnotationsPage(TypedDict):
    """A page of a message's annotations: each with ``action``, ``type``, ``name``, ``clientId``, ``count`` …"""

    channel: str
    messageSerial: str
    limit: int
    hasMore: bool
    nextCursor: str | None
    items: list[dict[str, Any]]


# -- tokens --------------------------------------------------------------------------------------------


class Revocation(TypedDict):
    """What was revoked, and how many connections that closed."""

    revoked_jti: bool
    revoked_client_id: bool
    closed_connections: int

"""An event as the caller gives it: before validation, encoding and encryption.

One concept, no I/O. Imports the error tree alone. The fields are those of the server's publish body
(docs/server.md, 1.3) plus ``key`` and ``collapse``, which are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

from ...errors import ValidationError

__all__ = ["Event", "EventLike", "as_event"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event for one channel.

    ``data``: ``str`` and ``bytes`` (UTF-8) are sent as they are, anything else as compact JSON, also dataclasses,
    models, dates, decimals and enums (docs/publishing.md).
    ``socket_id``: the subscriber (``"123.456"``) that shall not receive it.
    ``info``: what the answer shall tell about the channel (``"user_count,subscription_count"`` or a sequence).
    ``tags``: text to text, for tag filters. ``extras``: a JSON object, keys in the server's camelCase, of at most
    124 levels (126 in ``trigger``) and integers of 64 bits; without ``push``, which Sockudo 5.2.0 refuses in a publish.
    ``key``: the caller's own identity of the event (1 to 128 bytes), which the server knows as its
    ``message_id``: in queued publishes and in ``trigger_batch``.
    ``idempotency_key``: the HTTP API's key, for direct calls; ``True`` makes one.
    ``collapse``: for queued publishes: while the event waits unsent, a later one of the same channel and collapse key
    (1 to 128 bytes) replaces it.

    Checks nothing: the encoder does, and raises ``ValidationError``.
    """

    channel: str
    name: str
    data: Any = field(repr=False)  # payloads stay out of logs
    _: KW_ONLY
    socket_id: str | None = None
    info: str | Sequence[str] | None = None
    tags: Mapping[str, str] | None = field(default=None, repr=False)
    extras: Mapping[str, Any] | None = field(default=None, repr=False)
    key: str | None = None
    idempotency_key: str | bool | None = None
    collapse: str | None = None


#: What the batch calls take: an :class:`Event`, a ``(channel, name, data)`` tuple, or a mapping with an event's fields,
#: where ``key`` may have the name that it has on the wire, ``message_id``.
EventLike = Event | tuple[str, str, Any] | Mapping[str, Any]

_FIELDS = frozenset(f.name for f in fields(Event))
_REQUIRED = ("channel", "name", "data")


def as_event(value: EventLike) -> Event:
    """Make an :class:`Event` of what the batch calls take. The caller's object is never changed.

    Raises ``ValidationError`` for another shape, a missing field or an unknown one.
    """
    if type(value) is Event:
        return value
    if isinstance(value, tuple):
        if len(value) != 3:
            raise ValidationError(f"event: a tuple of {len(value)}, expected (channel, name, data)")
        return Event(*value)
    if isinstance(value, Mapping):
        if "message_id" in value:
            if "key" in value:
                raise ValidationError("event: message_id given together with key, which it is another name of")
            value = {"key" if name == "message_id" else name: field for name, field in value.items()}
        missing = [name for name in _REQUIRED if name not in value]
        if missing:
            raise ValidationError(f"event: no {' and no '.join(missing)}")
        unknown = sorted(str(name)[:40] for name in value if name not in _FIELDS)
        if unknown:
            raise ValidationError(f"event: unknown field {unknown[0]!r}, expected {', '.join(sorted(_FIELDS))}")
        return Event(**value)
    if isinstance(value, Event):
        return value
    raise ValidationError(
        f"event: a {type(value).__name__}, expected an Event, a (channel, name, data) tuple or a dict"
    )

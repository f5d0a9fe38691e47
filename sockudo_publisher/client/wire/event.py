"""An event as the caller gives it: before validation, encoding and encryption.

One concept, no I/O. Imports the error tree, the names of extras and the channels of users. The fields are those of the
server's publish body (docs/server.md, 1.3) plus ``key``, ``collapse`` and ``user_id``, which are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

from ...errors import ValidationError
from .extras import ExtrasLike
from .user_channel import single_target

__all__ = ["Event", "EventLike", "as_event"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event for one channel, or for one user: ``Event(None, name, data, user_id="42")``.

    ``data``: ``str`` and ``bytes`` (UTF-8) are sent as they are, anything else as compact JSON, also dataclasses,
    models, dates, decimals and enums (docs/publishing.md).
    ``socket_id``: the subscriber (``"123.456"``) that shall not receive it.
    ``info``: what the answer shall tell about the channel (``"user_count,subscription_count"`` or a sequence).
    ``tags``: text to text, for tag filters. ``extras``: a JSON object, keys in the server's camelCase, of at most
    124 levels (126 in ``trigger``) and integers of 64 bits; without ``push``, which Sockudo 5.2.0 refuses in a publish.
    ``delta``: ``False`` lets the server send all of it to subscribers that get differences to the event before.
    ``user_id``: the signed-in user whose connections get it, in place of a channel; 1 to 184 bytes.
    ``key``: the caller's own identity of the event (1 to 128 bytes), which the server knows as its
    ``message_id``: in queued publishes and in ``trigger_batch``.
    ``idempotency_key``: the HTTP API's key, for direct calls; ``True`` makes one.
    ``collapse``: for queued publishes: while the event waits unsent, a later one of the same channel and collapse key
    (1 to 128 bytes) replaces it.

    Checks nothing: the encoder does, and raises ``ValidationError``.
    """

    channel: str | None
    name: str
    data: Any = field(repr=False)  # payloads stay out of logs
    _: KW_ONLY
    socket_id: str | None = None
    info: str | Sequence[str] | None = None
    tags: Mapping[str, str] | None = field(default=None, repr=False)
    extras: ExtrasLike | None = field(default=None, repr=False)
    key: str | None = None
    idempotency_key: str | bool | None = None
    delta: bool | None = None
    user_id: str | None = None
    collapse: str | None = None

    @property
    def target(self) -> str:
        """The channel, or that of the user. Raises ``ValidationError`` if both are given, or if neither can be one."""
        if self.user_id is not None:
            return single_target(self.channel, self.user_id)
        return self.channel  # type: ignore[return-value]  # the encoder checks it


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
        if value.get("user_id") is not None and "channel" not in value:
            value = {"channel": None, **value}
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

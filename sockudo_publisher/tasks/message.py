"""The contents of this package's Celery messages, written and read: a finished event or a refused call. Pure.

A finished event is sent as the bytes that will be stored: the worker appends them and encodes nothing again. Every
program that reaches the broker can send such a message, so each field is checked before it is used. A wrong message
raises :class:`ValidationError`, whose text never contains the event's data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..client.wire.limits import MAX_BATCH_BYTES, MAX_CHANNELS, check_channel, check_id
from ..errors import ConfigurationError, IdempotencyConflict, ValidationError
from ..journal.pack import Item
from ..journal.wellformed import fault_of
from ..publishing.prepare import Prepared
from ..redaction import encode_or_none
from .options import MAX_MS

__all__ = ["REFUSALS", "FinishedEvent", "read_event", "write_event", "write_refusal"]

#: Errors of a bad call. In a canvas they fail the `publish` step itself, not the task before it.
REFUSALS = (ValidationError, ConfigurationError, IdempotencyConflict, TypeError)

#: The field of a message that carries an error instead of an event.
_REFUSED = "refused"

#: As ``prepare`` makes them; empty for an event without a key.
_FINGERPRINT = re.compile(r"(?:[0-9a-f]{32})?")


class FinishedEvent(NamedTuple):
    """An event as a message carries it: validated, encoded, and bound to one journal.

    ``namespace``: ``SOCKUDO_NAMESPACE`` of the process that made it. ``app``: the app's name in the settings.
    """

    namespace: str
    app: str
    prepared: Prepared


def write_event(event: FinishedEvent) -> dict[str, Any]:
    """A finished event as the JSON object of an append message."""
    prepared = event.prepared
    message = {
        "namespace": event.namespace,
        "app": event.app,
        "id": prepared.message_id,
        "items": [[item.channel, item.body.decode(), item.expires_ms] for item in prepared.items],
        "key": prepared.key,
        "fingerprint": prepared.fingerprint,
    }
    if collapse := prepared.items[0].collapse:
        message["collapse"] = collapse
    return message


def write_refusal(error: Exception) -> dict[str, Any]:
    """The error of a bad call as the object of an append message: its type and text, which contain no payload."""
    kind = next(kind for kind in REFUSALS if isinstance(error, kind))
    return {_REFUSED: {"type": kind.__name__, "message": str(error)}}


def read_event(message: object) -> FinishedEvent:
    """The event that :func:`write_event` was given.

    Raises the error that :func:`write_refusal` was given, and :class:`ValidationError` for any other object.
    """
    if not isinstance(message, Mapping):
        raise ValidationError(f"event: a {type(message).__name__}, expected an object")
    if _REFUSED in message:
        raise _read_refusal(message[_REFUSED])
    missing = [name for name in ("namespace", "app", "id", "items", "key", "fingerprint") if name not in message]
    if missing:
        raise ValidationError(f"event: without {', '.join(missing)}")
    message_id = check_id(message["id"], field="event.id")
    key, fingerprint = message["key"], message["fingerprint"]
    if key is not None and check_id(key, field="event.key") != message_id:
        raise ValidationError("event.key: differs from the id")
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        raise ValidationError("event.fingerprint: expected 32 hexadecimal digits, or an empty text")
    for field in ("namespace", "app"):
        if not isinstance(message[field], str):
            raise ValidationError(f"event.{field}: a {type(message[field]).__name__}, expected a text")
    collapse = "" if message.get("collapse") is None else check_id(message["collapse"], field="event.collapse")
    items = message["items"]
    if not isinstance(items, list | tuple) or not 1 <= len(items) <= MAX_CHANNELS:
        raise ValidationError(f"event.items: expected a list of 1 to {MAX_CHANNELS}")
    read = tuple([_read_item(index, item, message_id, collapse) for index, item in enumerate(items)])
    if len({item.channel for item in read}) < len(read):
        raise ValidationError("event.items: a channel twice")
    return FinishedEvent(message["namespace"], message["app"], Prepared(message_id, read, key, fingerprint))


def _read_item(index: int, given: object, message_id: str, collapse: str) -> Item:
    field = f"event.items[{index}]"
    if not isinstance(given, list | tuple) or len(given) != 3:
        raise ValidationError(f"{field}: expected channel, body, expiry")
    channel, body, expires_ms = given
    try:
        check_channel(channel)
    except ValidationError as error:
        raise ValidationError(f"{field}: {error}") from None
    if type(expires_ms) is not int or not 0 <= expires_ms <= MAX_MS:
        raise ValidationError(f"{field}: expiry: expected milliseconds, 0 to {MAX_MS}")
    if not isinstance(body, str):
        raise ValidationError(f"{field}: a {type(body).__name__} as body, expected a str")
    encoded = encode_or_none(body)
    if encoded is None:
        raise ValidationError(f"{field}: body: not UTF-8 (a lone surrogate)")
    item = Item(channel, encoded, expires_ms, collapse)
    if len(item.body) > MAX_BATCH_BYTES:
        raise ValidationError(f"{field}: body: {len(item.body)} bytes, limit {MAX_BATCH_BYTES}")
    fault = fault_of(item, message_id)
    if fault:
        raise ValidationError(f"{field}: body: {fault}")
    return item


def _read_refusal(refusal: object) -> Exception:
    """The error that :func:`write_refusal` was given; a :class:`ValidationError` for any other object."""
    kinds: dict[object, type[Exception]] = {kind.__name__: kind for kind in REFUSALS}
    if not isinstance(refusal, Mapping) or not isinstance(refusal.get("message"), str):
        return ValidationError("event.refused: expected an object with type and message")
    kind = refusal.get("type")
    return (kinds.get(kind, ValidationError) if isinstance(kind, str) else ValidationError)(refusal["message"])

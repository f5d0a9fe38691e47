"""What this package's Celery messages carry, made and read: a finished event, a refusal, a ring. Pure.

What a countdown or a canvas sends is JSON: the items as they will be stored, so that the worker that
takes the message appends bytes and makes nothing anew. Every program that reaches the broker can send one, so a worker
checks it before it acts: a wrong one raises :class:`ValidationError`, without the event in its words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..client.wire.limits import MAX_BATCH_BYTES, MAX_CHANNELS, check_channel, check_id
from ..delivery.wellformed import fault_of
from ..errors import ConfigurationError, IdempotencyConflict, ValidationError
from ..journal.layout.layout import MAX_LANE
from ..journal.pack import Item
from ..publishing.prepare import Prepared
from ..wiring.app import App, app_named
from .options import MAX_MS

__all__ = ["FINISHED", "REFUSALS", "from_message", "refusal", "refused", "ring_from", "to_message"]

#: What a message may carry instead of a call: the finished event, or why there is none.
FINISHED = frozenset({"prepared", "refused"})

#: What a call is refused with: in a canvas by the step itself, not by the task before it.
REFUSALS = (ValidationError, ConfigurationError, IdempotencyConflict, TypeError)

#: As ``prepare`` makes them; none where the event has no key.
_FINGERPRINT = re.compile(r"(?:[0-9a-f]{32})?")

#: Characters of a name from a message that are repeated.
MAX_NAME = 50


def to_message(app: App, prepared: Prepared) -> dict[str, Any]:
    """A finished event as the value of ``prepared``."""
    return {
        "app": app.name,
        "id": prepared.message_id,
        "items": [[item.channel, item.body.decode(), item.expires_ms] for item in prepared.items],
        "key": prepared.key,
        "fingerprint": prepared.fingerprint,
    }


def from_message(message: object) -> tuple[App, Prepared]:
    """The event that :func:`to_message` was given, and its app.

    Raises :class:`ValidationError` for what :func:`to_message` never makes, :class:`ConfigurationError` for an app
    that is not configured.
    """
    if not isinstance(message, Mapping):
        raise ValidationError(f"prepared: a {type(message).__name__}, expected an object")
    missing = [name for name in ("app", "id", "items", "key", "fingerprint") if name not in message]
    if missing:
        raise ValidationError(f"prepared: without {', '.join(missing)}")
    message_id = check_id(message["id"], field="prepared.id")
    key, fingerprint = message["key"], message["fingerprint"]
    if key is not None and check_id(key, field="prepared.key") != message_id:
        raise ValidationError("prepared.key: another one than the id")
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        raise ValidationError("prepared.fingerprint: expected 32 hexadecimal digits, or none")
    if not isinstance(message["app"], str):
        raise ValidationError(f"prepared.app: a {type(message['app']).__name__}, expected a name")
    items = message["items"]
    if not isinstance(items, list | tuple) or not 1 <= len(items) <= MAX_CHANNELS:
        raise ValidationError(f"prepared.items: expected a list of 1 to {MAX_CHANNELS}")
    read = tuple([_item(index, item, message_id) for index, item in enumerate(items)])
    if len({item.channel for item in read}) < len(read):
        raise ValidationError("prepared.items: a channel twice")
    return app_named(message["app"]), Prepared(message_id, read, key, fingerprint)


def _item(index: int, given: object, message_id: str) -> Item:
    field = f"prepared.items[{index}]"
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
    try:
        item = Item(channel, body.encode(), expires_ms)
    except UnicodeEncodeError:
        raise ValidationError(f"{field}: body: not UTF-8 (a lone surrogate)") from None
    if len(item.body) > MAX_BATCH_BYTES:
        raise ValidationError(f"{field}: body: {len(item.body)} bytes, limit {MAX_BATCH_BYTES}")
    fault = fault_of(item, message_id)
    if fault:
        raise ValidationError(f"{field}: body: {fault}")
    return item


def refusal(error: Exception) -> dict[str, str]:
    """A refused call as the value of ``refused``: no payload, no secret."""
    kind = next(kind for kind in REFUSALS if isinstance(error, kind))
    return {"type": kind.__name__, "message": str(error)}


def refused(refusal: object) -> Exception:
    """The error that :func:`refusal` was given; another one where it never was."""
    kinds: dict[object, type[Exception]] = {kind.__name__: kind for kind in REFUSALS}
    if not isinstance(refusal, Mapping) or not isinstance(refusal.get("message"), str):
        return ValidationError("refused: not a refusal, expected type and message")
    kind = refusal.get("type")
    return (kinds.get(kind, ValidationError) if isinstance(kind, str) else ValidationError)(refusal["message"])


def ring_from(args: Sequence[Any], kwargs: Mapping[str, Any], apps: Collection[str]) -> tuple[str, int, str | None]:
    """What a doorbell rings: ``drain(app, lane, channel=None)``. ``apps``: those that are configured.

    Raises :class:`ValidationError`. Whether the lane is one, and the channel held, only the journal knows.
    """
    fields = ("app", "lane", "channel")
    given = {**dict(zip(fields, args, strict=False)), **kwargs}
    if len(args) > len(fields) or not kwargs.keys() <= set(fields[len(args) :]) or not {"app", "lane"} <= given.keys():
        raise ValidationError(f"drain: {len(args)} arguments, {len(kwargs)} by name; expected app, lane, channel")
    app, lane, channel = (given.get(name) for name in fields)
    if not isinstance(app, str) or app not in apps:
        shown = repr(app[:MAX_NAME]) if isinstance(app, str) else f"a {type(app).__name__}"
        raise ValidationError(f"drain: app: {shown} is not configured here (SOCKUDO_URL, SOCKUDO_APPS)")
    if type(lane) is not int or not 0 <= lane <= MAX_LANE:
        shown = f"a {type(lane).__name__}" if type(lane) is not int else "out of range"
        raise ValidationError(f"drain: lane: {shown}, expected a number from 0 to {MAX_LANE}")
    if channel is not None:
        try:
            check_channel(channel)
        except ValidationError as error:
            raise ValidationError(f"drain: {error}") from None
    return app, lane, channel

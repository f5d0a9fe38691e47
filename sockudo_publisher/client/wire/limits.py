"""Limits of events: pure checks that raise ``ValidationError`` before anything is stored or sent.

Every message has the form ``field: size, limit`` and never contains the value. The numbers are
those of the seed SDK and of the server (docs/sdks.md, Requests and vectors; docs/server.md,
4.2). Imports the error tree alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sized
from functools import lru_cache
from typing import Any

from ...errors import ValidationError
from .encryption import is_encrypted

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_CHANNELS",
    "MAX_CHANNEL_BYTES",
    "MAX_EVENT_BYTES",
    "MAX_EVENT_NAME_BYTES",
    "MAX_ID_BYTES",
    "MAX_OBJECT_BYTES",
    "MAX_USER_ID_BYTES",
    "check_channel",
    "check_channels",
    "check_data_bytes",
    "check_event_name",
    "check_id",
    "check_idempotency_key",
    "check_queue_extras",
    "check_socket_id",
    "check_tags",
    "unordered_extras",
]

#: Channels of one publish: the seed's limit; the server has none unless the app sets one.
MAX_CHANNELS = 100
#: Bytes of a channel name: the server's default (its utils.rs), an app may set less.
MAX_CHANNEL_BYTES = 200
#: Bytes of an event name: the server's default for an app, which may set less.
MAX_EVENT_NAME_BYTES = 200
#: Bytes of ``message_id`` and of idempotency keys: the server's ``max_key_length``.
MAX_ID_BYTES = 128
#: Bytes of a user's id, in sign-ins, presence data and orders: the Pusher protocol's (the seed SDK stops one short).
MAX_USER_ID_BYTES = 200
#: Bytes of one event's ``data`` as sent, unless the client has another limit: the seed's 10 KB.
MAX_EVENT_BYTES = 10_240
#: Bytes of ``tags`` and of ``extras`` as JSON, each: keeps one event far below any batch's bound.
MAX_OBJECT_BYTES = 65_536
#: Bytes of one batch's body: the server's default for any request (its ``http_api.request_limit_in_mb``).
MAX_BATCH_BYTES = 10 * 1024 * 1024
#: Characters of an entry's name in an error message.
MAX_NAME_CHARACTERS = 50
#: Cached checked names, per kind; a miss costs about 1 µs.
CACHED_NAMES = 8192

# The server's alphabet is the same plus '#', which it uses for the channel of one user (docs/server.md, 4.2).
# fullmatch, because '$' would let a trailing newline pass.
_CHANNEL = re.compile(r"(?:#server-to-user-)?[-a-zA-Z0-9_=@,.;:]+")
# [0-9], because \d matches the digits of every script; the server reads two u64, at most 20 digits each.
_SOCKET_ID = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
# What an HTTP header carries unchanged: printable ASCII without space at the ends.
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def check_channel(channel: str) -> str:
    """Return the channel as a plain ``str``. 1 to 200 of ``A-Z a-z 0-9 - _ = @ , . ; :``, or ``#server-to-user-…``."""
    return _channel(_text("channel", channel))


def check_event_name(name: str) -> str:
    """Return the event name as a plain ``str``: 1 to 200 bytes of UTF-8, any characters."""
    return _event_name(_text("event name", name))


def check_channels(channels: str | Iterable[str], *, field: str = "channels") -> tuple[str, ...]:
    """Return 1 to 100 valid channels in the order given, duplicates merged. ``field``: the caller's name for them.

    An encrypted channel must be alone: each channel has its own key, and one ciphertext has one key.
    """
    if isinstance(channels, str):
        return (check_channel(channels),)
    if isinstance(channels, bytes | bytearray | Mapping) or not isinstance(channels, Iterable):
        raise ValidationError(f"{field}: a {type(channels).__name__}, expected a str or a sequence of str")
    merged: dict[str, None] = {}
    for channel in channels:
        merged[check_channel(channel)] = None
        if len(merged) > MAX_CHANNELS:
            # An iterator may have no end: it is not counted.
            size = len(channels) if isinstance(channels, Sized) else f"more than {MAX_CHANNELS}"
            raise ValidationError(f"channels: {size}, limit {MAX_CHANNELS}")
    if not merged:
        raise ValidationError(f"channels: none, expected 1 to {MAX_CHANNELS}")
    if len(merged) > 1 and any(is_encrypted(channel) for channel in merged):
        raise ValidationError(f"channels: an encrypted channel among {len(merged)}, it must be the only one")
    return tuple(merged)


def check_socket_id(socket_id: str) -> str:
    """Return the socket id as a plain ``str``: digits, a dot, digits."""
    text = _text("socket_id", socket_id)
    if _SOCKET_ID.fullmatch(text) is None:
        raise ValidationError(f"socket_id: {len(text)} characters, expected digits.digits")
    return text


def check_id(value: str, *, field: str = "message_id") -> str:
    """Return an id or key as a plain ``str``: 1 to 128 bytes of UTF-8."""
    text = _text(field, value)
    _bounded(field, text, MAX_ID_BYTES)
    return text


def check_idempotency_key(value: str) -> str:
    """Return the key as a plain ``str``: 1 to 128 printable ASCII characters, as it also travels in a header."""
    text = check_id(value, field="idempotency_key")
    if _HEADER_VALUE.fullmatch(text) is None:
        raise ValidationError("idempotency_key: expected printable ASCII without space at the ends")
    return text


def check_data_bytes(size: int, limit: int) -> None:
    """Refuse ``data`` of more than ``limit`` bytes as sent: UTF-8, after encryption, before quoting into the body."""
    if size > limit:
        raise ValidationError(f"data: {size} bytes, limit {limit}")


def check_queue_extras(extras: Mapping[str, Any] | None) -> None:
    """Refuse extras that are no mapping, or whose resend is a conflict to the server: see :func:`unordered_extras`."""
    if extras is not None and not isinstance(extras, Mapping):
        raise ValidationError(f"extras: a {type(extras).__name__}, expected a mapping")
    found = unordered_extras(extras)
    if found is not None:
        field, count = found
        raise ValidationError(
            f"{field}: {count} entries, limit 1 in queued publishes "
            "(the server takes an identical resend for another payload)"
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags that are not text to text, naming the first such entry."""
    if not isinstance(tags, Mapping):
        raise ValidationError(f"tags: a {type(tags).__name__}, expected a mapping")
    for name, value in tags.items():
        if not isinstance(name, str):
            raise ValidationError(f"tags: a {type(name).__name__} as a name, expected a str")
        if not isinstance(value, str):
            raise ValidationError(f"tags[{name[:MAX_NAME_CHARACTERS]!r}]: a {type(value).__name__}, expected a str")


def unordered_extras(extras: Mapping[str, Any] | None) -> tuple[str, int] | None:
    """The name and size of a map in ``extras`` because of which the server does not recognise a resend, or ``None``.

    Its fingerprint of a payload serialises ``headers``, ``ai.transport`` and ``ai.codec`` in the order
    of an unordered map, so that identical requests differ where these have two or more entries
    (docs/server.md, 3.5). Direct calls may contain them, and are then not repeated
    under a ``message_id``.
    """
    if not extras:
        return None
    ai = extras.get("ai")
    maps = {"extras.headers": extras.get("headers")}
    if isinstance(ai, Mapping):
        maps |= {"extras.ai.transport": ai.get("transport"), "extras.ai.codec": ai.get("codec")}
    for field, value in maps.items():
        if isinstance(value, Mapping) and len(value) > 1:
            return field, len(value)
    return None


def _text(field: str, value: object) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # a str Enum or a lazy text would print as something else
    raise ValidationError(f"{field}: a {type(value).__name__}, expected a str")


def _bounded(field: str, text: str, limit: int) -> None:
    if not text:
        raise ValidationError(f"{field}: empty, expected 1 to {limit} bytes")
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise ValidationError(f"{field}: not UTF-8 (a lone surrogate)") from None
    if size > limit:
        raise ValidationError(f"{field}: {size} bytes, limit {limit}")


@lru_cache(maxsize=CACHED_NAMES)
def _channel(text: str) -> str:
    _bounded("channel", text, MAX_CHANNEL_BYTES)
    if _CHANNEL.fullmatch(text) is None:
        raise ValidationError(
            f"channel: {len(text)} characters, of which some are not allowed (allowed are A-Z a-z 0-9 - _ = @ , . ; :)"
        )
    return text


@lru_cache(maxsize=CACHED_NAMES)
def _event_name(text: str) -> str:
    _bounded("event name", text, MAX_EVENT_NAME_BYTES)
    return text

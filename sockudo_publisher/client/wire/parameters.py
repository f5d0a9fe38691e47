"""The parameters of queries and orders: pure checks, and their form on the wire.

Every error message has the form ``field: size, limit`` and is raised before anything is sent. The bounds are
those of the server's types: serials and counts are u64 there, times i64 (docs/server.md, 1.5 to
1.8). Imports limits and the error tree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ...errors import ValidationError
from .json_fault import path_to_fault, path_to_surrogate
from .limits import MAX_OBJECT_BYTES, MAX_USER_ID_BYTES, check_channel
from .paths import segment

__all__ = [
    "Direction",
    "attribute_list",
    "channel_path",
    "checked_cursor",
    "checked_direction",
    "checked_json",
    "checked_limit",
    "checked_opaque_serial",
    "checked_serial",
    "checked_text",
    "checked_time_ms",
    "checked_user_id",
    "json_body",
    "refuse_reversed",
    "without_none",
]

#: The order of a listing. The server's aliases are taken too: a cursor holds the canonical name.
Direction = Literal["newest_first", "oldest_first", "backwards", "forwards"]

#: Largest serial, limit and count: the server's u64.
MAX_U64 = 2**64 - 1
#: Largest time in milliseconds: the server's i64.
MAX_TIME_MS = 2**63 - 1
#: Bytes of a cursor, encoded: the server's ``MAX_HISTORY_CURSOR_ENCODED_BYTES``.
MAX_CURSOR_BYTES = 16 * 1024
#: Bytes of an opaque serial, of a message, a version or an annotation: the server's ``MAX_VERSIONED_SERIAL_LENGTH``.
MAX_OPAQUE_SERIAL_BYTES = 128
#: Bytes of a list of attributes, joined: far above all that a server knows.
MAX_ATTRIBUTES_BYTES = 200
#: Bytes of a text for people: a reason, a requester's name, a description.
MAX_TEXT_BYTES = 1024

_DIRECTIONS = ("newest_first", "oldest_first", "backwards", "forwards", "reverse", "forward")
_ATTRIBUTES = re.compile(r"[A-Za-z0-9_-]+(?:,[A-Za-z0-9_-]+)*")
_DIGITS = re.compile(r"[0-9]{1,20}")
_SPACE = re.compile(r"\s")


def channel_path(channel: str, suffix: str = "") -> str:
    """``/channels/{channel}{suffix}``, the channel checked and percent-encoded."""
    return f"/channels/{segment(check_channel(channel), field='channel')}{suffix}"


def attribute_list(attributes: str | Sequence[str] | None, *, field: str = "attributes") -> str | None:
    """The ``info`` of a query, from a comma-joined text or a sequence; ``None`` without one."""
    if attributes is None:
        return None
    if isinstance(attributes, bytes | Mapping) or not isinstance(attributes, Iterable):
        raise ValidationError(
            f"{field}: a {type(attributes).__name__}, expected a comma-joined str or a sequence of str"
        )
    names = attributes.split(",") if isinstance(attributes, str) else list(attributes)
    for name in names:
        if not isinstance(name, str):
            raise ValidationError(f"{field}: a {type(name).__name__} among them, expected str")
    joined = ",".join(name for name in map(str.strip, names) if name)  # the server strips them too
    if len(joined) > MAX_ATTRIBUTES_BYTES:
        raise ValidationError(f"{field}: {len(joined)} characters, limit {MAX_ATTRIBUTES_BYTES}")
    if joined and _ATTRIBUTES.fullmatch(joined) is None:
        raise ValidationError(f"{field}: {len(joined)} characters, expected names of letters, digits, _ and -")
    return joined or None


def checked_text(field: str, value: object, limit: int) -> str:
    """A text of 1 to ``limit`` bytes of UTF-8."""
    if not isinstance(value, str):
        raise ValidationError(f"{field}: a {type(value).__name__}, expected a str")
    text = str.__str__(value)  # a str Enum would print as something else
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValidationError(f"{field}: not UTF-8 (a lone surrogate)") from None
    if not 0 < size <= limit:
        raise ValidationError(f"{field}: {f'{size} bytes, limit {limit}' if size else f'empty, limit {limit} bytes'}")
    return text


def checked_user_id(user_id: str) -> str:
    """The id of a user: 1 to 200 bytes of UTF-8."""
    return checked_text("user_id", user_id, MAX_USER_ID_BYTES)


def checked_serial(field: str, value: int | str) -> int:
    """A position in a channel's history: 0 to 2**64 - 1, as an ``int`` or its digits.

    Whole, whatever its size: a float has lost digits above 2**53, and is refused.
    """
    if isinstance(value, str):
        if _DIGITS.fullmatch(value) is None:
            raise ValidationError(f"{field}: {len(value)} characters, expected 1 to 20 digits")
        value = int(value)
    return _whole(field, value, 0, MAX_U64)


def checked_opaque_serial(field: str, value: int | str) -> str:
    """The serial of a message, a version or an annotation: a text of the server's, 1 to 128 bytes without space.

    An ``int`` of up to 64 bits is taken for its digits.
    """
    if isinstance(value, int):
        return str(_whole(field, value, 0, MAX_U64))
    text = checked_text(field, value, MAX_OPAQUE_SERIAL_BYTES)
    if _SPACE.search(text) is not None:
        raise ValidationError(f"{field}: {len(text)} characters, some of them space, which is not allowed")
    return text


def checked_limit(value: int, *, field: str = "limit") -> int:
    """How many at most: 1 or more. The server lowers what is above its own maximum."""
    return _whole(field, value, 1, MAX_U64)


def checked_time_ms(field: str, value: int) -> int:
    """A time in milliseconds since 1970, whole."""
    return _whole(field, value, 0, MAX_TIME_MS)


def checked_direction(value: str) -> str:
    """One of the server's orders."""
    if value not in _DIRECTIONS:
        raise ValidationError("direction: unknown, expected newest_first or oldest_first")
    return value


def checked_cursor(value: str) -> str:
    """A cursor as an answer gave it."""
    text = checked_text("cursor", value, MAX_CURSOR_BYTES)
    if not text.isascii():
        raise ValidationError("cursor: not ASCII, expected what an answer gave as next_cursor")
    return text


def refuse_reversed(first_field: str, first: int | None, last_field: str, last: int | None) -> None:
    """Refuse a span whose begin is after its end."""
    if first is not None and last is not None and first > last:
        raise ValidationError(f"{first_field}: {first}, limit {last} ({last_field})")


def checked_json(field: str, value: Any) -> Any:
    """A value that JSON can hold, of at most 64 KiB as JSON."""
    size = len(_json(field, value))
    if size > MAX_OBJECT_BYTES:
        raise ValidationError(f"{field}: {size} bytes, limit {MAX_OBJECT_BYTES}")
    return value


def json_body(fields: Mapping[str, Any]) -> bytes:
    """The fields that are there as a compact JSON object."""
    return _json("body", without_none(fields))


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def _whole(field: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError(f"{field}: a {type(value).__name__}, expected a whole number")
    if value < least:
        raise ValidationError(f"{field}: {value if value > -(10**20) else 'negative'}, must be at least {least}")
    if value > most:
        raise ValidationError(f"{field}: {value.bit_length()} bits, limit {most}")
    return int(value)


def _json(field: str, value: Any) -> bytes:
    try:
        return _dumps(value).encode()
    except RecursionError:
        reason, where = "circular or too deep", field
    except UnicodeEncodeError:
        reason, where = "a lone surrogate", path_to_surrogate(field, value)
    except (TypeError, ValueError) as error:
        # The standard library names the type here, and no value.
        reason = str(error) if isinstance(error, TypeError) else "NaN, an infinite number or a circle"
        where = field if str(error).startswith("Circular") else path_to_fault(field, value, _dumps)
    # Raised out here, so that the original with its value is not carried along.
    raise ValidationError(f"{where}: not JSON, {reason}")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

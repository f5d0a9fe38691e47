"""Reads lines of a file as events, each with its own key. Pure.

A line is one JSON object with the fields of a dict for ``publish_many``: ``channel``, ``name`` (or ``event``),
``data``, and optionally ``socket_id``, ``tags``, ``extras``, ``delta``, ``collapse``, ``key``; ``user_id`` may stand in
place of ``channel``. Blank lines are skipped. Errors name the line and the field, never their content.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, NoReturn

__all__ = ["MAX_LINE_BYTES", "KeyField", "LineError", "LineKeys", "ParsedLine", "parse_line"]

#: Bytes of one line. An event's data is at most 10 kB by default, and rarely more than a megabyte. A longer "line" is
#: a file without line ends, which must not be read into memory at once.
MAX_LINE_BYTES = 16 * 1024 * 1024

_OPTIONS = ("socket_id", "tags", "extras", "delta", "user_id", "collapse")
_FIELDS = frozenset({"channel", "name", "event", "data", "key", *_OPTIONS})
#: Fields that queued events may not have: ``publish_many`` refuses them with the reason.
_DIRECT_OPTIONS = ("info", "idempotency_key")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineError(ValueError):
    """Line ``number`` (from 1) is no event."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"line {number}: {reason}")
        self.number = number
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The event of one line, not validated yet: ``publish_many`` does that. ``whole`` is the JSON object."""

    channel: str | None
    name: str
    data: Any
    options: dict[str, Any]
    key: str | None
    whole: dict[str, Any]

    def __repr__(self) -> str:
        return f"ParsedLine(channel={self.channel!r}, name={self.name!r}, key={self.key!r})"


def parse_line(number: int, raw: bytes) -> ParsedLine | None:
    """The event in line ``number``, ``None`` for a blank line. Raises :class:`LineError`."""
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(number, f"more than {MAX_LINE_BYTES} bytes")
    if number == 1:
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
    if not raw.strip():
        return None
    whole, fault = None, ""
    try:
        whole = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        fault = f"not UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        fault = f"not JSON at column {error.colno}: {error.msg}"
    except RecursionError:
        fault = "nested too deeply"
    except ValueError as error:  # NaN, and integers of thousands of digits
        fault = f"not JSON: {_reason(error)}"
    if fault:  # raised out here, so that the original with its line is not carried along
        raise LineError(number, fault)
    if not isinstance(whole, dict):
        raise LineError(number, f"expected an object, got {_type_name(whole)}")
    return _event(number, whole)


def _event(number: int, whole: dict[str, Any]) -> ParsedLine:
    for field in whole:
        if field not in _FIELDS and field not in _DIRECT_OPTIONS:
            raise LineError(number, f"unknown field {field[:50]!r}; the known fields are {', '.join(sorted(_FIELDS))}")
    if "name" in whole and "event" in whole:
        raise LineError(number, "name and event: give one of them")
    name_field = "event" if "event" in whole else "name"
    is_for_user = whole.get("channel") is None and whole.get("user_id") is not None
    for field in (name_field,) if is_for_user else ("channel", name_field):
        if field not in whole:
            raise LineError(number, f"{field}: missing")
        if not isinstance(whole[field], str):
            raise LineError(number, f"{field}: expected a string, got {_type_name(whole[field])}")
    if "data" not in whole:
        raise LineError(number, "data: missing")
    key = whole.get("key")
    if key is not None and not isinstance(key, str):
        raise LineError(number, f"key: expected a string, got {_type_name(key)}")
    options = {field: whole[field] for field in (*_OPTIONS, *_DIRECT_OPTIONS) if whole.get(field) is not None}
    return ParsedLine(whole.get("channel"), whole[name_field], whole["data"], options, key, whole)


class LineKeys:
    """Makes keys from a line's number and content: the same line of the same file has the same key.

    ``scope`` identifies the file: its path, size and modification time, or the caller's ``--run-id``. A key is 32
    hexadecimal digits (128 bits of BLAKE2b).
    """

    def __init__(self, *scope: str) -> None:
        self._start = hashlib.blake2b(digest_size=16)
        for part in scope:
            encoded = part.encode("utf-8", "surrogateescape")
            self._start.update(b"%d:" % len(encoded) + encoded)

    def key(self, number: int, raw: bytes, _line: ParsedLine) -> str:
        """The key of line ``number`` with the content ``raw`` (line end not counted)."""
        state = self._start.copy()
        state.update(b"%d:" % number + raw.rstrip(b"\r\n"))
        return state.hexdigest()


class KeyField:
    """Reads keys from a field of the lines, also a nested one: ``key``, ``data.id``."""

    def __init__(self, path: str) -> None:
        self._path = path.split(".")
        self._name = path

    def key(self, number: int, _raw: bytes, line: ParsedLine) -> str:
        """The field's value. Raises :class:`LineError` if it is missing, or neither text nor a whole number."""
        value: Any = line.whole
        for step in self._path:
            if not isinstance(value, dict) or step not in value:
                raise LineError(number, f"{self._name}: missing")
            value = value[step]
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise LineError(number, f"{self._name}: expected a string or a whole number, got {_type_name(value)}")
        return str(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _reason(error: ValueError) -> str:
    text = str(error)
    return text if text in ("NaN", "Infinity", "-Infinity") else "a number out of range"


def _type_name(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")

"""One frame of a client, from text to a value. Pure; raises :class:`FrameError` with the server's code and words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

__all__ = ["BAD_FRAME", "FrameError", "Incoming", "decode_frame"]

#: Error codes, as the real server gives them (docs/server.md, 12).
BAD_FRAME = 4000


class FrameError(Exception):
    """A frame that is answered with ``pusher:error``; a fatal one also closes the connection with its code."""

    def __init__(self, code: int, message: str, *, is_fatal: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_fatal = is_fatal


@dataclass(frozen=True)
class Incoming:
    """An event name, and as far as they were sent, a channel and data (any JSON value)."""

    event: str
    channel: str | None
    data: Any = field(repr=False)


def decode_frame(text: str | bytes) -> Incoming:
    """The frame. A binary one is read as text."""
    try:
        if isinstance(text, bytes):
            text = text.decode()
        frame = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if "\\u" in text:
            json.dumps(frame, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as problem:
        what = problem.msg if isinstance(problem, json.JSONDecodeError) else type(problem).__name__
        _undecodable(what)
    if not isinstance(frame, dict):
        _undecodable("expected a JSON object")
    if text.count('"event"') > 1 and _has_repeated_name(text):
        _undecodable("duplicate field")
    for name in ("event", "channel", "name", "user_id", "message_id", "stream_id", "idempotency_key"):
        if not isinstance(frame.get(name), str | None):
            _undecodable(f"{name}: expected a string")
    tags = frame.get("tags")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(one, str) for one in tags.values())):
        _undecodable("tags: expected a map of strings")
    event = frame.get("event")
    if event is None:
        raise FrameError(BAD_FRAME, "Invalid event name: Event name is required")
    return Incoming(event, frame.get("channel"), frame.get("data"))


def _has_repeated_name(text: str) -> bool:
    """Whether the outermost object has a name twice. (The hook is called for it last.)"""
    last: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        last[:] = pairs
        return dict(pairs)

    json.loads(text, object_pairs_hook=keep)
    return len({name for name, _ in last}) < len(last)


def _undecodable(what: str) -> NoReturn:
    raise FrameError(BAD_FRAME, f"Invalid message format: Decode failed: JSON deserialization failed: {what}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number that no float holds")
    return number

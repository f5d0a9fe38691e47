"""From the bytes of a body to typed messages. Pure; raises :class:`TextRefusal` as the real server's decoder does.

400 for what is no JSON, 422 for JSON of other types. Unknown fields are ignored.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from .refusal import TextRefusal

__all__ = ["Message", "check_content_type", "decode_batch", "decode_event"]

#: Levels of a body that the server's parser reads, the body itself the first; unknown fields are not counted.
MAX_LEVELS = 127
#: Levels around ``data`` and ``extras``, by the path.
LEVELS_IN_EVENT = 1
LEVELS_IN_BATCH = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it was sent. ``data`` is the text that subscribers get. ``None``: absent or null."""

    name: str | None
    data: str = field(repr=False)
    channel: str | None
    channels: tuple[str, ...] | None
    socket_id: str | None
    info: str | None
    tags: Mapping[str, str] | None = field(repr=False)
    extras: Mapping[str, Any] | None = field(repr=False)
    message_id: str | None
    idempotency_key: str | None

    def dedup_key_or(self, app_key: str | None) -> str | None:
        """The identity that the server remembers for a channel, the strongest first (docs/server.md, 3.5).

        ``app_key`` is the request's ``idempotency_key``.
        """
        if self.message_id is not None:
            return self.message_id
        if self.extras is not None and self.extras.get("idempotencyKey") is not None:
            return str(self.extras["idempotencyKey"])
        return app_key

    @property
    def wants_info(self) -> bool:
        """Whether the answer says something about this message."""
        return self.info is not None or self.message_id is not None


def check_content_type(content_type: str) -> None:
    """``application/json``, with parameters or as a suffix (``application/x+json``); else 415."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise TextRefusal(415, "Expected request with `Content-Type: application/json`")


def decode_event(body: bytes) -> Message:
    """The body of ``/events``."""
    return _message(_json(body), "", LEVELS_IN_EVENT)


def decode_batch(body: bytes) -> list[Message]:
    """The body of ``/batch_events``."""
    document = _json(body)
    if not isinstance(document, dict):
        _wrong("", "struct BatchPusherApiMessage")
    if "batch" not in document:
        raise TextRefusal(422, "Failed to deserialize the JSON body into the target type: missing field `batch`")
    items = document["batch"]
    if not isinstance(items, list):
        _wrong("batch: ", "a sequence")
    return [_message(item, f"batch[{index}]", LEVELS_IN_BATCH) for index, item in enumerate(items)]


def _json(body: bytes) -> Any:
    try:
        document = json.loads(body.decode(), parse_constant=_no_constant)
        if b"\\u" in body and (b"\\ud" in body or b"\\uD" in body):
            json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise TextRefusal(400, f"Failed to parse the request body as JSON: {what}") from None
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _message(item: Any, where: str, levels: int) -> Message:
    if not isinstance(item, dict):
        _wrong(f"{where}: " if where else "", "struct PusherApiMessage")
    prefix = f"{where}." if where else ""
    for name in ("data", "extras"):
        _check_bounds(item.get(name), f"{prefix}{name}", MAX_LEVELS - levels)
    channels = item.get("channels")
    if channels is not None and not (isinstance(channels, list) and all(isinstance(one, str) for one in channels)):
        _wrong(f"{prefix}channels: ", "a sequence of strings")
    tags = item.get("tags")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(one, str) for one in tags.values())):
        _wrong(f"{prefix}tags: ", "a map of strings")
    delta = item.get("delta")
    if delta is not None and not isinstance(delta, bool):
        _wrong(f"{prefix}delta: ", "a boolean")
    return Message(
        name=_text(item, "name", prefix),
        data=_data_text(item.get("data")),
        channel=_text(item, "channel", prefix),
        channels=None if channels is None else tuple(channels),
        socket_id=_text(item, "socket_id", prefix),
        info=_text(item, "info", prefix),
        tags=tags,
        extras=_extras(item.get("extras"), prefix),
        message_id=_text(item, "message_id", prefix),
        idempotency_key=_text(item, "idempotency_key", prefix),
    )


def _text(item: Mapping[str, Any], name: str, prefix: str) -> str | None:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        _wrong(f"{prefix}{name}: ", "a string")
    return value


def _data_text(data: Any) -> str:
    """A string as it is, all else as its JSON text, keys sorted; an absent ``data`` is null."""
    if isinstance(data, str):
        return data
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _extras(extras: Any, prefix: str) -> Mapping[str, Any] | None:
    if extras is None:
        return None
    if not isinstance(extras, dict):
        _wrong(f"{prefix}extras: ", "struct MessageExtras")
    if extras.get("push") is not None:
        _wrong(f"{prefix}extras.push: ", "a valid json")
    for name in ("ephemeral", "echo"):
        if extras.get(name) is not None and not isinstance(extras[name], bool):
            _wrong(f"{prefix}extras.{name}: ", "a boolean")
    key = extras.get("idempotencyKey")
    if key is not None and not isinstance(key, str):
        _wrong(f"{prefix}extras.idempotencyKey: ", "a string")
    _check_map(extras.get("headers"), f"{prefix}extras.headers", str | int | float)
    ai = extras.get("ai")
    if ai is not None and not isinstance(ai, dict):
        _wrong(f"{prefix}extras.ai: ", "struct AiExtras")
    for name in ("transport", "codec"):
        _check_map((ai or {}).get(name), f"{prefix}extras.ai.{name}", str)
    return extras


def _check_map(value: Any, where: str, kinds: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        _wrong(f"{where}: ", "a map")
    for name, inner in value.items():
        if not isinstance(inner, kinds):
            _wrong(f"{where}.{name}: ", "another type")


def _check_bounds(value: Any, where: str, max_levels: int) -> None:
    """Numbers that no float holds, and nesting, are the parser's business: the body is no JSON to it."""
    for part, level in _parts(value):
        if level > max_levels:
            raise TextRefusal(400, f"Failed to parse the request body as JSON: {where}: recursion limit exceeded")
        if isinstance(part, int | float) and not -sys.float_info.max <= part <= sys.float_info.max:
            raise TextRefusal(400, f"Failed to parse the request body as JSON: {where}: number out of range")


def _parts(value: Any) -> Iterator[tuple[Any, int]]:
    """Everything in a JSON value, with the containers around it, itself included if it is one."""
    waiting = [(value, 1)]
    while waiting:
        part, level = waiting.pop()
        if isinstance(part, dict | list):
            waiting.extend((inner, level + 1) for inner in (part.values() if isinstance(part, dict) else part))
            yield part, level
        else:
            yield part, level - 1


def _wrong(where: str, expected: str) -> NoReturn:
    raise TextRefusal(
        422, f"Failed to deserialize the JSON body into the target type: {where}invalid type, expected {expected}"
    )

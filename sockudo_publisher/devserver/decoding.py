"""From the bytes of a body to typed messages. Pure; raises :class:`TextRefusal` as the real server's decoder does.

400 for what is no JSON, 422 for JSON of other types. Unknown fields are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .refusal import TextRefusal

__all__ = ["Message", "check_content_type", "decode_batch", "decode_event"]


@dataclass(frozen=True)
class Message:
    """One event as it was sent. ``data`` is the text that subscribers get. ``None``: absent or null."""

    name: str | None
    data: str
    channel: str | None
    channels: tuple[str, ...] | None
    socket_id: str | None
    info: str | None
    tags: Mapping[str, str] | None
    extras: Mapping[str, Any] | None
    message_id: str | None
    idempotency_key: str | None

    @property
    def dedup_key(self) -> str | None:
        """The identity that the server remembers, the strongest first (docs/server.md, 3.5)."""
        if self.message_id is not None:
            return self.message_id
        if self.extras is not None and self.extras.get("idempotencyKey") is not None:
            return str(self.extras["idempotencyKey"])
        return self.idempotency_key

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
    return _message(_json(body), "")


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
    return [_message(item, f"batch[{index}]") for index, item in enumerate(items)]


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


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, dict):
        _wrong(f"{where}: " if where else "", "struct PusherApiMessage")
    prefix = f"{where}." if where else ""
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
    headers = extras.get("headers")
    if headers is not None and not isinstance(headers, dict):
        _wrong(f"{prefix}extras.headers: ", "a map")
    key = extras.get("idempotencyKey")
    if key is not None and not isinstance(key, str):
        _wrong(f"{prefix}extras.idempotencyKey: ", "a string")
    return extras


def _wrong(where: str, expected: str) -> NoReturn:
    raise TextRefusal(
        422, f"Failed to deserialize the JSON body into the target type: {where}invalid type, expected {expected}"
    )

"""The frames that go to a WebSocket client, Pusher protocol 7: texts, as the real server writes them. Pure."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["ACTIVITY_TIMEOUT_S", "PING", "PONG", "connection_established", "delivery", "error", "subscribed"]

#: Seconds of silence after which a client, and here the server, asks with a ping.
ACTIVITY_TIMEOUT_S = 120

PING = '{"event":"pusher:ping"}'
PONG = '{"event":"pusher:pong"}'


def connection_established(socket_id: str) -> str:
    """The first frame. Its data is a text, as all data of protocol 7."""
    data = _json({"socket_id": socket_id, "activity_timeout": ACTIVITY_TIMEOUT_S})
    return _json({"event": "pusher:connection_established", "data": data})


def subscribed(channel: str) -> str:
    """The answer to a subscription."""
    return _json({"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"})


def error(code: int, message: str) -> str:
    """An error; the one frame whose data is an object."""
    return _json({"event": "pusher:error", "data": {"code": code, "message": message}})


def delivery(event: str, channel: str, data: str) -> str:
    """An event: exactly these three, whatever else was published with it."""
    return _json({"event": event, "channel": channel, "data": data})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

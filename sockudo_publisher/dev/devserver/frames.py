"""The frames that go to a WebSocket client, Pusher protocol 7: texts, as the real server writes them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "ACTIVITY_TIMEOUT_S",
    "PING",
    "PONG",
    "cache_miss",
    "client_event",
    "connection_established",
    "delivery",
    "error",
    "member_added",
    "member_removed",
    "signin_success",
    "subscribed",
    "watchlist",
]

#: Seconds of silence after which a client, and here the server, asks with a ping.
ACTIVITY_TIMEOUT_S = 120

PING = '{"event":"pusher:ping"}'
PONG = '{"event":"pusher:pong"}'


def connection_established(socket_id: str, activity_timeout_s: int = ACTIVITY_TIMEOUT_S) -> str:
    """The first frame. Its data is a text, as all data of protocol 7."""
    data = _json({"socket_id": socket_id, "activity_timeout": activity_timeout_s})
    return _json({"event": "pusher:connection_established", "data": data})


def subscribed(channel: str, members: Mapping[str, Any] | None = None) -> str:
    """The answer to a subscription; ``members`` of a presence channel: the info of each user."""
    data: dict[str, Any] = {}
    if members is not None:
        data = {"presence": {"ids": list(members), "hash": dict(members), "count": len(members)}}
    return _json({"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": _json(data)})


def member_added(channel: str, user_id: str, info: Any) -> str:
    """A user's first connection has joined a presence channel."""
    data = _json({"user_id": user_id, "user_info": info})
    return _json({"event": "pusher_internal:member_added", "channel": channel, "data": data})


def member_removed(channel: str, user_id: str) -> str:
    """A user's last connection has left a presence channel."""
    data = _json({"user_id": user_id})
    return _json({"event": "pusher_internal:member_removed", "channel": channel, "data": data})


def cache_miss(channel: str) -> str:
    """A cache channel has no last event."""
    return _json({"event": "pusher:cache_miss", "channel": channel, "data": "{}"})


def signin_success(user_data: str) -> str:
    """The answer to a sign-in. Its data is an object, as in an error."""
    return _json({"event": "pusher:signin_success", "data": {"user_data": user_data}})


def watchlist(event: str, user_ids: Sequence[str]) -> str:
    """``online`` or ``offline``: users whom this one watches."""
    return _json({"event": event, "data": {"user_ids": list(user_ids)}})


def error(code: int, message: str) -> str:
    """An error; its data is an object."""
    return _json({"event": "pusher:error", "data": {"code": code, "message": message}})


def delivery(event: str, channel: str, data: str) -> str:
    """An event: exactly these three, whatever else was published with it."""
    return f'{{"event":{_text(event)},"channel":{_text(channel)},"data":{_text(data)}}}'


def client_event(event: str, channel: str, data: Any) -> str:
    """A client's event. Its data is passed on as it came: an object stays one, its keys sorted."""
    return f'{{"event":{_text(event)},"channel":{_text(channel)},"data":{_json(data, is_sorted=True)}}}'


#: The JSON of a text, much faster than that of an object: this is for each event.
_text = json.JSONEncoder(ensure_ascii=False).encode


def _json(value: Any, *, is_sorted: bool = False) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=is_sorted)

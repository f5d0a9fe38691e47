"""``pusher:subscribe`` and ``pusher:unsubscribe``: what they name, and whether they may. Reads the state of the app.

The order of the checks and their words are the server's, with two differences: a private cache channel needs its
signature (the real 5.2.0 lets in who has a wrong one), and a presence channel without ``channel_data`` is an error
(the real one drops the connection).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .incoming import BAD_FRAME, FrameError, Incoming
from .last_events import is_cache_channel
from .members import ChannelMember
from .refusal import Refusal
from .request_auth import may_subscribe
from .state import AppState
from .validation import check_channel

__all__ = ["Subscription", "channel_to_leave", "read_subscription"]

AUTH_FAILED, OVER_CAPACITY, BAD_CHANNEL = 4009, 4100, 4300


@dataclass(frozen=True)
class Subscription:
    """A channel, and for a presence channel the member."""

    channel: str
    member: ChannelMember | None


def read_subscription(state: AppState, socket_id: str, data: Any) -> Subscription:
    """What the frame asks for. Raises :class:`FrameError`."""
    fields = _fields(data)
    channel = fields.get("channel")
    if not isinstance(channel, str):
        place = " in string data" if isinstance(data, str) else ""
        raise _bad_format(f"Missing channel field{place}")
    _check_name(state, channel, fields)
    auth = fields.get("auth")
    needs_auth = channel.startswith(("private-", "presence-"))
    if needs_auth and not isinstance(auth, str):
        raise _unauthorized("Authentication signature required for this channel")
    channel_data = fields.get("channel_data")
    is_presence = channel.startswith("presence-")
    info = _presence_data(state, channel, channel_data) if is_presence else None
    signed = channel_data if is_presence else None
    if needs_auth and not may_subscribe(state.app, socket_id, channel, auth or "", signed):
        raise _unauthorized("Channel requires authentication")
    return Subscription(channel, _member(info) if is_presence else None)


def channel_to_leave(frame: Incoming) -> str:
    """The channel of an unsubscribe frame: in its data, which may be the bare name."""
    data = frame.data
    if data is None:
        raise _bad_format("Missing data in unsubscribe message")
    if isinstance(data, str):
        inner = _json_object(data)
        data = inner if inner is not None and isinstance(inner.get("channel"), str) else {"channel": data}
    channel = data.get("channel") if isinstance(data, dict) else None
    if not isinstance(channel, str):
        raise _bad_format("Missing channel in unsubscribe message")
    return channel


def _fields(data: Any) -> Mapping[str, Any]:
    if data is None:
        raise _bad_format("Invalid subscription data format")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            raise _bad_format("Failed to parse subscription data") from None
    return data if isinstance(data, dict) else {}


def _check_name(state: AppState, channel: str, fields: Mapping[str, Any]) -> None:
    for is_of_2, what in (
        (channel.startswith("[meta]"), "Metachannel subscriptions are"),
        ("*" in channel, "Wildcard subscriptions are"),
    ):
        if is_of_2:
            raise _bad_channel(f"{what} only supported on protocol V2")
    try:
        check_channel(channel, state.app.limits)
    except Refusal as refusal:
        raise _bad_channel(refusal.text) from None
    if fields.get("rewind"):
        raise _bad_channel("Channel rewind is only supported on protocol V2")


def _presence_data(state: AppState, channel: str, channel_data: Any) -> Any:
    """The value in ``channel_data``, within the app's limits."""
    if not isinstance(channel_data, str) or is_cache_channel(channel):
        raise _bad_format("Missing channel_data for presence channel")
    try:
        value = json.loads(channel_data)
    except (ValueError, RecursionError):
        raise _bad_format("Invalid channel_data JSON for presence") from None
    info = value.get("user_info") if isinstance(value, dict) else None
    limit_kb = state.app.limits.max_presence_member_size_in_kb
    size_kb = ChannelMember("", info).info_bytes // 1024
    if limit_kb is not None and size_kb > limit_kb:
        raise _bad_channel(f"Presence member data size ({size_kb}KB) exceeds limit ({limit_kb}KB)")
    limit = state.app.limits.max_presence_members_per_channel
    if limit is not None and len(state.registry.members(channel)) >= limit:
        raise FrameError(OVER_CAPACITY, "Over capacity")
    return value


def _member(value: Any) -> ChannelMember:
    user_id = value.get("user_id") if isinstance(value, dict) else None
    if not isinstance(user_id, str):
        raise _bad_channel("Missing user_id in channel_data")
    return ChannelMember(user_id, value.get("user_info", {}))


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _bad_format(text: str) -> FrameError:
    return FrameError(BAD_FRAME, f"Invalid message format: {text}")


def _bad_channel(text: str) -> FrameError:
    return FrameError(BAD_CHANNEL, f"Channel error: {text}")


def _unauthorized(text: str) -> FrameError:
    return FrameError(AUTH_FAILED, f"Authentication error: {text}")

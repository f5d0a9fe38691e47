"""The answers about channels and users: values in, JSON out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .history import invalid
from .last_events import is_cache_channel
from .state import AppState
from .validation import check_channel

__all__ = ["channel_answer", "channels_answer", "close_user", "users_answer"]

#: What closes a user's connections, and with which code and reason.
CLOSINGS = {
    "terminate_connections": (4009, "You got disconnected by the app."),
    "force_reconnect": (4200, "Force reconnect requested by the app."),
}


def channels_answer(state: AppState, parameters: Mapping[str, str]) -> dict[str, Any]:
    """``GET /channels``: the occupied channels with a prefix, and what ``info`` asks for. Raises :class:`Refusal`."""
    prefix, info = parameters.get("filter_by_prefix", ""), parameters.get("info")
    wanted = _wanted(info)
    listed: dict[str, dict[str, int]] = {}
    for channel in state.registry.channels:
        if not channel.startswith(prefix):
            continue
        about: dict[str, int] = {}
        if "subscription_count" in wanted:
            about["subscription_count"] = state.registry.count(channel)
        if "user_count" in wanted:
            if channel.startswith("presence-"):
                about["user_count"] = len(state.registry.members(channel))
            elif not prefix.startswith("presence-"):
                raise invalid("user_count is only available for presence channels. Use filter_by_prefix=presence-")
        if about or info is None:
            listed[channel] = about
    return {"channels": listed}


def channel_answer(state: AppState, channel: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """``GET /channels/C``. Raises :class:`Refusal`."""
    check_channel(channel, state.app.limits)
    wanted = _wanted(parameters.get("info"))
    count = state.registry.count(channel)
    answer: dict[str, Any] = {"occupied": count > 0}
    if "subscription_count" in wanted:
        answer["subscription_count"] = count
    if "user_count" in wanted:
        if not channel.startswith("presence-"):
            raise invalid("user_count is only available for presence channels")
        answer["user_count"] = len(state.registry.members(channel))
    kept = state.last_events.look(channel) if "cache" in wanted and is_cache_channel(channel) else None
    if kept is not None:
        frame, left_s = kept
        answer["cache"] = {"data": frame, "ttl": left_s}
    return answer


def users_answer(state: AppState, channel: str) -> dict[str, Any]:
    """``GET /channels/C/users``. Raises :class:`Refusal`."""
    check_channel(channel, state.app.limits)
    if not channel.startswith("presence-"):
        raise invalid("Only presence channels support this endpoint")
    return {"users": [{"id": user_id} for user_id in state.registry.members(channel)]}


def close_user(state: AppState, user_id: str, how: str) -> dict[str, Any]:
    """``POST /users/U/terminate_connections`` or ``/force_reconnect``: close a user's connections."""
    for socket in state.registry.sockets_of_user(user_id):
        socket.close(*CLOSINGS[how])
    return {"ok": True}


def _wanted(info: str | None) -> set[str]:
    return {name.strip() for name in (info or "").split(",")}

"""The rules for an event that a client sends to the others of a channel. Pure; in the server's order and words."""

from __future__ import annotations

import json

from .config import AppConfig
from .incoming import BAD_FRAME, FrameError, Incoming
from .last_events import is_cache_channel

__all__ = ["check_client_event"]

#: The code of a client event that is refused.
REFUSED = 4301


def check_client_event(app: AppConfig, frame: Incoming) -> str:
    """The channel. Raises :class:`FrameError`; whether the socket is subscribed is the caller's question."""
    channel, limits = frame.channel, app.limits
    if channel is None:
        raise _refused("Channel required for client event")
    if not app.features.enable_client_messages:
        raise _refused("Client events are not enabled for this app")
    if len(frame.event.encode()) > limits.max_event_name_length:
        raise FrameError(
            BAD_FRAME, f"Invalid event name: Event name exceeds maximum length of {limits.max_event_name_length}"
        )
    if len(channel.encode()) > limits.max_channel_name_length:
        raise FrameError(
            4300, f"Channel name invalid: Channel name exceeds maximum length of {limits.max_channel_name_length}"
        )
    if is_cache_channel(channel) or not channel.startswith(("private-", "presence-")):
        raise _refused("Client events can only be sent to private or presence channels")
    limit_kb = limits.max_event_payload_in_kb
    if limit_kb is not None:
        size = len(json.dumps(frame.data, ensure_ascii=False, separators=(",", ":")).encode())
        if size > limit_kb * 1024:
            raise _refused(f"Event payload size ({size} bytes) exceeds limit ({limit_kb}KB)")
    return channel


def _refused(text: str) -> FrameError:
    return FrameError(REFUSED, f"Client event error: {text}")

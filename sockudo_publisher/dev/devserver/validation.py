"""The server's rules for events: batch size, name, size, channels, AI events, keys. Pure; with its order and texts.

Facts: docs/server.md, 4.2.
"""

from __future__ import annotations

import re

from .config import ServerLimits
from .decoding import Message
from .refusal import Refusal

__all__ = [
    "AI_DISABLED",
    "channels_of",
    "check_ai_rules",
    "check_batch_size",
    "check_channel",
    "check_dedup_key",
    "check_event",
    "is_ai_event",
]

#: Bytes of ``message_id`` and of idempotency keys (``idempotency.max_key_length``).
MAX_KEY_BYTES = 128

_ALLOWED = re.compile(r"[-A-Za-z0-9_=@.:#,;]*")
_USER_CHANNEL = "#server-to-user-"
# What stands before a channel's namespace, or before the `#` of a channel that is any user's.
_KIND = re.compile(r"(?:private-encrypted-|private-|presence-)?(?:cache-)?")
_AI_EVENT = re.compile(
    r"ai-(?:input|output|cancel|turn-(?:start|end)|run-(?:start|end|suspend|resume)|step-(?:start|end))"
)


def check_batch_size(count: int, limits: ServerLimits) -> None:
    """Of a whole batch, before any item of it."""
    limit = limits.max_event_batch_size
    if limit is not None and count > limit:
        raise Refusal(400, "limit_exceeded", f"Batch size ({count}) exceeds limit ({limit})")


def check_event(message: Message, limits: ServerLimits) -> str:
    """Name and size. Returns the name."""
    if message.name is None:
        raise Refusal(400, "invalid_input", "Event name is required")
    if len(message.name.encode()) > limits.max_event_name_length:
        raise Refusal(
            400,
            "limit_exceeded",
            f"Event name '{message.name}' exceeds maximum length of {limits.max_event_name_length}",
        )
    limit_kb = limits.max_event_payload_in_kb
    if limit_kb is not None and (size := len(message.data.encode())) > limit_kb * 1024:
        raise Refusal(
            413,
            "payload_too_large",
            f"Event payload size ({size} bytes) for event '{message.name}' exceeds limit ({limit_kb}KB)",
        )
    return message.name


def channels_of(message: Message, limits: ServerLimits) -> tuple[str, ...]:
    """``channels`` if it is there, else ``channel``. An empty list is refused whatever ``channel`` says."""
    channels = message.channels
    if channels is None and message.channel is not None:
        return (message.channel,)
    limit = limits.max_event_channels_at_once
    if channels and limit is not None and len(channels) > limit:
        raise Refusal(400, "limit_exceeded", f"Number of channels ({len(channels)}) exceeds limit ({limit})")
    if not channels:
        raise Refusal(400, "missing_channel_info", "Request must contain 'channels' (list) or 'channel' (string)")
    return channels


def check_channel(channel: str, limits: ServerLimits) -> None:
    """Length, then alphabet, then the two forms that need a configured namespace. Empty is allowed."""
    if len(channel.encode()) > limits.max_channel_name_length:
        raise _invalid(f"Channel name too long. Max length is {limits.max_channel_name_length}")
    if _ALLOWED.fullmatch(channel) is None:
        wrong = [character for character in dict.fromkeys(channel) if _ALLOWED.fullmatch(character) is None]
        raise _invalid(f"Channel name contains invalid characters: '{channel}' (invalid chars: {wrong})")
    if channel.startswith(_USER_CHANNEL):
        return
    rest = _KIND.sub("", channel, count=1)
    namespace, colon, _ = rest.partition(":")
    if colon:
        raise _invalid(f"Unknown channel namespace '{namespace}'")
    if rest.endswith("#") and not rest.startswith("#"):
        raise _invalid(f"Channel '{channel}' has an empty user limit segment")
    if "#" in rest and not rest.startswith("#"):
        raise _invalid(f"Channel '{channel}' uses user-limited syntax but the namespace does not allow it")


#: What the server says where AI Transport is on no channel, as here and on a server that comes without it.
AI_DISABLED = "AI Transport is not enabled for this channel"


def is_ai_event(name: str) -> bool:
    """Whether the name is one of AI Transport's own."""
    return _AI_EVENT.fullmatch(name) is not None


def check_ai_rules(message: Message) -> None:
    """AI Transport is on no channel here."""
    has_ai_extras = message.extras is not None and message.extras.get("ai") is not None
    if has_ai_extras or is_ai_event(message.name or ""):
        raise Refusal(403, "ai_event_not_permitted", AI_DISABLED, ai_code=104003)


def check_dedup_key(key: str) -> None:
    """1 to 128 bytes."""
    if not key:
        raise _invalid("idempotency key must not be empty")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise _invalid(f"idempotency key exceeds {MAX_KEY_BYTES} bytes")


def _invalid(text: str) -> Refusal:
    return Refusal(400, "invalid_input", text)

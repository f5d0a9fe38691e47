"""Warnings of what a Sockudo as it comes does with an event, against what its name promises: one a process and kind.

Some events are refused unless the server is configured for them; private cache channels are open to any subscriber.
The server's release and settings are not known at the caller, so nothing is refused here. Facts: docs/server.md, 4.2
and 7. Holds nothing but the kinds warned of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...redaction import package_logger

__all__ = ["AI_EVENTS", "warn_of_ai_event", "warn_of_ai_extras", "warn_of_channel", "warn_of_private_cache"]

logger = package_logger("sockudo_publisher.client")

#: Event names that are taken on channels with AI Transport alone.
AI_EVENTS = frozenset(
    {"ai-input", "ai-output", "ai-cancel", "ai-turn-start", "ai-turn-end", "ai-run-start", "ai-run-end"}
    | {"ai-run-suspend", "ai-run-resume", "ai-step-start", "ai-step-end"}
)

# What stands before the namespace in a channel's name. Channels of one user have none.
_KIND = re.compile(r"(?:private-encrypted-|private-|presence-)?(?:cache-)?")
_USER_CHANNEL = "#server-to-user-"

# Cache channels whose subscribers Sockudo 5.2.0 does not check, each with what an uninvited one gets.
_OPEN_PREFIXES = {"private-cache-": "the events", "private-encrypted-cache-": "the encrypted events"}

_warned: dict[str, object] = {}


def warn_of_channel(channel: str) -> None:
    """Warn of a channel's namespace, and of a private cache channel."""
    _warn_of_namespace(channel)
    warn_of_private_cache(channel)


def warn_of_private_cache(channel: str) -> None:
    """Warn of a class of channels that any subscriber may join, though their names say private."""
    if not channel.startswith(tuple(_OPEN_PREFIXES)):
        return
    for prefix, contents in _OPEN_PREFIXES.items():
        if channel.startswith(prefix) and _is_first(prefix):
            logger.warning(
                "channels are not private: Sockudo 5.2.0 does not check the signature of a subscriber, so any client "
                "with the app's key gets %s. Use private channels without cache for what is not public "
                "(docs/server.md, 7); later channels are not warned of channels=%s*",
                contents,
                prefix,
            )


def _warn_of_namespace(channel: str) -> None:
    """Warn of a channel with a colon in its name: the part before it has to be a namespace that the server knows."""
    if ":" not in channel or channel.startswith(_USER_CHANNEL) or not _is_first("namespace"):
        return
    namespace = channel[_KIND.match(channel).end() :].partition(":")[0]  # type: ignore[union-attr]
    logger.warning(
        "channel has a namespace: Sockudo refuses the event unless its app has this namespace in its configuration "
        "(channel_namespaces); later channels are not warned of channel=%s namespace=%s",
        channel,
        namespace,
    )


def warn_of_ai_event(name: str) -> None:
    """Warn of a name that belongs to Sockudo's AI Transport."""
    if name in AI_EVENTS and _is_first("ai event"):
        logger.warning(
            "event name of AI Transport: Sockudo refuses the event unless its channel has AI Transport enabled; "
            "later events are not warned of event=%s",
            name,
        )


def warn_of_ai_extras(extras: Mapping[str, Any]) -> None:
    """Warn of ``extras.ai``, whatever is in it."""
    if extras.get("ai") is not None and _is_first("ai extras"):
        logger.warning(
            "extras.ai: Sockudo refuses the event unless its channel has AI Transport enabled; "
            "later events are not warned of"
        )


def _is_first(kind: str) -> bool:
    """Whether this process has not warned of it yet. ``True`` in one of two threads: ``setdefault`` is one step."""
    mine = object()
    return _warned.setdefault(kind, mine) is mine

"""Webhooks: which events go to which address, in which bodies, and what an answer means. Pure.

Facts: docs/server.md, 8. An address gets a batch's events that it wants, signed with the app's secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .config import AppConfig, WebhookConfig

__all__ = ["Delivery", "deliveries", "is_final", "next_wait_s"]

#: Seconds in which events are collected, and events of one webhook.
COLLECTING_S = 0.05
MAX_EVENTS = 100
#: Seconds between attempts: doubled from the first to the largest, as long as all of them are within the last.
FIRST_WAIT_S, LONGEST_WAIT_S, GIVE_UP_S = 1.0, 60.0, 300.0
#: Seconds for one attempt.
ATTEMPT_S = 10.0

_RETRIED = (408, 409, 425, 429)


@dataclass(frozen=True)
class Delivery:
    """One POST, the same bytes in every attempt."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def deliveries(app: AppConfig, events: Sequence[Mapping[str, Any]], time_ms: int) -> list[Delivery]:
    """The posts that a batch of events makes."""
    made = []
    for webhook in app.webhooks:
        wanted = [event for event in events if _is_wanted(webhook, event)]
        for start in range(0, len(wanted), MAX_EVENTS):
            fields = {"time_ms": time_ms, "events": wanted[start : start + MAX_EVENTS]}
            body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
            headers = {
                "Content-Type": "application/json",
                "X-Pusher-Key": app.key,
                "X-Pusher-Signature": hmac.new(app.secret.encode(), body, hashlib.sha256).hexdigest(),
            }
            made.append(Delivery(webhook.url, {**headers, **dict(webhook.headers)}, body))
    return made


def is_final(status: int | None) -> bool:
    """Whether an attempt is the last: delivered, or refused for good. ``None``: no answer."""
    return status is not None and status < 500 and status not in _RETRIED


def next_wait_s(attempt: int, elapsed_s: float) -> float | None:
    """Seconds before the next attempt after ``attempt`` (from 1), or ``None``: give up."""
    wait_s = min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S)
    return wait_s if elapsed_s + wait_s <= GIVE_UP_S else None


def _is_wanted(webhook: WebhookConfig, event: Mapping[str, Any]) -> bool:
    channel = event.get("channel", "")
    return (
        event["name"] in webhook.event_types
        and channel.startswith(webhook.channel_prefix or "")
        and channel.endswith(webhook.channel_suffix or "")
        and (webhook.channel_pattern is None or re.search(webhook.channel_pattern, channel) is not None)
    )

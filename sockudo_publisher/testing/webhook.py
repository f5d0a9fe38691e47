"""``sign_webhook``: a webhook as Sockudo sends it, for tests of the code that receives webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..client.api.webhook import KEY_HEADER, SIGNATURE_HEADER, WebhookEvent
from ..errors import ValidationError
from ..redaction.frame_locals import without_locals

__all__ = ["sign_webhook"]


@without_locals
def sign_webhook(
    events: Iterable[Mapping[str, Any] | WebhookEvent] | Mapping[str, Any] | WebhookEvent,
    *,
    key: str | None = None,
    secret: str | None = None,
    time_ms: int | None = None,
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a webhook with these events.

    ``events``: the server's objects, ``{"name": "channel_occupied", "channel": "orders"}``, or
    :class:`WebhookEvent`. ``key``, ``secret``: the app's; by default those of the settings, of the recorder where
    nothing is configured. ``time_ms``: when the server made it, by default now. Raises :class:`ValidationError`.
    """
    if (key is None) != (secret is None):
        raise ValidationError("key, secret: one of them was given, expected both or none")
    if key is None or secret is None:
        key, secret = _configured()
    if isinstance(events, Mapping | WebhookEvent):
        events = [events]
    listed = [_fields(index, event) for index, event in enumerate(events)]
    try:
        text = json.dumps(
            {"time_ms": int(time.time() * 1000) if time_ms is None else time_ms, "events": listed},
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        body = text.encode()
    except (TypeError, ValueError) as error:
        raise ValidationError(f"events: not JSON, {error}") from None
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", KEY_HEADER: key, SIGNATURE_HEADER: signature}, body


def _fields(index: int, event: object) -> dict[str, Any]:
    if isinstance(event, WebhookEvent):
        if event.raw:
            return dict(event.raw)
        names = ("name", "channel", "event", "data", "socket_id", "user_id")
        return {name: value for name in names if (value := getattr(event, name)) is not None}
    if not isinstance(event, Mapping) or not isinstance(event.get("name"), str):
        raise ValidationError(f"events[{index}]: expected a WebhookEvent or a mapping with a name")
    return dict(event)


def _configured() -> tuple[str, str]:
    from ..client.http.credentials import Credentials
    from ..config.settings import DEFAULT_APP, get_settings
    from .replaced import DUMMY_URL

    settings = get_settings()
    url = settings.url_of(DEFAULT_APP) if settings.url or settings.apps else DUMMY_URL
    credentials = Credentials.from_url(url, setting=settings.called("url"))
    return credentials.key, credentials.secret

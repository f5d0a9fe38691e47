"""Sockudo Publisher: events from Python to WebSocket clients, exactly once, in order, through failures.

The public names, and nothing else. What needs Celery or Redis is loaded when it is first used, so that
``from sockudo_publisher import Sockudo`` costs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    AuthFailed,
    BacklogFull,
    BadRequest,
    BadStatus,
    BulkError,
    CallError,
    ConfigurationError,
    Forbidden,
    IdempotencyConflict,
    InvalidWebhook,
    JournalUnavailable,
    JournalUnreadable,
    NotFound,
    PayloadTooLarge,
    PusherBadAuth,
    PusherBadRequest,
    PusherBadStatus,
    PusherError,
    PusherForbidden,
    RateLimited,
    ServerError,
    SockudoConnectionError,
    SockudoError,
    SockudoHTTPError,
    ValidationError,
)

if TYPE_CHECKING:
    from .bulk import publish_many
    from .client.event import Event
    from .client.retries import Retries
    from .client.sockudo import Sockudo
    from .client.webhook import Webhook, WebhookEvent
    from .receipts import BulkReceipt, Receipt
    from .settings import Settings
    from .tasks import publish, register

__all__ = [
    "AuthFailed",
    "BacklogFull",
    "BadRequest",
    "BadStatus",
    "BulkError",
    "BulkReceipt",
    "CallError",
    "ConfigurationError",
    "Event",
    "Forbidden",
    "IdempotencyConflict",
    "InvalidWebhook",
    "JournalUnavailable",
    "JournalUnreadable",
    "NotFound",
    "PayloadTooLarge",
    "PusherBadAuth",
    "PusherBadRequest",
    "PusherBadStatus",
    "PusherError",
    "PusherForbidden",
    "RateLimited",
    "Receipt",
    "Retries",
    "ServerError",
    "Settings",
    "Sockudo",
    "SockudoConnectionError",
    "SockudoError",
    "SockudoHTTPError",
    "ValidationError",
    "Webhook",
    "WebhookEvent",
    "__version__",
    "publish",
    "publish_many",
    "register",
]

__version__ = "0.1.0"

_LAZY = {
    "BulkReceipt": ".receipts",
    "Event": ".client.event",
    "Receipt": ".receipts",
    "Retries": ".client.retries",
    "Settings": ".settings",
    "Sockudo": ".client.sockudo",
    "Webhook": ".client.webhook",
    "WebhookEvent": ".client.webhook",
    "publish": ".tasks",
    "publish_many": ".bulk",
    "register": ".tasks",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

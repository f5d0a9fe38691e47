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
    from .client.answers import (
        AnnotationDeleted,
        AnnotationPublished,
        AnnotationsPage,
        BatchAnswer,
        BatchItemAnswer,
        CachedEvent,
        ChannelAnswer,
        ChannelCounts,
        ChannelsAnswer,
        Continuity,
        HistoryBounds,
        HistoryItem,
        HistoryPage,
        HistoryPurge,
        HistoryReset,
        HistoryStateAnswer,
        Mutation,
        PresenceHistoryItem,
        PresenceHistoryPage,
        PresenceHistoryReset,
        PresenceHistoryStateAnswer,
        PresenceMember,
        PresenceSnapshot,
        Revocation,
        StreamState,
        StreamStateAnswer,
        TriggerAnswer,
        UserAnswer,
        UsersAnswer,
        VersionedMessageAnswer,
        VersionsPage,
    )
    from .client.authentication import ChannelAuth, UserAuth
    from .client.event import Event
    from .client.retries import Retries
    from .client.sockudo import Sockudo
    from .client.webhook import Webhook, WebhookEvent
    from .publish_types import Publish, PublishOptions, PublishResult, publish, register
    from .receipts import BulkReceipt, Receipt
    from .settings import Settings

__all__ = [
    "AnnotationDeleted",
    "AnnotationPublished",
    "AnnotationsPage",
    "AuthFailed",
    "BacklogFull",
    "BadRequest",
    "BadStatus",
    "BatchAnswer",
    "BatchItemAnswer",
    "BulkError",
    "BulkReceipt",
    "CachedEvent",
    "CallError",
    "ChannelAnswer",
    "ChannelAuth",
    "ChannelCounts",
    "ChannelsAnswer",
    "ConfigurationError",
    "Continuity",
    "Event",
    "Forbidden",
    "HistoryBounds",
    "HistoryItem",
    "HistoryPage",
    "HistoryPurge",
    "HistoryReset",
    "HistoryStateAnswer",
    "IdempotencyConflict",
    "InvalidWebhook",
    "JournalUnavailable",
    "JournalUnreadable",
    "Mutation",
    "NotFound",
    "PayloadTooLarge",
    "PresenceHistoryItem",
    "PresenceHistoryPage",
    "PresenceHistoryReset",
    "PresenceHistoryStateAnswer",
    "PresenceMember",
    "PresenceSnapshot",
    "Publish",
    "PublishOptions",
    "PublishResult",
    "PusherBadAuth",
    "PusherBadRequest",
    "PusherBadStatus",
    "PusherError",
    "PusherForbidden",
    "RateLimited",
    "Receipt",
    "Retries",
    "Revocation",
    "ServerError",
    "Settings",
    "Sockudo",
    "SockudoConnectionError",
    "SockudoError",
    "SockudoHTTPError",
    "StreamState",
    "StreamStateAnswer",
    "TriggerAnswer",
    "UserAnswer",
    "UserAuth",
    "UsersAnswer",
    "ValidationError",
    "VersionedMessageAnswer",
    "VersionsPage",
    "Webhook",
    "WebhookEvent",
    "__version__",
    "publish",
    "publish_many",
    "register",
]

__version__ = "0.1.0"

_LAZY = {
    "AnnotationDeleted": ".client.answers",
    "AnnotationPublished": ".client.answers",
    "AnnotationsPage": ".client.answers",
    "BatchAnswer": ".client.answers",
    "BatchItemAnswer": ".client.answers",
    "CachedEvent": ".client.answers",
    "ChannelAnswer": ".client.answers",
    "ChannelCounts": ".client.answers",
    "ChannelsAnswer": ".client.answers",
    "Continuity": ".client.answers",
    "HistoryBounds": ".client.answers",
    "HistoryItem": ".client.answers",
    "HistoryPage": ".client.answers",
    "HistoryPurge": ".client.answers",
    "HistoryReset": ".client.answers",
    "HistoryStateAnswer": ".client.answers",
    "Mutation": ".client.answers",
    "PresenceHistoryItem": ".client.answers",
    "PresenceHistoryPage": ".client.answers",
    "PresenceHistoryReset": ".client.answers",
    "PresenceHistoryStateAnswer": ".client.answers",
    "PresenceMember": ".client.answers",
    "PresenceSnapshot": ".client.answers",
    "Revocation": ".client.answers",
    "StreamState": ".client.answers",
    "StreamStateAnswer": ".client.answers",
    "TriggerAnswer": ".client.answers",
    "UserAnswer": ".client.answers",
    "UsersAnswer": ".client.answers",
    "VersionedMessageAnswer": ".client.answers",
    "VersionsPage": ".client.answers",
    "ChannelAuth": ".client.authentication",
    "Publish": ".publish_types",
    "PublishOptions": ".publish_types",
    "PublishResult": ".publish_types",
    "UserAuth": ".client.authentication",
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
    if name == "app":  # for `celery -A sockudo_publisher ...`, which looks for this name
        import_module(".tasks", __name__)
        return import_module(".celery_app", __name__).celery_app
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

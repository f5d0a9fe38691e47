"""Sockudo Publisher: events from Python to WebSocket clients, exactly once, in order, through failures.

The public names, and nothing else. What needs Celery or Redis is loaded when it is first used, so that
``from sockudo_publisher import Sockudo`` costs neither.

PYTEST_DONT_REWRITE: pytest rewrites the assertions of a package that has a plugin. If the package is imported before,
pytest warns, and does not start with warnings as errors.
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
    from .client.api.answers import (
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
    from .client.api.authentication import ChannelAuth, UserAuth
    from .client.api.webhook import Webhook, WebhookEvent
    from .client.async_sockudo import AsyncSockudo
    from .client.http.retries import Retries
    from .client.sockudo import Sockudo
    from .client.wire.event import Event
    from .client.wire.extras import AiExtras, Extras
    from .config.settings import Settings, configure
    from .publishing.async_bulk import apublish_many
    from .publishing.bulk import publish_many
    from .publishing.receipts import BulkReceipt, Receipt
    from .tasks.options import PublishOptions
    from .tasks.publish import Publish, publish, register
    from .tasks.result import PublishResult

__all__ = [
    "AiExtras",
    "AnnotationDeleted",
    "AnnotationPublished",
    "AnnotationsPage",
    "AsyncSockudo",
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
    "Extras",
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
    "apublish_many",
    "configure",
    "publish",
    "publish_many",
    "register",
]

__version__ = "0.1.0"

_LAZY = {
    "AnnotationDeleted": ".client.api.answers",
    "AnnotationPublished": ".client.api.answers",
    "AnnotationsPage": ".client.api.answers",
    "BatchAnswer": ".client.api.answers",
    "BatchItemAnswer": ".client.api.answers",
    "CachedEvent": ".client.api.answers",
    "ChannelAnswer": ".client.api.answers",
    "ChannelCounts": ".client.api.answers",
    "ChannelsAnswer": ".client.api.answers",
    "Continuity": ".client.api.answers",
    "HistoryBounds": ".client.api.answers",
    "HistoryItem": ".client.api.answers",
    "HistoryPage": ".client.api.answers",
    "HistoryPurge": ".client.api.answers",
    "HistoryReset": ".client.api.answers",
    "HistoryStateAnswer": ".client.api.answers",
    "Mutation": ".client.api.answers",
    "PresenceHistoryItem": ".client.api.answers",
    "PresenceHistoryPage": ".client.api.answers",
    "PresenceHistoryReset": ".client.api.answers",
    "PresenceHistoryStateAnswer": ".client.api.answers",
    "PresenceMember": ".client.api.answers",
    "PresenceSnapshot": ".client.api.answers",
    "Revocation": ".client.api.answers",
    "StreamState": ".client.api.answers",
    "StreamStateAnswer": ".client.api.answers",
    "TriggerAnswer": ".client.api.answers",
    "UserAnswer": ".client.api.answers",
    "UsersAnswer": ".client.api.answers",
    "VersionedMessageAnswer": ".client.api.answers",
    "VersionsPage": ".client.api.answers",
    "AsyncSockudo": ".client.async_sockudo",
    "ChannelAuth": ".client.api.authentication",
    "Publish": ".tasks.publish",
    "PublishOptions": ".tasks.options",
    "PublishResult": ".tasks.result",
    "UserAuth": ".client.api.authentication",
    "BulkReceipt": ".publishing.receipts",
    "AiExtras": ".client.wire.extras",
    "Event": ".client.wire.event",
    "Extras": ".client.wire.extras",
    "Receipt": ".publishing.receipts",
    "Retries": ".client.http.retries",
    "Settings": ".config.settings",
    "Sockudo": ".client.sockudo",
    "Webhook": ".client.api.webhook",
    "WebhookEvent": ".client.api.webhook",
    "apublish_many": ".publishing.async_bulk",
    "configure": ".config.settings",
    "publish": ".tasks.publish",
    "publish_many": ".publishing.bulk",
    "register": ".tasks.publish",
}


def __getattr__(name: str) -> Any:
    if name == "app":  # for `celery -A sockudo_publisher ...`, which looks for this name
        import_module(".tasks.publish", __name__)
        return import_module(".wiring.private_celery", __name__).celery_app
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""The servers that facts share."""

from __future__ import annotations

from sockudo_publisher.dev.embedded import SockudoApp

from .targets import CLIENT_EVENTS, CLOSED, FEATURES, MAIN, SECOND, Setup

__all__ = [
    "CROWDED",
    "CUT",
    "FORGETFUL",
    "FULL",
    "HISTORY",
    "IMPATIENT",
    "LIMITED",
    "LIMITED_RATE",
    "ORIGINS",
    "PLAIN",
    "PROTOCOL_2",
    "RESTARTED",
    "SHORT",
    "SHORT_TTL_S",
    "SMALL",
    "STOPPING",
    "with_webhooks",
]

SHORT_TTL_S = 2

PLAIN = Setup("plain", is_plain=True)
LIMITED = Setup(
    "limited",
    apps=(
        SockudoApp(
            "limited",
            "limited-key",
            "limited-secret",
            {
                "max_event_batch_size": 5,
                "max_event_payload_in_kb": 1,
                "max_event_channels_at_once": 3,
                "max_presence_members_per_channel": 1,
                "max_presence_member_size_in_kb": 1,
                "max_client_events_per_second": 1000,
            },
            {"features": FEATURES},
        ),
        SECOND,
        CLOSED,
    ),
)
SHORT = Setup("short", dedup_ttl_s=SHORT_TTL_S)
#: The dedup memory that is full after a thousand ids.
SMALL = Setup("small", cache_max_capacity=1000, apps=(MAIN,))
HISTORY = Setup(
    "history",
    history=True,
    settings={
        "history": {"max_page_size": 10},
        "presence_history": {"enabled": True, "max_page_size": 10},
    },
)
PROTOCOL_2 = Setup(
    "protocol2",
    history=True,
    settings={
        "connection_recovery": {"enabled": True},
        "tag_filtering": {"enabled": True, "enable_tags": True},
        "history": {"max_page_size": 100},
    },
)
#: A server without deduplication.
FORGETFUL = Setup(
    "forgetful",
    apps=(SockudoApp("facts", "facts-key", "facts-secret", {}, {"idempotency": {"enabled": False}}),),
    settings={"idempotency": {"enabled": False}},
    not_embedded="the embedded server always remembers ids",
)
#: Where batches are cut: their claims end in a test's time, and no other fact waits for them.
CUT = Setup(
    "cut",
    dedup_ttl_s=12,
    apps=(MAIN,),
    not_embedded="the embedded server finishes a batch whose client is gone; its faults stop one on request",
)
#: A server that tests stop: it answers while it does.
STOPPING = Setup("stopping", apps=(MAIN,), shutdown_grace_s=4)
RESTARTED = Setup("restarted", apps=(MAIN,))
LIMITED_RATE = Setup(
    "limited-rate",
    apps=(MAIN,),
    settings={
        "rate_limiter": {
            "enabled": True,
            "driver": "memory",
            "api_rate_limit": {"max_requests": 20, "window_seconds": 60},
        }
    },
    not_embedded="the embedded server has no rate limiter",
)
ORIGINS = Setup(
    "origins",
    apps=(
        SockudoApp(
            "facts", "facts-key", "facts-secret", {}, {"channels": {"allowed_origins": ["https://shop.example"]}}
        ),
    ),
)
CROWDED = Setup(
    "crowded",
    apps=(SockudoApp("facts", "facts-key", "facts-secret", {"max_connections": 1}, {}),),
)
FULL = Setup(
    "full",
    apps=(MAIN,),
    settings={"max_connections": 1},
    not_embedded="the embedded server limits the connections of an app alone",
)
IMPATIENT = Setup(
    "impatient",
    apps=(MAIN,),
    settings={"activity_timeout": 1},
)

WEBHOOK_EVENTS = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
]


def with_webhooks(url: str) -> Setup:
    """A server that calls `url`, and repeats soon."""
    webhooks = [{"url": url, "event_types": WEBHOOK_EVENTS, "retry": {"initial_backoff_ms": 100}}]
    app = SockudoApp("hooks", "hooks-key", "hooks-secret", CLIENT_EVENTS, {"features": FEATURES, "webhooks": webhooks})
    return Setup("webhooks", apps=(app,))

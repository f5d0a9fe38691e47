"""The configuration of a development server: apps, limits, features, webhooks, how long it remembers ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

__all__ = ["WEBHOOK_EVENTS", "AppConfig", "Features", "ServerConfig", "ServerLimits", "WebhookConfig"]

#: Every name of a webhook's event that this server sends.
WEBHOOK_EVENTS = (
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
)


@dataclass(frozen=True)
class ServerLimits:
    """The server's ``policy.limits`` of an app, with its names and defaults (``None`` or 0: no limit)."""

    max_connections: int = 0
    max_client_events_per_second: int = 0
    max_presence_members_per_channel: int | None = None
    max_presence_member_size_in_kb: int | None = None
    max_event_batch_size: int | None = None
    max_event_payload_in_kb: int | None = None
    max_event_channels_at_once: int | None = None
    max_event_name_length: int = 200
    max_channel_name_length: int = 200
    #: Seconds of one window of ``max_client_events_per_second``.
    decay_seconds: int = 1

    def with_setting(self, text: str) -> ServerLimits:
        """The limits with one more, given as ``name=number``. Raises ``ValueError``."""
        name, _, number = text.partition("=")
        if name not in {one.name for one in fields(self)} or not (number.isascii() and number.isdecimal()):
            raise ValueError(f"limit: expected name=number, name one of {', '.join(f.name for f in fields(self))}")
        if len(number) > MAX_DIGITS:
            raise ValueError(f"limit: {name}: at most {MAX_DIGITS} digits")
        return replace(self, **{name: int(number)})


#: Digits of a limit: the server's numbers have 32 bits.
MAX_DIGITS = 9


@dataclass(frozen=True)
class Features:
    """The server's ``policy.features`` of an app. All off by default, as on the server."""

    enable_client_messages: bool = False
    enable_user_authentication: bool = False
    enable_watchlist_events: bool = False


@dataclass(frozen=True)
class WebhookConfig:
    """One entry of the server's ``policy.webhooks``: where to post, which events, of which channels."""

    url: str = field(repr=False)
    event_types: tuple[str, ...] = WEBHOOK_EVENTS
    channel_prefix: str | None = None
    channel_suffix: str | None = None
    channel_pattern: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class AppConfig:
    """One app. ``allowed_origins``: the patterns of the server's ``policy.channels``, for WebSockets."""

    id: str
    key: str
    secret: str = field(repr=False)
    limits: ServerLimits = ServerLimits()
    features: Features = Features()
    webhooks: tuple[WebhookConfig, ...] = ()
    allowed_origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerConfig:
    """The whole server. Times in seconds."""

    apps: tuple[AppConfig, ...]
    #: How long an id is remembered after its event was published (``idempotency.ttl_seconds``).
    dedup_ttl_s: float = 120.0
    #: Maximum number of remembered ids; then no new id is remembered, as in the real server's memory cache.
    dedup_capacity: int = 1_000_000
    #: The last events of a channel, and of members (``history.enabled``, ``presence_history.enabled``).
    has_history: bool = False
    has_presence_history: bool = False
    #: Items of one page of history (``history.max_page_size``).
    max_page_size: int = 100
    #: Seconds of silence after which a client is asked with a ping.
    activity_timeout_s: int = 120
    #: Seconds for which a process that stops answers 503 (``shutdown_grace_period``). A thread stops at once.
    shutdown_grace_s: int = 0
    #: Further origins whose pages may connect (``--allow-origin``); ``*`` is any.
    allow_origins: tuple[str, ...] = ()
    #: The address that it listens on, a name for its pages.
    host: str = "127.0.0.1"

    def app_by_key(self, key: str) -> AppConfig | None:
        """The app that has this key."""
        return next((app for app in self.apps if app.key == key), None)

    def app_by_id(self, app_id: str) -> AppConfig | None:
        """The app that has this id."""
        return next((app for app in self.apps if app.id == app_id), None)

    @classmethod
    def of(cls, apps: Iterable[AppConfig], *, dedup_ttl_s: float, dedup_capacity: int) -> ServerConfig:
        """Checked: at least one app, no id or key twice, times and counts positive. Raises ``ValueError``."""
        return cls(tuple(apps), dedup_ttl_s, dedup_capacity).checked()

    def checked(self) -> ServerConfig:
        """The configuration itself. Raises ``ValueError``, which never shows a secret."""
        if not self.apps:
            raise ValueError("app: none, expected at least one")
        for what in ("id", "key"):
            if len({getattr(app, what) for app in self.apps}) < len(self.apps):
                raise ValueError(f"app: the same {what} twice")
            if not all(getattr(app, what) for app in self.apps):
                raise ValueError(f"app: an empty {what}")
        if not 0 < self.dedup_ttl_s <= MAX_SECONDS or self.dedup_capacity < 1:
            raise ValueError(f"dedup: time and capacity must be positive, the time at most {MAX_SECONDS} s")
        if self.max_page_size < 1:
            raise ValueError("history: max_page_size must be positive")
        if not 1 <= self.activity_timeout_s <= MAX_SECONDS:
            raise ValueError(f"activity_timeout: {self.activity_timeout_s}, expected 1 to {MAX_SECONDS} seconds")
        if not 0 <= self.shutdown_grace_s <= MAX_SECONDS:
            raise ValueError(f"shutdown_grace_period: {self.shutdown_grace_s}, expected 0 to {MAX_SECONDS} seconds")
        return self


#: A year, the bound of every time that can be set.
MAX_SECONDS = 366 * 24 * 3600

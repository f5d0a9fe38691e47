"""The configuration of a development server: apps, limits, how long it remembers ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

__all__ = ["AppConfig", "ServerConfig", "ServerLimits"]


@dataclass(frozen=True)
class ServerLimits:
    """The server's ``policy.limits`` of an app, with its names and defaults (``None``: no limit)."""

    max_event_batch_size: int | None = None
    max_event_payload_in_kb: int | None = None
    max_event_channels_at_once: int | None = None
    max_event_name_length: int = 200
    max_channel_name_length: int = 200

    def with_setting(self, text: str) -> ServerLimits:
        """The limits with one more, given as ``name=number``. Raises ``ValueError``."""
        name, _, number = text.partition("=")
        if name not in {one.name for one in fields(self)} or not number.isdecimal():
            raise ValueError(f"limit: expected name=number, name one of {', '.join(f.name for f in fields(self))}")
        return replace(self, **{name: int(number)})


@dataclass(frozen=True)
class AppConfig:
    """One app."""

    id: str
    key: str
    secret: str = field(repr=False)
    limits: ServerLimits = ServerLimits()


@dataclass(frozen=True)
class ServerConfig:
    """The whole server. Times in seconds."""

    apps: tuple[AppConfig, ...]
    #: How long an id is remembered after its event was published (``idempotency.ttl_seconds``).
    dedup_ttl_s: float = 120.0
    #: Maximum number of remembered ids; then no new id is remembered, as in the real server's memory cache.
    dedup_capacity: int = 1_000_000

    def app_by_key(self, key: str) -> AppConfig | None:
        """The app that has this key."""
        return next((app for app in self.apps if app.key == key), None)

    def app_by_id(self, app_id: str) -> AppConfig | None:
        """The app that has this id."""
        return next((app for app in self.apps if app.id == app_id), None)

    @classmethod
    def of(cls, apps: Iterable[AppConfig], *, dedup_ttl_s: float, dedup_capacity: int) -> ServerConfig:
        """Checked: at least one app, no id or key twice, times and counts positive. Raises ``ValueError``."""
        listed = tuple(apps)
        if not listed:
            raise ValueError("app: none, expected at least one")
        for what in ("id", "key"):
            if len({getattr(app, what) for app in listed}) < len(listed):
                raise ValueError(f"app: the same {what} twice")
        if dedup_ttl_s <= 0 or dedup_capacity < 1:
            raise ValueError("dedup: time and capacity must be positive")
        return cls(listed, dedup_ttl_s, dedup_capacity)

"""One typed settings object, read from the environment.

Every variable is listed in ``docs/settings.md`` with unit and default. A malformed value raises
:class:`ConfigurationError` that names the variable and what was expected; values are never echoed,
because several of them hold secrets. Imports the errors, the reader of the environment and the addresses
of Redis and the broker.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from ..errors import ConfigurationError
from .environment import Reader, read_master_key, read_max_event_bytes, read_timeout
from .redis_url import RedisAddress, checked_broker_url

__all__ = ["DEFAULT_APP", "Settings", "get_settings", "unknown_variables"]

#: The name under which ``SOCKUDO_URL`` is known where an app has to be named (``app="name"``).
DEFAULT_APP = "default"

#: The Celery queue without a namespace; with one it is followed by "." and the namespace.
QUEUE = "sockudo"

#: What a namespace may be: it is part of Redis keys, ACL patterns and queue names, so it has none of the characters
#: that mean something there, and fits with the queue's name into what the narrowest broker allows (SQS: 80 characters).
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: Seconds that must remain of the dedup window after one delivery timeout, or a resend of the `hold`
#: policy could never start (design: no resend starts later than window - delivery timeout - 5 s).
WINDOW_MARGIN_S = 5.0

#: Lanes per app. The upper bound keeps the sweep's look at all lanes a matter of milliseconds.
MAX_LANES = 256


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Times are seconds, sizes bytes."""

    url: str | None = field(default=None, repr=False)
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    broker_url: str = field(default="", repr=False)
    encryption_master_key_base64: str | None = field(default=None, repr=False)
    timeout: float = 5.0
    delivery_timeout: float = 30.0
    batch_max_events: int = 500
    batch_max_bytes: int = 4 * 1024 * 1024
    lanes: int = 8
    dedup_window: float = 120.0
    on_uncertain: Literal["resend", "park"] = "resend"
    max_backlog: int = 1_000_000
    max_event_bytes: int = 10_240
    key_ttl: float = 86_400.0
    max_rate: float = 0.0
    redis_wait: tuple[int, int] | None = None
    on_expired: Literal["drop", "dead"] = "drop"
    dead_max: int = 100_000
    dead_max_bytes: int = 64 * 1024 * 1024
    dead_ttl: float = 30 * 86_400.0
    apps: Mapping[str, str] = field(default_factory=dict, repr=False)
    namespace: str = ""

    def __post_init__(self) -> None:
        _check_namespace(self.namespace)
        address = RedisAddress.from_url(self.redis_url, setting="SOCKUDO_REDIS_URL")
        object.__setattr__(self, "_redis_address", address)
        if self.broker_url:
            broker_url = checked_broker_url(self.broker_url, setting="SOCKUDO_BROKER_URL")
        else:
            # As it is written, where both read it alike: it may stand in what people compare.
            plain = address.scheme == "redis" and "?" not in self.redis_url
            broker_url = self.redis_url if plain else address.broker_url()
        object.__setattr__(self, "broker_url", broker_url)
        if self.dedup_window <= self.delivery_timeout + WINDOW_MARGIN_S:
            raise ConfigurationError(
                f"SOCKUDO_DEDUP_WINDOW: {self.dedup_window:g} s, must be longer than "
                f"SOCKUDO_DELIVERY_TIMEOUT + {WINDOW_MARGIN_S:g} s ({self.delivery_timeout + WINDOW_MARGIN_S:g} s)"
            )

    @property
    def redis_address(self) -> RedisAddress:
        """:attr:`redis_url`, read."""
        # Not a cached_property, which has a lock before Python 3.12: a fork would meet it locked.
        address: RedisAddress = self.__dict__["_redis_address"]
        return address

    @property
    def queue(self) -> str:
        """The Celery queue of this deployment's doorbells and `publish` messages."""
        return f"{QUEUE}.{self.namespace}" if self.namespace else QUEUE

    def app_urls(self) -> dict[str, str]:
        """Every configured app, by name; ``SOCKUDO_URL`` is :data:`DEFAULT_APP`."""
        urls = dict(self.apps)
        if self.url:
            urls[DEFAULT_APP] = self.url
        return urls

    def url_of(self, app: str) -> str:
        """The URL of one app. Raises :class:`ConfigurationError` when there is none."""
        url = self.url if app == DEFAULT_APP else self.apps.get(app)
        if url:
            return url
        if app == DEFAULT_APP:
            raise ConfigurationError(
                "SOCKUDO_URL: not set, expected http(s)://key:secret@host:port[/prefix]/apps/app-id"
            )
        raise ConfigurationError(f"SOCKUDO_APPS: no app named {app!r}")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read ``SOCKUDO_*``. Empty variables count as not set."""
        read = Reader(os.environ if environ is None else environ)
        return cls(
            url=read.text("SOCKUDO_URL"),
            redis_url=read.text("SOCKUDO_REDIS_URL") or cls.redis_url,
            broker_url=read.text("SOCKUDO_BROKER_URL") or "",
            encryption_master_key_base64=read_master_key(read),
            timeout=read_timeout(read) or cls.timeout,
            delivery_timeout=read.number("SOCKUDO_DELIVERY_TIMEOUT", cls.delivery_timeout, low=0.1, high=3600),
            batch_max_events=read.integer("SOCKUDO_BATCH_MAX_EVENTS", cls.batch_max_events, low=1, high=100_000),
            batch_max_bytes=read.integer("SOCKUDO_BATCH_MAX_BYTES", cls.batch_max_bytes, low=1024, high=2**30),
            lanes=read.integer("SOCKUDO_LANES", cls.lanes, low=1, high=MAX_LANES),
            dedup_window=read.number("SOCKUDO_DEDUP_WINDOW", cls.dedup_window, low=0.1, high=10**7),
            on_uncertain=_on_uncertain(read),
            max_backlog=read.integer("SOCKUDO_MAX_BACKLOG", cls.max_backlog, low=0, high=2**53),
            max_event_bytes=read_max_event_bytes(read) or cls.max_event_bytes,
            key_ttl=read.number("SOCKUDO_KEY_TTL", cls.key_ttl, low=1, high=10**9),
            max_rate=read.number("SOCKUDO_MAX_RATE", cls.max_rate, low=0, high=10**9),
            redis_wait=_replicas_and_ms(read.text("SOCKUDO_REDIS_WAIT")),
            on_expired="dead" if read.choice("SOCKUDO_ON_EXPIRED", "drop", "dead") == "dead" else "drop",
            dead_max=read.integer("SOCKUDO_DEAD_MAX", cls.dead_max, low=0, high=10**9),
            dead_max_bytes=read.integer("SOCKUDO_DEAD_MAX_BYTES", cls.dead_max_bytes, low=0, high=2**53),
            dead_ttl=read.number("SOCKUDO_DEAD_TTL", cls.dead_ttl, low=0, high=10**9),
            apps=_apps(read.text("SOCKUDO_APPS")),
            namespace=read.text("SOCKUDO_NAMESPACE") or "",
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once. ``get_settings.cache_clear()`` reads them again."""
    return Settings.from_env()


def _on_uncertain(read: Reader) -> Literal["resend", "park"]:
    if read.text("SOCKUDO_ON_UNCERTAIN") == "hold":
        raise ConfigurationError("SOCKUDO_ON_UNCERTAIN: hold is called park now; must be one of resend, park")
    return "park" if read.choice("SOCKUDO_ON_UNCERTAIN", "resend", "park") == "park" else "resend"


#: Most replicas and most milliseconds of SOCKUDO_REDIS_WAIT: beyond, an append would only seem to hang.
MAX_REPLICAS = 100
MAX_WAIT_MS = 60_000


def _replicas_and_ms(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5}):([0-9]{1,5})", text)
    replicas, ms = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= replicas <= MAX_REPLICAS and 1 <= ms <= MAX_WAIT_MS):
        raise ConfigurationError(
            f"SOCKUDO_REDIS_WAIT: expected replicas:ms (1 to {MAX_REPLICAS} replicas, 1 to {MAX_WAIT_MS} ms)"
        )
    return replicas, ms


def _check_namespace(namespace: str) -> None:
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError("SOCKUDO_NAMESPACE: expected 1 to 64 ASCII letters, digits, - or _")
    if namespace == QUEUE:
        # Keys without a namespace begin like that, and so do the ACL patterns for them.
        raise ConfigurationError("SOCKUDO_NAMESPACE: taken by the keys without a namespace, choose another")


def _apps(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    complaint = 'SOCKUDO_APPS: expected a JSON object {"name": "url", ...}'
    try:
        apps = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigurationError(complaint) from None
    if not isinstance(apps, dict) or not all(isinstance(url, str) and url and name for name, url in apps.items()):
        raise ConfigurationError(complaint)
    if DEFAULT_APP in apps:
        raise ConfigurationError(f"SOCKUDO_APPS: the name {DEFAULT_APP!r} belongs to SOCKUDO_URL")
    return apps


_PREFIX = "SOCKUDO_"

#: Variables that other parts read: the embedded and the real server, docker-compose.yml, the crash points.
_OF_OTHERS = frozenset(
    {
        "SOCKUDO_APP_ID",
        "SOCKUDO_APP_KEY",
        "SOCKUDO_APP_SECRET",
        "SOCKUDO_BIN",
        "SOCKUDO_DEVSERVER_APPS",
        "SOCKUDO_ENABLE_CLIENT_MESSAGES",
        "SOCKUDO_FAULTPOINT",
        "SOCKUDO_MAX_CONNECTIONS",
        "SOCKUDO_SERVER_ROLE",
        "SOCKUDO_SKIP_INLINE_APPS",
    }
)
_PREFIXES_OF_OTHERS = ("SOCKUDO_ABLY_", "SOCKUDO_DEFAULT_APP_", "SOCKUDO_LOG_", "SOCKUDO_OTEL_")


def unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """``SOCKUDO_*`` variables that are no settings, each with the one that was probably meant, or ``""``."""
    read = _Names()
    Settings.from_env(read)
    known = [name.removeprefix(_PREFIX) for name in read.asked]
    found: dict[str, str] = {}
    for name in sorted(os.environ if environ is None else environ):
        if not name.startswith(_PREFIX) or name in read.asked or name in _OF_OTHERS:
            continue
        if not name.startswith(_PREFIXES_OF_OTHERS):
            # Without the prefix, which would make all of them look alike.
            nearest = get_close_matches(name.removeprefix(_PREFIX), known, n=1)
            found[name] = _PREFIX + nearest[0] if nearest else ""
    return found


class _Names(dict[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """Not set."""
        self.asked.append(name)
        return default

"""The allowed values of each setting, by the name of its field, and the variable that holds it.

Imports the errors, the kinds of values, and the addresses of Redis and the broker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .environment import FILE, MAX_EVENT_BYTES, SHOW_ANSWERS, TIMEOUT
from .redis_url import RedisAddress, checked_broker_url
from .values import Choice, Number, Text, Value, Whole

__all__ = ["DEFAULT_APP", "KINDS", "PREFIX", "QUEUE", "SECRETS", "known_variables", "variable_of"]

#: The name under which ``SOCKUDO_URL`` is known where an app has to be named (``app="name"``).
DEFAULT_APP = "default"

#: The Celery queue without a namespace; with one it is followed by "." and the namespace.
QUEUE = "sockudo"

#: An allowed namespace. It is part of Redis keys, ACL patterns and queue names: so it has no character with a meaning
#: there, and fits with the queue's name into the shortest limit of a broker (SQS: 80 characters).
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: A host name or an IP address, IPv6 without brackets.
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")

#: Lanes per app. With the upper bound the sweep reads all lanes within milliseconds.
MAX_LANES = 256

#: Maximum replicas and milliseconds of SOCKUDO_REDIS_WAIT: beyond them, an append would seem to hang.
MAX_REPLICAS = 100
MAX_WAIT_MS = 60_000

#: What SOCKUDO_TELEMETRY may name: the module that it needs, and the extra that brings it.
TELEMETRY = {"prometheus": ("prometheus_client", "metrics"), "otel": ("opentelemetry", "otel")}

#: The prefix of every variable.
PREFIX = "SOCKUDO_"


def variable_of(field_name: str) -> str:
    """The variable of a field: ``redis_url`` is ``SOCKUDO_REDIS_URL``."""
    return PREFIX + field_name.upper()


class RedisWait:
    """``(replicas, ms)``, as text ``replicas:ms``."""

    def parse(self, text: str, name: str) -> tuple[int, int] | None:
        match = re.fullmatch(r"([0-9]{1,5}):([0-9]{1,5})", text)
        return self.check((int(match[1]), int(match[2])) if match else (0, 0), name)

    def check(self, value: Any, name: str) -> tuple[int, int] | None:
        if value is None:
            return None
        if isinstance(value, tuple | list) and len(value) == 2 and all(type(one) is int for one in value):
            replicas, ms = value
            if 1 <= replicas <= MAX_REPLICAS and 1 <= ms <= MAX_WAIT_MS:
                return replicas, ms
        raise ConfigurationError(
            f"{name}: expected replicas:ms (1 to {MAX_REPLICAS} replicas, 1 to {MAX_WAIT_MS} ms), "
            "in Python a pair of numbers"
        )


class _NamedTwice(Exception):
    """A JSON object has a key twice."""


class Apps:
    """URLs by name, as text a JSON object."""

    def parse(self, text: str, name: str) -> dict[str, str]:
        try:
            value = json.loads(text, object_pairs_hook=self._pairs)
        except _NamedTwice:
            raise ConfigurationError(f"{name}: two apps have one name") from None
        except (ValueError, RecursionError):
            value = None
        return self.check(value, name)

    @staticmethod
    def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """As a dict, which would keep the last of two apps with one name."""
        value = dict(pairs)
        if len(value) != len(pairs):
            raise _NamedTwice
        return value

    def check(self, value: Any, name: str) -> dict[str, str]:
        if not isinstance(value, Mapping) or not all(
            isinstance(app, str) and app and isinstance(url, str) and url for app, url in value.items()
        ):
            raise ConfigurationError(f'{name}: expected a JSON object {{"name": "url", ...}}, in Python a dict')
        if DEFAULT_APP in value:
            raise ConfigurationError(f"{name}: the name {DEFAULT_APP!r} belongs to SOCKUDO_URL")
        return dict(value)


class JsonLibrary:
    """``json`` or ``orjson``, which must be installed."""

    def parse(self, text: str, name: str) -> str:
        return self.check(text, name)

    def check(self, value: Any, name: str) -> str:
        chosen: str = Choice(("json", "orjson")).check(value, name)
        if chosen == "orjson" and not _is_installed("orjson"):
            raise ConfigurationError(f"{name}: orjson is not installed (pip install 'sockudo-publisher[orjson]')")
        return chosen


class Telemetry:
    """Names of :data:`TELEMETRY`, as text separated by commas. What each needs must be installed."""

    def parse(self, text: str, name: str) -> tuple[str, ...]:
        return self.check(tuple(one.strip() for one in text.split(",") if one.strip()), name)

    def check(self, value: Any, name: str) -> tuple[str, ...]:
        chosen = (value,) if isinstance(value, str) else value
        if not isinstance(chosen, tuple | list) or any(one not in TELEMETRY for one in chosen):
            raise ConfigurationError(f"{name}: expected one or several of {', '.join(TELEMETRY)}")
        for one in chosen:
            module, extra = TELEMETRY[one]
            if not _is_installed(module):
                raise ConfigurationError(
                    f"{name}: {module} is not installed (pip install 'sockudo-publisher[{extra}]')"
                )
        return tuple(dict.fromkeys(chosen))


class Function:
    """A function, which has no text: only a program can give it."""

    def parse(self, text: str, name: str) -> Any:  # noqa: ARG002 -- as the other kinds
        raise ConfigurationError(f"{name}: a text, expected a callable: give it in Python, configure(json_encoder=...)")

    def check(self, value: Any, name: str) -> Any:
        if value is not None and not callable(value):
            raise ConfigurationError(f"{name}: a {type(value).__name__}, expected a callable")
        return value


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _redis_url(url: str, name: str) -> str:
    RedisAddress.from_url(url, setting=name)
    return url


def _broker_url(url: str, name: str) -> str:
    return checked_broker_url(url, setting=name)


def _namespace(namespace: str, name: str) -> str:
    if not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError(f"{name}: expected 1 to 64 ASCII letters, digits, - or _")
    if namespace == QUEUE:
        # Keys without a namespace begin like that, and so do the ACL patterns for them.
        raise ConfigurationError(f"{name}: taken by the keys without a namespace, choose another")
    return namespace


def _host(host: str, name: str) -> str:
    if not _HOST.fullmatch(host):
        raise ConfigurationError(f"{name}: expected an IP address or the name of this host, without a port")
    return host


#: Characters of the dashboard's token. It travels in a header, so it has visible ASCII characters only.
MIN_TOKEN, MAX_TOKEN = 16, 512


def _token(token: str, name: str) -> str:
    if not (MIN_TOKEN <= len(token) <= MAX_TOKEN and all("!" <= character <= "~" for character in token)):
        raise ConfigurationError(
            f"{name}: {len(token)} characters, expected {MIN_TOKEN} to {MAX_TOKEN} of ASCII without spaces: "
            "make one with `openssl rand -hex 32`"
        )
    return token


#: The allowed values of each field. The URL of an app and the master key are checked where they are used (`client`).
KINDS: Mapping[str, Value] = {
    "url": Text(optional=True),
    "redis_url": Text(_redis_url),
    "broker_url": Text(_broker_url),
    "encryption_master_key_base64": Text(optional=True),
    "timeout": TIMEOUT,
    "delivery_timeout": Number(0.1, 3600),
    "batch_max_events": Whole(1, 100_000),
    "batch_max_bytes": Whole(1024, 2**30),
    "lanes": Whole(1, MAX_LANES),
    "dedup_window": Number(0.1, 10**7),
    "on_uncertain": Choice(("resend", "park"), renamed={"hold": "park"}),
    "max_backlog": Whole(0, 2**53),
    "max_scheduled": Whole(0, 2**53),
    "max_event_bytes": MAX_EVENT_BYTES,
    "key_ttl": Number(1, 10**9),
    "max_rate": Number(0, 10**9),
    "redis_wait": RedisWait(),
    "on_expired": Choice(("drop", "dead")),
    "on_unavailable": Choice(("raise", "log")),
    "dead_max": Whole(0, 10**9),
    "dead_max_bytes": Whole(0, 2**53),
    "dead_ttl": Number(0, 10**9),
    "show_answers": SHOW_ANSWERS,
    "apps": Apps(),
    "namespace": Text(_namespace),
    "json": JsonLibrary(),
    "json_encoder": Function(),
    "telemetry": Telemetry(),
    "log": Choice(("text", "json")),
    "metrics_port": Whole(0, 65_535),
    "metrics_host": Text(_host),
    "dashboard_token": Text(_token, optional=True),
}

#: The fields that hold a secret: no ``repr`` shows them, and each may be given as a file, by ``VARIABLE_FILE``.
SECRETS = ("url", "redis_url", "broker_url", "encryption_master_key_base64", "apps", "dashboard_token")


def known_variables() -> tuple[str, ...]:
    """Every variable that is read, those that name a file behind the others."""
    return (*map(variable_of, KINDS), *(variable_of(name) + FILE for name in SECRETS))

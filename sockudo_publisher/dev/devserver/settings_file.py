"""A configuration file of the real server: reads what this server knows, and names what it ignores.

TOML or JSON, with ``${VAR}`` and ``${VAR:-default}`` in texts, as the server reads it. Errors name the setting, never
its value: the file holds secrets.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .config import WEBHOOK_EVENTS, AppConfig, Features, ServerConfig, ServerLimits, WebhookConfig

__all__ = ["FileSettings", "app_of", "read_file", "settings_of"]

#: Bytes of a file.
MAX_FILE_BYTES = 1 << 20
#: The largest number of a limit: the server's have 32 bits.
MAX_LIMIT = 2**32 - 1

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_FILTERS = ("channel_prefix", "channel_suffix", "channel_pattern")


@dataclass(frozen=True)
class FileSettings:
    """What a file says: the configuration, where to listen (``None``: not said), and the names that are ignored."""

    config: ServerConfig
    host: str | None
    port: int | None
    ignored: tuple[str, ...]


class _Table:
    """A table of the file. It knows which of its names were read."""

    def __init__(self, name: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f"{name or 'configuration'}: expected a table")  # noqa: TRY004 -- it comes from a file
        self.name = name
        self._values = dict(values)
        self._read: set[str] = set()
        self._inner: list[_Table] = []

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        """A value of this kind."""
        self._read.add(name)
        value = self._values.get(name)
        if value is None:
            return default
        if kind is int and isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)  # the server takes numbers in quotes
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{self.full(name)}: expected a {_KINDS[kind]}")
        return value

    def number(self, name: str, default: int | None, least: int, largest: int = MAX_LIMIT) -> int | None:
        """A whole number in its bounds."""
        value: int | None = self.get(name, int, default)
        if value is not None and not least <= value <= largest:
            raise ValueError(f"{self.full(name)}: {value}, expected {least} to {largest}")
        return value

    def table(self, name: str) -> _Table:
        """A table in it; empty if it is absent."""
        table = _Table(self.full(name), self.get(name, Mapping, {}))
        self._inner.append(table)
        return table

    def tables(self, name: str) -> list[_Table]:
        """A list of tables."""
        tables = [_Table(f"{self.full(name)}[{index}]", one) for index, one in enumerate(self.get(name, list, []))]
        self._inner += tables
        return tables

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self.get(name, list, [])
        if not all(isinstance(one, str) for one in values):
            raise ValueError(f"{self.full(name)}: expected a list of texts")
        return tuple(values)

    def ignored(self) -> Iterator[str]:
        """The names that were not read, here and within."""
        for name in self._values:
            if name not in self._read:
                yield self.full(name)
        for table in self._inner:
            yield from table.ignored()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not self._values

    def full(self, name: str) -> str:
        """A name with those of the tables around it."""
        return f"{self.name}.{name}" if self.name else name


_KINDS = {int: "whole number", str: "text", bool: "boolean", list: "list", Mapping: "table"}


def read_file(path: Path, environ: Mapping[str, str] = os.environ) -> FileSettings:
    """The settings in a file. Raises ``ValueError`` or ``OSError``."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{path.name}: more than {MAX_FILE_BYTES} bytes")
    text = path.read_text("utf-8")
    return settings_of(_with_variables(_parsed(path, text), environ))


def settings_of(values: Mapping[str, Any]) -> FileSettings:
    """The settings in a parsed file. Raises ``ValueError``."""
    top = _Table("", values)
    apps = []
    for table in top.table("app_manager").table("array").tables("apps"):
        app = _app(table)
        if table.get("enabled", bool, False):
            apps.append(app)
    ttl_s = top.table("idempotency").number("ttl_seconds", 120, 1)
    memory = top.table("cache").table("memory").number("max_capacity", 1_000_000, 1, 10**9)
    history, members = top.table("history"), top.table("presence_history")
    config = ServerConfig(
        tuple(apps),
        float(ttl_s or 0),
        memory or 0,
        has_history=history.get("enabled", bool, False),
        has_presence_history=members.get("enabled", bool, False),
        max_page_size=history.number("max_page_size", 100, 1) or 0,
        activity_timeout_s=top.number("activity_timeout", 120, 1) or 0,
        shutdown_grace_s=top.number("shutdown_grace_period", 0, 0) or 0,
    )
    if not apps:
        raise ValueError("app_manager.array.apps: no app with enabled = true")
    host, port = top.get("host", str), top.number("port", None, 0, 65535)
    return FileSettings(config.checked(), host, port, tuple(sorted(top.ignored())))


def app_of(values: Mapping[str, Any]) -> AppConfig:
    """One app in the file's form. Raises ``ValueError``."""
    return _app(_Table("app", values))


def _app(table: _Table) -> AppConfig:
    names = [table.get(name, str, "") for name in ("id", "key", "secret")]
    if not all(names):
        raise ValueError(f"{table.name}: id, key and secret must be given")
    policy = table.table("policy")
    # Without a policy, its parts stand in the app itself.
    flat = policy.is_empty
    limits = table if flat else policy.table("limits")
    features = table if flat else policy.table("features")
    channels = table if flat else policy.table("channels")
    numbers: dict[str, Any] = {}
    for one in fields(ServerLimits):
        default = getattr(ServerLimits(), one.name)
        numbers[one.name] = limits.number(one.name, default, 0)
    flags = {one.name: features.get(one.name, bool, False) for one in fields(Features)}
    webhooks = tuple(_webhook(one) for one in (table if flat else policy).tables("webhooks"))
    origins = channels.texts("allowed_origins")
    return AppConfig(names[0], names[1], names[2], ServerLimits(**numbers), Features(**flags), webhooks, origins)


def _webhook(table: _Table) -> WebhookConfig:
    url = table.get("url", str, "")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"{table.full('url')}: expected an http(s) address")
    types = table.texts("event_types") or WEBHOOK_EVENTS
    filters = table.table("filter")
    texts = {name: filters.get(name, str) for name in _FILTERS}
    if texts["channel_pattern"] is not None:
        try:
            re.compile(texts["channel_pattern"])
        except re.error:
            raise ValueError(f"{table.full('filter.channel_pattern')}: no regular expression") from None
    headers = table.get("headers", Mapping, {})
    pairs = tuple((name, value) for name, value in headers.items() if isinstance(value, str))
    return WebhookConfig(url, types, headers=pairs, **texts)


def _parsed(path: Path, text: str) -> Any:
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{path.name}: not JSON") from None
    # Python 3.10 has it in a package of its own, with the same names.
    toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return toml.loads(text)
    except toml.TOMLDecodeError as problem:
        place = re.search(r"\(at .*\)$", str(problem))
        raise ValueError(f"{path.name}: not TOML {place[0] if place else ''}".rstrip()) from None


def _with_variables(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: environ.get(match[1], match[2] or ""), value)
    if isinstance(value, Mapping):
        return {name: _with_variables(inner, environ) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_variables(inner, environ) for inner in value]
    return value

"""Typed reads of environment variables, and the variables that the HTTP client reads too.

The client does not know the settings (it is used without Redis), but both read some variables: these have
one name and one range each, here. Every complaint names the variable and what it expects, never the value.
Imports the errors alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigurationError

__all__ = ["MASTER_KEY", "Reader", "read_master_key", "read_max_event_bytes", "read_timeout"]

#: Holds the master key of the ``private-encrypted-`` channels: 32 bytes, base64.
MASTER_KEY = "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64"


class Reader:
    """Typed reads from an environment; every complaint names the variable and the bounds."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        """The value, or ``None`` where it is not set or empty."""
        return self._environ.get(name, "").strip() or None

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A number between ``low`` and ``high``, both included."""
        text = self.text(name)
        if text is None:
            return default
        bounds = f"must be between {low:.12g} and {high:.12g}"
        try:
            value = float(text)
        except ValueError:
            raise ConfigurationError(f"{name}: not a number, {bounds}") from None
        if not text.isascii():  # float() and int() read the digits of every script
            raise ConfigurationError(f"{name}: not a number in ASCII digits, {bounds}")
        if not low <= value <= high:
            raise ConfigurationError(f"{name}: {bounds}")
        return value

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number between ``low`` and ``high``, both included; underscores are allowed."""
        text = self.text(name)
        if text is None:
            return default
        bounds = f"must be between {low} and {high}"
        try:
            value = int(text.replace("_", ""))
        except ValueError:
            raise ConfigurationError(f"{name}: not a whole number, {bounds}") from None
        if not text.isascii():
            raise ConfigurationError(f"{name}: not a whole number in ASCII digits, {bounds}")
        if not low <= value <= high:
            raise ConfigurationError(f"{name}: {bounds}")
        return value

    def choice(self, name: str, default: str, *others: str) -> str:
        """One of these words."""
        value = self.text(name) or default
        if value not in (default, *others):
            raise ConfigurationError(f"{name}: must be one of {', '.join((default, *others))}")
        return value


def read_master_key(read: Reader) -> str | None:
    """The master key as it is written, not decoded; ``None``: not set."""
    return read.text(MASTER_KEY)


def read_timeout(read: Reader) -> float | None:
    """Seconds of one attempt of the client; ``None``: not set."""
    return read.number("SOCKUDO_TIMEOUT", 0.0, low=0.01, high=3600) or None


def read_max_event_bytes(read: Reader) -> int | None:
    """Bytes of one event's data as sent; ``None``: not set."""
    return read.integer("SOCKUDO_MAX_EVENT_BYTES", 0, low=1, high=2**30) or None

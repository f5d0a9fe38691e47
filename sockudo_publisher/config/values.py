"""Kinds of values: how a setting's text is parsed, and which values it may have.

Text (a variable, a file) is parsed first, a value of a program is not; both are then checked alike. Every error begins
with the given name and names the expected value. Values are never echoed, as several hold secrets. Imports only the
errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigurationError

__all__ = ["Choice", "Number", "Switch", "Text", "Value", "Whole"]


class Value(Protocol):
    """One kind of value."""

    def parse(self, text: str, name: str) -> Any:
        """The value that a text means. Raises :class:`ConfigurationError` that begins with ``name``."""

    def check(self, value: Any, name: str) -> Any:
        """The value as it is kept. Raises :class:`ConfigurationError` that begins with ``name``."""


class Number(NamedTuple):
    """A number between ``low`` and ``high``, both included."""

    low: float
    high: float

    def parse(self, text: str, name: str) -> float:
        """ASCII digits, as Python writes a float."""
        try:
            value = float(text)
        except ValueError:
            raise ConfigurationError(f"{name}: not a number, {self._bounds}") from None
        if not text.isascii():  # float() and int() read the digits of every script
            raise ConfigurationError(f"{name}: not a number in ASCII digits, {self._bounds}")
        return self.check(value, name)

    def check(self, value: Any, name: str) -> float:
        """An ``int`` is allowed too."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{name}: expected a number, got {type(value).__name__}")
        if not self.low <= value <= self.high:
            raise ConfigurationError(f"{name}: {self._bounds}")
        return float(value)

    @property
    def _bounds(self) -> str:
        return f"must be between {self.low:.12g} and {self.high:.12g}"


class Whole(NamedTuple):
    """A whole number between ``low`` and ``high``, both included."""

    low: int
    high: int

    def parse(self, text: str, name: str) -> int:
        """ASCII digits; underscores are allowed."""
        try:
            value = int(text.replace("_", ""))
        except ValueError:
            raise ConfigurationError(f"{name}: not a whole number, {self._bounds}") from None
        if not text.isascii():
            raise ConfigurationError(f"{name}: not a whole number in ASCII digits, {self._bounds}")
        return self.check(value, name)

    def check(self, value: Any, name: str) -> int:
        """Neither a ``bool`` nor a ``float``."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigurationError(f"{name}: expected a whole number, got {type(value).__name__}")
        if not self.low <= value <= self.high:
            raise ConfigurationError(f"{name}: {self._bounds}")
        return value

    @property
    def _bounds(self) -> str:
        return f"must be between {self.low} and {self.high}"


class Choice(NamedTuple):
    """One of several fixed values. ``renamed``: values of earlier versions and their new names."""

    choices: tuple[str, ...]
    renamed: Mapping[str, str] = MappingProxyType({})

    def parse(self, text: str, name: str) -> str:
        """The value itself."""
        return self.check(text, name)

    def check(self, value: Any, name: str) -> str:
        """Case matters."""
        if isinstance(value, str) and value in self.choices:
            return value
        now = self.renamed.get(value) if isinstance(value, str) else None
        hint = f"{value} is called {now} now; " if now else ""
        raise ConfigurationError(f"{name}: {hint}must be one of {', '.join(self.choices)}")


class Switch(NamedTuple):
    """On or off: ``True`` or ``False``, as text 1, true, yes, on, or 0, false, no, off, in any case of letters."""

    def parse(self, text: str, name: str) -> bool:
        """The text's meaning."""
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise ConfigurationError(f"{name}: expected 1 or 0")

    def check(self, value: Any, name: str) -> bool:
        """Nothing but a ``bool``."""
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name}: expected True or False, got {type(value).__name__}")
        return value


class Text(NamedTuple):
    """Text. ``checked(value, name)`` returns the value to keep, or raises; ``optional``: ``None`` is allowed too."""

    checked: Callable[[str, str], str] | None = None
    optional: bool = False

    def parse(self, text: str, name: str) -> str | None:
        """The text itself."""
        return self.check(text, name)

    def check(self, value: Any, name: str) -> str | None:
        """Empty text is not checked further."""
        if value is None and self.optional:
            return None
        if not isinstance(value, str):
            raise ConfigurationError(f"{name}: expected text, got {type(value).__name__}")
        return self.checked(value, name) if value and self.checked else value

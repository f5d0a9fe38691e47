"""The fields of a request, checked: text by name from a query or a JSON object. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ..errors import ValidationError

__all__ = ["MAX_BODY", "RequestFields"]

#: Bytes of a request's body.
MAX_BODY: Final = 1024 * 1024

#: Ids of one action.
MAX_IDS: Final = 10_000


class RequestFields:
    """Takes fields one by one; :meth:`end` refuses what is left. Every complaint is a :class:`ValidationError`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @classmethod
    def of_json(cls, body: bytes) -> RequestFields:
        """Of the body of a request."""
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise ValidationError("body: not JSON") from None
        if not isinstance(values, dict):
            raise ValidationError(f"body: expected an object, got {type(values).__name__}")
        return cls(values)

    def text(self, name: str) -> str | None:
        """A text; ``None`` if it is not given, or empty."""
        value = self._values.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise ValidationError(f"{name}: expected text, got {type(value).__name__}")
        return value or None

    def flag(self, name: str) -> bool:
        """True or false; false if it is not given."""
        value = self._values.pop(name, False)
        if not isinstance(value, bool):
            raise ValidationError(f"{name}: expected true or false, got {type(value).__name__}")
        return value

    def number(self, name: str) -> float | None:
        """A number, or its text; ``None`` if it is not given, or empty."""
        value = self._values.pop(name, None)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValidationError(f"{name}: expected a number, got {type(value).__name__}")
        try:
            return float(value)
        except (ValueError, OverflowError):
            raise ValidationError(f"{name}: expected a number") from None

    def limit(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to ``most``."""
        value = self.number(name)
        if value is None:
            return default
        if not (value.is_integer() and 1 <= value <= most):
            raise ValidationError(f"{name}: expected a whole number from 1 to {most}")
        return int(value)

    def texts(self, name: str) -> list[str] | None:
        """A list of 1 to 10,000 texts; ``None`` if it is not given."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValidationError(f"{name}: expected a list of texts")
        if not 1 <= len(value) <= MAX_IDS:
            raise ValidationError(f"{name}: {len(value)} ids, expected 1 to {MAX_IDS}")
        return value

    def end(self) -> None:
        """Refuse fields that were not taken: a misspelled filter would mean more letters than intended."""
        if self._values:
            raise ValidationError(f"{min(self._values)[:40]!r}: no such field")

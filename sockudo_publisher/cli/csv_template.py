"""Text with columns in braces, for the channel, event name and collapse key of a row: ``user-{user_id}``. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .ndjson import LineError

__all__ = ["Template", "TemplateError", "listed"]

#: Columns that an error lists.
MAX_LISTED = 20

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A template is malformed, or needs a column that the file does not have: nothing was read."""


class Template:
    """Text with columns: ``user-{user_id}``. ``{{`` and ``}}`` stand for braces. ``option``: for errors."""

    def __init__(self, option: str, text: str) -> None:
        self.option = option
        self.text = text
        self.columns: list[str] = []
        self._parts: list[str] = []  # text, column, text, column, ..., text
        before, at = "", 0
        for found in _PART.finditer(text):
            before += text[at : found.start()]
            at = found.end()
            if found[0] in ("{{", "}}"):
                before += found[0][0]
            elif not found[1]:
                raise TemplateError(
                    f"{option}: {found[0]!r} at character {found.start() + 1}, expected {{column}}; write {{{{ or }}}} "
                    "for a brace"
                )
            else:
                self.columns.append(found[1])
                self._parts += (before, found[1])
                before = ""
        self._parts.append(before + text[at:])

    def check_columns(self, header: Sequence[str]) -> None:
        """Raise :class:`TemplateError` for a column that the file does not have, or has twice."""
        for column in self.columns:
            if column not in header:
                raise TemplateError(f"{self.option}: no column {column[:50]!r} in the file; {listed(header)}")

    def fill(self, number: int, row: dict[str, str]) -> str:
        """The text for one row. Raises :class:`LineError` for an empty cell."""
        text = self._parts[0]
        for column, after in zip(self._parts[1::2], self._parts[2::2], strict=True):
            cell = row[column]
            if not cell:
                raise LineError(number, f"column {column[:50]}: empty, and {self.option} needs it")
            text += cell + after
        return text

    def of_columns(self) -> str:
        """Its columns, for an error."""
        if not self.columns:
            return ""
        names = ", ".join(column[:50] for column in self.columns[:MAX_LISTED])
        return f" (from column{'s' if len(self.columns) > 1 else ''} {names})"


def listed(header: Sequence[str]) -> str:
    """The columns of a file, for an error."""
    names = ", ".join(name[:50] for name in header[:MAX_LISTED])
    rest = f" and {len(header) - MAX_LISTED:,} more" if len(header) > MAX_LISTED else ""
    hint = "; --delimiter ';' ?" if len(header) == 1 and ";" in header[0] else ""
    return f"its columns are {names}{rest}{hint}"

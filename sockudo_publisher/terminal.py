"""Text for people: marks for colours, lines, a status line. For the command line and the demo.

Marks are ``[bold]``, ``[dim]``, a colour, or several (``[bold red]``), up to ``[/]`` or the end; :func:`plain` makes
text without marks. A stream that is no terminal gets neither colours nor status lines.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO

import click

from .redaction import printable

__all__ = ["StatusLine", "Terminal", "plain", "visible"]

#: In place of "[" in text without marks; one character, so that widths stay. Unicode gives it no other meaning.
_BRACKET = "\ufdd0"

_COLOURS = ("red", "green", "yellow", "cyan")
_WORD = "|".join(("bold", "dim", *_COLOURS))
_MARK = re.compile(rf"\[(/|(?:{_WORD})(?: (?:{_WORD}))*)\]")

#: Clears a terminal's line from the cursor on.
_CLEAR = "\r\x1b[K"


def plain(text: str) -> str:
    """``text`` on one line, without control characters and marks: its brackets are shown unchanged."""
    return printable(text).replace("[", _BRACKET)


def visible(text: str) -> str:
    """The text that a reader sees, without its marks."""
    return _MARK.sub("", text).replace(_BRACKET, "[")


def _coloured(text: str) -> str:
    """The text with the marks as a terminal's escape sequences."""
    parts: list[str] = []
    style: dict[str, Any] = {}
    at = 0
    for mark in _MARK.finditer(text):
        parts.append(_styled(text[at : mark.start()], style))
        at = mark.end()
        names = () if mark[1] == "/" else tuple(mark[1].split())
        style = {"fg" if name in _COLOURS else name: name if name in _COLOURS else True for name in names}
    parts.append(_styled(text[at:], style))
    return "".join(parts).replace(_BRACKET, "[")


def _styled(text: str, style: dict[str, Any]) -> str:
    return click.style(text, **style) if text and style else text


class StatusLine:
    """A line at the end of a terminal's text, which the next text replaces. Nothing where ``terminal`` is ``None``."""

    def __init__(self, terminal: Terminal | None) -> None:
        self._terminal = terminal
        self.text = ""

    def update(self, text: str) -> None:
        """Show this text; its marks have no effect."""
        self.text = visible(text)
        if self._terminal is not None:
            self._terminal.show_status()


class Terminal:
    """One of the standard streams. ``is_quiet``: writes nothing."""

    def __init__(self, *, is_stderr: bool = False, is_quiet: bool = False) -> None:
        self.is_stderr = is_stderr
        self.is_quiet = is_quiet
        self._file: TextIO | None = None
        self._status: StatusLine | None = None

    @property
    def file(self) -> TextIO:
        """The stream, as ``sys`` has it now."""
        return self._file or (sys.stderr if self.is_stderr else sys.stdout)

    @file.setter
    def file(self, file: TextIO) -> None:
        self._file = file

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads the stream."""
        return self.file.isatty()

    def print(self, text: str = "", *, end: str = "\n") -> None:
        """Write a line, with marks."""
        if self.is_quiet:
            return
        shown = _coloured(text) if self._has_colours() else visible(text)
        if self._status is None:
            self._write(shown + end)
        else:
            self._write(_CLEAR + shown + end + self._status.text)

    def status(self, text: str) -> AbstractContextManager[StatusLine]:
        """Show a status line meanwhile; nothing where the stream is no terminal."""
        if self.is_quiet or not self.is_terminal:
            return nullcontext(StatusLine(None))
        return self._line(text)

    def show_status(self) -> None:
        """Write the status line again."""
        if self._status is not None:
            self._write(_CLEAR + self._status.text)

    def _has_colours(self) -> bool:
        return self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @contextmanager
    def _line(self, text: str) -> Iterator[StatusLine]:
        self._status = StatusLine(self)
        self._status.update(text)
        try:
            yield self._status
        finally:
            self._status = None
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        click.echo(text, file=self.file, nl=False, color=True)

"""Writes the output of a command: text with colours, or JSON (``--json``: one object per line on stdout).

Results go to stdout, progress and errors to stderr. With ``--json`` an error is an object too:
``{"ok": false, "error": {"type": ..., "message": ...}, "exit_code": ...}``. Error texts contain no payload and no
secret (``errors.py``). Names come from others: :func:`plain` and :func:`printable_json` take out what a terminal or
rich would obey.
"""

from __future__ import annotations

import codecs
import functools
import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..errors import SockudoError
from ..redaction import printable_json
from ..redaction.frame_locals import without_locals
from ..terminal import Terminal, plain
from .exits import ExitCode, exit_code

__all__ = ["Output", "plain"]

Command = TypeVar("Command", bound=Callable[..., None])


#: Replacements for a terminal that lacks these characters. Any other character is replaced by its escape.
_IN_ASCII = {"±": "+/-", "…": "...", "\u2013": "-", "\u2014": "-", "→": "->", "≥": ">=", "≤": "<=", "─": "-", "✓": "+"}
_REPLACE = "sockudo-publisher-replace"


def _replace_lacking(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: replaces characters that the encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    shown = [_IN_ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking]
    return "".join(shown), error.end


codecs.register_error(_REPLACE, _replace_lacking)


class Output:
    """The output of one command. Characters that a stream's encoding lacks are replaced, and raise no error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=_REPLACE)
        self.console = Terminal(is_quiet=as_json)
        self.errors = Terminal(is_stderr=True)

    def print_json(self, **values: Any) -> None:
        """Write one JSON object under ``--json``, else nothing."""
        if self.as_json:
            has_all = (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")
            # click.echo flushes: the reader of a pipe gets the line now.
            click.echo(printable_json(json.dumps(values, ensure_ascii=not has_all, separators=(",", ":"))))

    def print(self, text: str = "") -> None:
        """Write lines, with marks for colours; nothing under ``--json``."""
        self.console.print(text)

    def print_error(self, kind: str, message: str, code: ExitCode, **more: Any) -> None:
        """Write an error: an object under ``--json``, else a line on stderr."""
        if self.as_json:
            self.print_json(ok=False, error={"type": kind, "message": message, **more}, exit_code=int(code))
        else:
            self.errors.print(f"[bold red]Error[/]: {plain(message)}")

    @classmethod
    def command(cls, run: Callable[..., None]) -> Callable[..., None]:
        """Decorator of a command: adds ``--json``, passes an :class:`Output`, exits with the code of an error."""

        @click.option("--json", "as_json", is_flag=True, help="Write JSON, one object per line.")
        @without_locals
        @functools.wraps(run)
        def wrapped(*args: Any, as_json: bool, **options: Any) -> None:
            out = cls(as_json)
            try:
                run(out, *args, **options)
            except click.ClickException as error:
                if not as_json:
                    raise
                code = ExitCode(error.exit_code)
                out.print_error(type(error).__name__, error.format_message(), code)
                sys.exit(code)
            except KeyboardInterrupt:
                if not as_json:
                    raise  # click prints "Aborted!" and exits with 1 too
                out.print_error("Interrupted", "interrupted", ExitCode.FAILED)
                sys.exit(ExitCode.FAILED)
            except Exception as error:
                code = exit_code(error)
                if not isinstance(error, SockudoError) and code is ExitCode.FAILED:
                    raise  # a bug: the traceback helps more than one line
                out.print_error(type(error).__name__, str(error), code)
                sys.exit(code)

        return wrapped

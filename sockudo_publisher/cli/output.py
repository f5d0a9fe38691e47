"""Speaking to people (rich, colours) or to programs (``--json``: one JSON object a line on stdout).

Results go to stdout, progress and complaints to stderr. With ``--json`` a failure is an object too:
``{"ok": false, "error": {"type": ..., "message": ...}, "exit_code": ...}``. What an error says holds no
payload and no secret (``errors.py``), so it may be shown as it is.
"""

from __future__ import annotations

import codecs
import functools
import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape

from ..errors import SockudoError
from .exits import ExitCode, exit_code

__all__ = ["Output", "plain"]

Command = TypeVar("Command", bound=Callable[..., None])


#: What a terminal without these characters is shown; any other is shown as its escape.
_IN_ASCII = {"±": "+/-", "…": "...", "\u2013": "-", "\u2014": "-", "→": "->", "≥": ">=", "≤": "<="}
_IN_WORDS = "sockudo-publisher-in-words"


def _in_words(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: what the encoding does not have, in characters that it has."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    shown = [_IN_ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking]
    return "".join(shown), error.end


codecs.register_error(_IN_WORDS, _in_words)


class Output:
    """Where one command writes. No text that a stream's encoding does not have ends a command."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=_IN_WORDS)
        self.console = Console(quiet=as_json, highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def emit(self, **values: Any) -> None:
        """One JSON object for programs. Nothing for people."""
        if self.as_json:
            has_all = (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")
            # click.echo flushes: a reader at the other end of a pipe sees it now.
            click.echo(json.dumps(values, ensure_ascii=not has_all, separators=(",", ":")))

    def say(self, *parts: Any) -> None:
        """A line, a table or a panel for people. Nothing for programs."""
        self.console.print(*parts)

    def complain(self, kind: str, message: str, code: ExitCode, **more: Any) -> None:
        """Say what went wrong, in either language."""
        if self.as_json:
            self.emit(ok=False, error={"type": kind, "message": message, **more}, exit_code=int(code))
        else:
            self.errors.print("[bold red]Error[/]:", end=" ")
            self.errors.print(message, markup=False)

    @classmethod
    def command(cls, run: Callable[..., None]) -> Callable[..., None]:
        """Decorate a command: adds ``--json``, passes an :class:`Output` first, ends with the error's code."""

        @click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")
        @functools.wraps(run)
        def wrapped(*args: Any, as_json: bool, **options: Any) -> None:
            out = cls(as_json)
            try:
                run(out, *args, **options)
            except click.ClickException as error:
                if not as_json:
                    raise
                code = ExitCode(error.exit_code)
                out.complain(type(error).__name__, error.format_message(), code)
                sys.exit(code)
            except KeyboardInterrupt:
                if not as_json:
                    raise  # click says "Aborted!", and ends with 1 too
                out.complain("Interrupted", "interrupted", ExitCode.FAILED)
                sys.exit(ExitCode.FAILED)
            except Exception as error:
                code = exit_code(error)
                if not isinstance(error, SockudoError) and code is ExitCode.FAILED:
                    raise  # a bug of ours: its traceback is worth more than a pretty line
                out.complain(type(error).__name__, str(error), code)
                sys.exit(code)

        return wrapped


def plain(text: str) -> str:
    """``text`` as rich shall show it: its own brackets are no markup."""
    return escape(text)

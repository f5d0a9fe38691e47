"""``sockudo-publisher publish-file``: queue the events of a file of any size; safe to run again."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from ..errors import BulkError, IdempotencyConflict, ValidationError
from .exits import ExitCode, exit_code
from .extras import is_rich_installed
from .ndjson import MAX_LINE_BYTES, KeyField, LineError, LineKeys, ParsedLine, parse_line
from .output import Output

if TYPE_CHECKING:
    from ..client.wire.event import Event

__all__ = ["Lines", "command", "keys_for"]

#: Skipped blank lines that are kept, to find an event's line by its index. The latest are enough: ``publish_many``
#: reports only events that it has not flushed yet.
MAX_GAPS = 100_000


@click.command("publish-file")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--app", help="The app's name in SOCKUDO_APPS. Default: the app of SOCKUDO_URL.")
@click.option("--again", is_flag=True, help="Publish every event again, also those that an earlier run has stored.")
@click.option("--key-field", metavar="NAME", help="Read each event's key from this field: key, data.id, ...")
@click.option("--run-id", metavar="ID", help="Make the keys from this ID and the lines, not from the file.")
@Output.command
def command(out: Output, *, file: str, app: str | None, again: bool, key_field: str | None, run_id: str | None) -> None:
    r"""Queue the events in FILE, one JSON object per line. "-" reads standard input.

    \b
    {"channel": "orders", "name": "shipped", "data": {"id": 789}}

    Optional fields: socket_id, tags, extras and key. Blank lines are skipped.

    After an interruption run the command again. Each line has a key, made from the file's path, size and
    modification time, the line's number and its content; an event whose key is stored is not stored again (for
    SOCKUDO_KEY_TTL seconds). Standard input has no path: it needs --key-field, --run-id or --again.

    A line that cannot be published ends the run with exit code 1 and the line's number. The lines before it are
    stored; that line and those after it are not. Ctrl-C also ends the run with exit code 1; the lines that were
    read are stored.
    """
    if sum((again, key_field is not None, run_id is not None)) > 1:
        raise click.UsageError("--again, --key-field and --run-id: give only one of them")
    for option, value in (("--key-field", key_field), ("--run-id", run_id)):
        if value == "":
            # Most likely an unset variable: with the same ID a second run would store nothing.
            raise click.UsageError(f"{option}: empty")
    if file == "-" and not again and key_field is None and run_id is None:
        raise click.UsageError(
            "standard input: needs --key-field NAME or --run-id ID, or --again if a second run may repeat it"
        )
    from ..publishing.bulk import publish_many

    with _open(file) as stream:
        size = None if file == "-" else os.fstat(stream.fileno()).st_size
        lines = Lines(stream, keys_for(file, stream, again=again, key_field=key_field, run_id=run_id))
        started = time.monotonic()
        with _progress(out, size, lines) as progress, lines.ended_by_interrupt():
            options: dict[str, Any] = {} if app is None else {"app": app}
            try:
                receipt = publish_many(lines.events(), progress=progress, **options)
            except (ValidationError, IdempotencyConflict) as error:
                if error.index is None:
                    raise
                reason = LineError(lines.line_of(error.index), str(error))
                _stop(out, error, reason, ExitCode.FAILED, stored=error.stored)
            except BulkError as error:
                reason = LineError(lines.line_of(error.index), str(error.cause))
                _stop(out, error, reason, exit_code(error), stored=error.stored)
        seconds = time.monotonic() - started
    if lines.bad is not None:
        _stop(
            out,
            lines.bad,
            lines.bad,
            ExitCode.FAILED,
            stored=receipt.count,
            already_stored=receipt.already_stored,
        )
    if lines.cut_short:
        out.print_error(
            "Interrupted",
            f"interrupted: {receipt.count:,} events are stored, up to line {lines.number:,}"
            + ("" if again else "; run the same command again to go on"),
            ExitCode.FAILED,
            line=lines.number,
            stored=receipt.count,
            already_stored=receipt.already_stored,
        )
        raise SystemExit(ExitCode.FAILED)
    known = f", {receipt.already_stored:,} of them by an earlier run" if receipt.already_stored else ""
    rate = receipt.count / max(seconds, 1e-9)
    out.print(f"[green]Stored[/] {receipt.count:,} events{known} ({seconds:.1f} s, {rate:,.0f}/s)")
    out.print_json(
        ok=True,
        count=receipt.count,
        already_stored=receipt.already_stored,
        lines=lines.number,
        seconds=round(seconds, 3),
    )


def keys_for(
    file: str, stream: IO[bytes], *, again: bool, key_field: str | None, run_id: str | None
) -> LineKeys | KeyField:
    """The source of the lines' keys, which make a second run safe (docs/cli.md)."""
    if key_field is not None:
        return KeyField(key_field)
    if run_id is not None:
        return LineKeys("run", run_id)
    if again:
        return LineKeys("again", secrets.token_hex(16))
    found = os.fstat(stream.fileno())
    return LineKeys("file", os.path.abspath(file), str(found.st_size), str(found.st_mtime_ns))


@dataclass
class Lines:
    """The events of a stream, one at a time. Stops at the first line that is no event, and keeps its error as ``bad``.

    It stops rather than raises, so that ``publish_many`` stores every event before that line. An interrupt (Ctrl-C)
    stops it too: at the next line, or at once if it waits for one. A second interrupt raises ``KeyboardInterrupt``.
    """

    stream: IO[bytes]
    keys: LineKeys | KeyField
    number: int = 0
    bytes_read: int = 0
    bad: LineError | None = None
    interrupted: bool = False
    #: Whether an interrupt ended the lines before the last one was read.
    cut_short: bool = False
    _reads: bool = False

    def __post_init__(self) -> None:
        # Line minus index changes at each blank line: the first index of each stretch, and the difference there.
        self._stretches: list[int] = [0]
        self._distances: list[int] = [1]

    def events(self) -> Iterator[Event]:
        """The events, for ``publish_many``."""
        from ..client.wire.event import Event

        index = 0
        while raw := self._line():
            self.number += 1
            self.bytes_read += len(raw)
            try:
                line = parse_line(self.number, raw)
                if line is None:
                    continue
                key = self._key(raw, line)
            except LineError as error:
                self.bad = error
                return
            self._remember(index)
            index += 1
            yield Event(line.channel, line.name, line.data, key=key, **line.options)

    @contextmanager
    def ended_by_interrupt(self) -> Iterator[None]:
        """Let SIGINT end the lines, not the storing, after which the number of stored events would be unknown."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(*_: object) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            if self._reads:
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _line(self) -> bytes:
        """The next line, or none after an interrupt. Catches the handler's error at any point."""
        try:
            self._reads = True
            self.cut_short = self.interrupted
            line = b"" if self.cut_short else self.stream.readline(MAX_LINE_BYTES + 1)
            self._reads = False
        except KeyboardInterrupt:
            self._reads = False
            self.cut_short = True
            line = b""
        return line

    def line_of(self, index: int) -> int:
        """The line of the event that was yielded as number ``index`` (from 0)."""
        return index + self._distances[max(0, bisect_right(self._stretches, index) - 1)]

    def _key(self, raw: bytes, line: ParsedLine) -> str:
        return line.key if line.key is not None else self.keys.key(self.number, raw, line)

    def _remember(self, index: int) -> None:
        distance = self.number - index
        if distance != self._distances[-1]:
            self._stretches.append(index)
            self._distances.append(distance)
            if len(self._stretches) > MAX_GAPS:
                del self._stretches[: MAX_GAPS // 2], self._distances[: MAX_GAPS // 2]


def _stop(
    out: Output, error: Exception, where: LineError, code: ExitCode, *, stored: int, already_stored: int = 0
) -> None:
    """Write the error with its line and the number of stored events, and exit."""
    out.print_error(
        type(error).__name__,
        f"{where}. {stored:,} events before it are stored"
        + ("; run the same command again to go on" if code is ExitCode.UNREACHABLE else ""),
        code,
        line=where.number,
        stored=stored,
        already_stored=already_stored,
    )
    raise SystemExit(code)


def _open(file: str) -> AbstractContextManager[IO[bytes]]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    return open(file, "rb", buffering=1 << 20)


def _progress(out: Output, size: int | None, lines: Lines) -> AbstractContextManager[Callable[[int], None] | None]:
    """Progress on stderr, if it is a terminal: a bar with rich, else a line."""
    if out.as_json or not out.errors.is_terminal:
        return nullcontext(None)
    return _Bar(out, size, lines) if is_rich_installed() else _line(out, size, lines)


@contextmanager
def _line(out: Output, size: int | None, lines: Lines) -> Iterator[Callable[[int], None]]:
    """A line: share of the bytes read, events stored, rate."""
    started = time.monotonic()

    def show(stored: int) -> None:
        rate = stored / max(time.monotonic() - started, 0.001)
        share = f"{lines.bytes_read / size:.0%}, " if size else ""
        status.update(f"{share}{stored:,} stored, {rate:,.0f}/s")

    with out.errors.status("0 stored") as status:
        yield show


class _Bar:
    """A progress bar: bytes read, events stored, rate, time left."""

    def __init__(self, out: Output, size: int | None, lines: Lines) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._lines = lines
        self._started = time.monotonic()
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[stored]} stored, {task.fields[rate]}/s"),
            TimeRemainingColumn(),
            console=Console(file=out.errors.file, highlight=False),
            transient=True,
        )
        self._task = self._progress.add_task("", total=size, stored="0", rate="0")

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, stored: int) -> None:
        rate = stored / max(time.monotonic() - self._started, 0.001)
        self._progress.update(self._task, completed=self._lines.bytes_read, stored=f"{stored:,}", rate=f"{rate:,.0f}")

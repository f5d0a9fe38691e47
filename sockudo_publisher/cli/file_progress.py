"""The progress of ``publish-file`` on stderr, if it is a terminal: a bar with rich, else a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from .extras import is_rich_installed
from .output import Output

if TYPE_CHECKING:
    from .file_events import FileEvents
    from .file_source import Source

__all__ = ["seconds_left", "show_progress"]


def show_progress(
    out: Output, source: Source, events: FileEvents
) -> AbstractContextManager[Callable[[int], None] | None]:
    """Show what is done: share of the file, events stored, rate, time left. Yields ``progress`` for a bulk job."""
    if out.as_json or not out.errors.is_terminal:
        return nullcontext(None)
    return _Bar(out, source, events) if is_rich_installed() else _line(out, source, events)


def seconds_left(done: int, size: int, seconds: float) -> float | None:
    """The time that the rest takes at the speed so far; ``None`` if nothing is done."""
    return (size - done) * seconds / done if done > 0 else None


@contextmanager
def _line(out: Output, source: Source, events: FileEvents) -> Iterator[Callable[[int], None]]:
    started = time.monotonic()
    first = source.consumed() if source.size else 0

    def show(stored: int) -> None:
        seconds = max(time.monotonic() - started, 0.001)
        share = left = ""
        if source.size:
            done = source.consumed()
            share = f"{done / source.size:.0%}, "
            rest = seconds_left(done - first, source.size - first, seconds)
            left = "" if rest is None else f", {_clock(rest)} left"
        status.update(f"{share}{events.skipped + stored:,} stored, {stored / seconds:,.0f}/s{left}")

    with out.errors.status("0 stored") as status:
        yield show


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Bar:
    """A progress bar: bytes read, percent, events stored, rate, time left."""

    def __init__(self, out: Output, source: Source, events: FileEvents) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._source = source
        self._events = events
        self._started = time.monotonic()
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[stored]} stored, {task.fields[rate]}/s"),
            TimeRemainingColumn(),
            console=Console(file=out.errors.file, highlight=False),
            transient=True,
        )
        self._task = self._progress.add_task("", total=source.size, stored="0", rate="0")

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, stored: int) -> None:
        rate = stored / max(time.monotonic() - self._started, 0.001)
        done = self._events.offset if self._source.size is None else self._source.consumed()
        self._progress.update(
            self._task, completed=done, stored=f"{self._events.skipped + stored:,}", rate=f"{rate:,.0f}"
        )

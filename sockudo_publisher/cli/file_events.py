"""The events of a file, one at a time, for ``publish_many``: where they stop, and which line an event came from."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol

from .file_source import Interrupt, StreamDamaged
from .ndjson import MAX_LINE_BYTES, KeyField, LineError, LineKeys, ParsedLine, parse_line

if TYPE_CHECKING:
    from ..client.wire.event import Event

__all__ = ["FileEvents", "JsonLines", "Records", "keys_for"]

#: Skipped blank lines that are kept, to find an event's line by its index. The latest are enough: ``publish_many``
#: reports only events that it has not flushed yet.
MAX_GAPS = 100_000

#: Different channels that are counted; the number of a file's channels has no limit.
MAX_CHANNELS = 100_000


class Records(Protocol):
    """A file's records: lines of JSON or rows of CSV."""

    #: The last line that was read, the bytes up to its end, and the record's bytes.
    number: int
    offset: int
    raw: bytes

    @property
    def has_exact_offset(self) -> bool:
        """Whether a run may continue at ``offset``."""

    def next_event(self) -> ParsedLine | None:
        """The next event; ``None`` at the end or after an interrupt. Raises :class:`LineError`."""

    def go_to(self, offset: int, number: int) -> None:
        """Continue behind line ``number``, which ends at ``offset``."""


class JsonLines:
    """Lines of JSON (:mod:`.ndjson`)."""

    has_exact_offset = True

    def __init__(self, stream: IO[bytes], interrupt: Interrupt) -> None:
        self.number = 0
        self.offset = 0
        self.raw = b""
        self._stream = stream
        self._interrupt = interrupt

    def go_to(self, offset: int, number: int) -> None:
        """Continue behind line ``number``, which ends at ``offset``."""
        self._stream.seek(offset)
        self.offset, self.number = offset, number

    def next_event(self) -> ParsedLine | None:
        """The next event; ``None`` at the end or after an interrupt. Raises :class:`LineError`."""
        while True:
            try:
                raw = self._interrupt.read_line(self._stream.readline, MAX_LINE_BYTES + 1)
            except StreamDamaged as error:
                raise LineError(self.number + 1, str(error)) from None
            if not raw:
                return None
            self.number += 1
            self.offset += len(raw)
            line = parse_line(self.number, raw)
            if line is not None:
                self.raw = raw
                return line


def keys_for(
    file: str,
    stream: IO[bytes],
    *,
    again: bool,
    key_field: str | None,
    run_id: str | None,
    form: tuple[str, ...] = (),
) -> LineKeys | KeyField:
    """The source of the lines' keys, which make a second run safe (docs/cli.md).

    ``form``: what makes other events of the same lines.
    """
    if key_field is not None:
        return KeyField(key_field)
    if run_id is not None:
        return LineKeys("run", run_id, *form)
    if again:
        return LineKeys("again", secrets.token_hex(16))
    found = os.fstat(stream.fileno())
    return LineKeys("file", os.path.abspath(file), str(found.st_size), str(found.st_mtime_ns), *form)


class FileEvents:
    """The events of a file. Stops at the first line that is no event, and keeps its error as ``bad``.

    It stops rather than raises, so that ``publish_many`` stores every event before that line. An interrupt (Ctrl-C)
    stops it too.

    ``count``: the events so far, with those before the place where it began. ``line`` and ``offset``: the last event's
    last line, and the bytes up to its end.
    """

    def __init__(self, records: Records, keys: LineKeys | KeyField, interrupt: Interrupt | None = None) -> None:
        self.bad: LineError | None = None
        self.count = 0
        self.line = 0
        self.offset = 0
        self.skipped = 0
        self._records = records
        self._keys = keys
        self._interrupt = interrupt or Interrupt()
        self._channels: set[int] = set()
        # Line minus index changes at each blank line: the first index of each stretch, and the difference there.
        self._stretches: list[int] = [0]
        self._distances: list[int] = [1]

    @property
    def lines(self) -> int:
        """The lines that were read, with those before the place where it began."""
        return self._records.number

    @property
    def is_cut_short(self) -> bool:
        """Whether an interrupt ended the lines before the last one was read."""
        return self._interrupt.has_ended_reading

    @property
    def has_exact_offset(self) -> bool:
        """Whether a run may continue at :attr:`offset`."""
        return self._records.has_exact_offset

    @property
    def channels(self) -> int | None:
        """The number of channels of the events that were read; ``None`` for more than are counted."""
        return None if len(self._channels) > MAX_CHANNELS else len(self._channels)

    def skip(self, *, offset: int, line: int, count: int) -> None:
        """Begin behind the first ``count`` events, which end with ``line`` at ``offset``. Raises ``StreamDamaged``."""
        self._records.go_to(offset, line)
        self.offset, self.line, self.count, self.skipped = offset, line, count, count
        self._distances = [line + 1]

    def __iter__(self) -> Iterator[Event]:
        """The events, for ``publish_many``."""
        from ..client.wire.event import Event

        index = 0
        while True:
            try:
                parsed = self._records.next_event()
                if parsed is None:
                    return
                number = self._records.number
                key = parsed.key if parsed.key is not None else self._keys.key(number, self._records.raw, parsed)
            except LineError as error:
                self.bad = error
                return
            self._remember(index, number)
            index += 1
            self.line, self.offset = number, self._records.offset
            self.count += 1
            if len(self._channels) <= MAX_CHANNELS:
                self._channels.add(hash((parsed.channel, parsed.options.get("user_id"))))
            yield Event(parsed.channel, parsed.name, parsed.data, key=key, **parsed.options)

    @contextmanager
    def ended_by_interrupt(self) -> Iterator[None]:
        """Let SIGINT end the lines, not the storing, after which the number of stored events would be unknown."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._interrupt.handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def line_of(self, index: int) -> int:
        """The line of the event that was yielded as number ``index`` (from 0)."""
        return index + self._distances[max(0, bisect_right(self._stretches, index) - 1)]

    def _remember(self, index: int, number: int) -> None:
        distance = number - index
        if distance != self._distances[-1]:
            self._stretches.append(index)
            self._distances.append(distance)
            if len(self._stretches) > MAX_GAPS:
                del self._stretches[: MAX_GAPS // 2], self._distances[: MAX_GAPS // 2]

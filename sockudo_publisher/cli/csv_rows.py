"""Reads rows of a CSV file as events: channel, event name and collapse key are made from columns, the data is the row.

The first row names the columns. Blank rows are skipped. Lines end with LF, CR LF or CR. Errors name the line and the
column, never their content. What is held in memory is one row, of at most ``MAX_LINE_BYTES``.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from ..client.wire.limits import check_channel, check_event_name, check_id
from ..errors import ValidationError
from .csv_template import Template, TemplateError, listed
from .file_source import Interrupt, StreamDamaged, peek_at
from .ndjson import MAX_LINE_BYTES, LineError, ParsedLine

__all__ = ["MAX_COLUMNS", "CsvFormat", "CsvRows", "check_encoding"]

#: Columns of a file: as many as Excel and LibreOffice have.
MAX_COLUMNS = 16_384

#: In place of a NUL, which the csv module of Python 3.10 refuses without its column.
_NUL = "\udc00"


@dataclass(frozen=True)
class CsvFormat:
    """How a file is read: the templates, the delimiter, the encoding, and the column that has the keys.

    ``collapse``: the template of the collapse keys; it makes no other events, so it is not part of their identity.
    """

    channel: Template
    event: Template
    delimiter: str = ","
    encoding: str = "utf-8"
    key_column: str | None = None
    collapse: Template | None = None

    def identity(self) -> tuple[str, ...]:
        """What makes other events of the same bytes."""
        return ("csv", self.channel.text, self.event.text, self.delimiter, self.encoding)


class CsvRows:
    """The rows of a stream as events, one at a time: :meth:`read_header`, then :meth:`next_event` until ``None``.

    ``number``: the last line that was read. ``offset``: the bytes up to its end, exact for encodings in which a
    character's bytes do not depend on those before it (``has_exact_offset``).
    """

    def __init__(self, stream: IO[bytes], format: CsvFormat, interrupt: Interrupt) -> None:
        self.number = 0
        self.offset = 0
        self.raw = b""
        self._stream = stream
        self._format = format
        self._interrupt = interrupt
        self._header: list[str] = []
        self._encoding = _encoding_of(format.encoding, peek_at(stream)[:1])
        self._fault: LineError | None = None
        self._bytes: list[bytes] = []
        self._size = 0
        self._first = 1  # the row's first line
        self._start_reading()

    def _start_reading(self) -> None:
        csv.field_size_limit(MAX_LINE_BYTES)
        # Bytes that are no text become surrogates, so that the error can name the column.
        self._text = io.TextIOWrapper(self._stream, self._encoding, errors="surrogateescape", newline="")
        self._rows = csv.reader(self._lines(), delimiter=self._format.delimiter, strict=True)

    @property
    def has_exact_offset(self) -> bool:
        """Whether a run may continue at :attr:`offset`."""
        name = codecs.lookup(self._encoding).name
        return name in ("utf-8", "utf-16-le", "utf-16-be", "ascii") or name.startswith(("iso8859", "cp125"))

    def read_header(self) -> None:
        """Read the names of the columns.

        Raises :class:`LineError`, and :class:`TemplateError` for a template that needs another column.
        """
        header = self._next_row()
        if header is None:
            if self._interrupt.has_ended_reading:
                return
            raise LineError(1, "no header: the first row names the columns")
        if len(header) > MAX_COLUMNS:
            raise LineError(self.number, f"header: {len(header):,} columns, limit {MAX_COLUMNS:,}")
        seen: set[str] = set()
        for place, name in enumerate(header, 1):
            if not name.strip():
                raise LineError(self.number, f"header: column {place} has no name")
            if name in seen:
                raise LineError(self.number, f"header: column {name[:50]!r} is there twice")
            seen.add(name)
        self._header = header
        self._format.channel.check_columns(header)
        self._format.event.check_columns(header)
        if self._format.collapse is not None:
            self._format.collapse.check_columns(header)
        key = self._format.key_column
        if key is not None and key not in seen:
            raise TemplateError(f"--key-field: no column {key[:50]!r} in the file; {listed(header)}")

    def go_to(self, offset: int, number: int) -> None:
        """Continue behind line ``number``, which ends at ``offset``; after :meth:`read_header`."""
        self._text.detach()
        self._stream.seek(offset)
        self.offset, self.number = offset, number
        self._start_reading()

    def next_event(self) -> ParsedLine | None:
        """The next event; ``None`` at the end. ``raw`` has the row's bytes. Raises :class:`LineError`."""
        row = self._next_row()
        if row is None:
            return None
        first = self._first
        if len(row) != len(self._header):
            raise LineError(first, _wrong_length(len(row), self._header))
        cells = dict(zip(self._header, row, strict=True))
        channel = self._format.channel.fill(first, cells)
        name = self._format.event.fill(first, cells)
        checks: list[tuple[Template, Callable[[str], object], str]] = [
            (self._format.channel, check_channel, channel),
            (self._format.event, check_event_name, name),
        ]
        options: dict[str, Any] = {}
        if self._format.collapse is not None:
            options["collapse"] = self._format.collapse.fill(first, cells)
            checks.append((self._format.collapse, _check_collapse, options["collapse"]))
        for template, check, text in checks:
            try:
                check(text)
            except ValidationError as error:
                reason = f"{template.option}{template.of_columns()}: {error}"
            else:
                continue
            raise LineError(first, reason)
        key = self._format.key_column
        if key is not None and not cells[key]:
            raise LineError(first, f"column {key[:50]}: empty, and --key-field needs it")
        return ParsedLine(channel, name, cells, options, None if key is None else cells[key], cells)

    def _next_row(self) -> list[str] | None:
        """The next row with a cell; ``None`` at the end or after an interrupt."""
        while True:
            self._first = self.number + 1
            self._bytes, self._size, self._fault = [], 0, None
            fault = ""
            try:
                row = next(self._rows, None)
            except csv.Error as error:
                if self._interrupt.has_ended_reading:
                    return None
                fault = str(error)
            if fault:
                raise LineError(self._first, _not_csv(fault))
            if row is None or self._interrupt.has_ended_reading:
                return None
            if self._fault is not None:
                raise self._located(self._fault, row)
            if row:
                self.raw = b"".join(self._bytes)
                return row

    def _lines(self) -> Iterator[str]:
        """The lines for the csv module, which takes as many as a row has."""
        while True:
            try:
                line = self._interrupt.read_line(self._text.readline, MAX_LINE_BYTES + 1)
            except UnicodeDecodeError:
                line = None
            except StreamDamaged as error:
                raise LineError(self.number + 1, str(error)) from None
            else:
                if not line:
                    return
            if line is None:
                raise LineError(self.number + 1, self._not_text())
            self.number += 1
            try:
                encoded = line.encode(self._encoding)
            except UnicodeEncodeError:
                encoded = line.encode(self._encoding, "surrogateescape")
                self._fault = self._fault or LineError(self.number, self._not_text())
            self._size += len(encoded)
            if self._size > MAX_LINE_BYTES:
                reason = f'a row of more than {MAX_LINE_BYTES} bytes; is a quote (") missing at the end of a cell?'
                raise LineError(self._first, reason)
            self._bytes.append(encoded)
            self.offset += len(encoded)
            if self.number == 1:
                line = line.removeprefix("\ufeff")
            if "\0" in line:
                self._fault = self._fault or LineError(self.number, "a NUL character")
                line = line.replace("\0", _NUL)
            yield line

    def _located(self, fault: LineError, row: list[str]) -> LineError:
        """The fault with its column."""
        for place, cell in enumerate(row):
            if any("\ud800" <= character <= "\udfff" for character in cell):
                column = self._header[place][:50] if place < len(self._header) else str(place + 1)
                return LineError(fault.number, f"column {column}: {fault.reason}")
        return fault

    def _not_text(self) -> str:
        return f"not {self._encoding.upper()}; --encoding names another encoding"


def _check_collapse(text: str) -> str:
    return check_id(text, field="collapse")


def check_encoding(name: str) -> str:
    """The encoding's usual name. Raises :class:`TemplateError` if Python has no such encoding of text."""
    try:
        found = codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        raise TemplateError(f"--encoding: {name[:50]!r} is no encoding of text; usual are utf-8 and cp1252") from None
    return found.name


def _encoding_of(name: str, first: bytes) -> str:
    """The encoding, without the byte order mark's part: ``utf-16`` is one of two."""
    name = codecs.lookup(name).name
    if name in ("utf-8", "utf-8-sig", "utf-16"):
        # No UTF-8 begins with these bytes: it is UTF-16, as Excel writes "Unicode text".
        if first == b"\xff":
            return "utf-16-le"
        if first == b"\xfe":
            return "utf-16-be"
        return "utf-16-le" if name == "utf-16" else "utf-8"
    return name


def _not_csv(fault: str) -> str:
    """The csv module's text, which has no content of the file."""
    if "unexpected end of data" in fault:
        return 'a cell begins with a quote (") and has no end'
    if "field limit" in fault:
        return f"a cell of more than {MAX_LINE_BYTES} characters"
    return f"not CSV: {fault}"


def _wrong_length(cells: int, header: list[str]) -> str:
    columns = len(header)
    told = f"{cells:,} cell{'' if cells == 1 else 's'}, the header has {columns:,} column{'' if columns == 1 else 's'}"
    return told + (f"; the first without a cell is {header[cells][:50]}" if cells < columns else "")

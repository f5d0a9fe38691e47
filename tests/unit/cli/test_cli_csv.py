"""Rows of a CSV as events: templates, quoting, encodings; faults name line and column, never the content."""

from __future__ import annotations

import gzip
import io
import random
import tracemalloc

import pytest

from sockudo_publisher.cli.csv_rows import CsvFormat, CsvRows
from sockudo_publisher.cli.csv_template import Template, TemplateError
from sockudo_publisher.cli.file_events import FileEvents
from sockudo_publisher.cli.file_source import Interrupt, Source
from sockudo_publisher.cli.ndjson import MAX_LINE_BYTES, LineError, LineKeys

pytestmark = pytest.mark.unit


def events_of(
    text: bytes,
    channel: str = "user-{user_id}",
    event: str = "score",
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    key_column: str | None = None,
) -> FileEvents:
    form = CsvFormat(Template("--channel", channel), Template("--event", event), delimiter, encoding, key_column)
    interrupt = Interrupt()
    source = Source(io.BufferedReader(io.BytesIO(text)), len(text))
    rows = CsvRows(source.stream, form, interrupt)
    rows.read_header()
    return FileEvents(rows, LineKeys("test"), interrupt)


def fault_of(text: bytes, **options) -> str:
    """The error that ends the file; it never has the word of the content."""
    events = events_of(text, **options)
    list(events)
    assert events.bad is not None
    assert "secret" not in str(events.bad)
    return str(events.bad)


def test_a_row_is_an_event():
    """Its data is all its cells, as text."""
    [event] = events_of(b"user_id,points\n5,0010\n")
    assert (event.channel, event.name, event.data) == ("user-5", "score", {"user_id": "5", "points": "0010"})


def test_templates_have_several_columns_and_braces():
    """In the event name too."""
    [event] = events_of(b"a,b c\n1,2\n", "x-{a}-{b c}", "{{{a}}}")
    assert (event.channel, event.name) == ("x-1-2", "{1}")


@pytest.mark.parametrize(
    "text",
    [
        b'user_id,note\n1,"a, ""b""\nc"\n2,d\n',
        b'user_id,note\r\n1,"a, ""b""\nc"\r\n2,d\r\n',
        b'user_id,note\r1,"a, ""b""\nc"\r2,d\r',
        b'\xef\xbb\xbfuser_id,note\n\n1,"a, ""b""\nc"\n\n\n2,d',
        'user_id,note\n1,"a, ""b""\nc"\n2,d\n'.encode("utf-16"),
        '\ufeffuser_id,note\n1,"a, ""b""\nc"\n2,d\n'.encode("utf-16-be"),
    ],
    ids=["lf", "crlf", "cr", "bom and blank rows", "utf-16", "utf-16-be"],
)
@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])
def test_line_ends_quotes_and_marks_are_read(text, is_gzip):
    """As spreadsheets write them."""
    events = events_of(gzip.compress(text) if is_gzip else text)
    assert [event.data for event in events] == [{"user_id": "1", "note": 'a, "b"\nc'}, {"user_id": "2", "note": "d"}]
    assert events.bad is None


def test_delimiter_and_encoding_are_options():
    """As a German Excel writes them."""
    [event] = events_of("user_id;name\n1;Grüße\n".encode("cp1252"), delimiter=";", encoding="cp1252")
    assert event.data["name"] == "Grüße"


def test_empty_cells_are_empty_text_in_the_data():
    """Only a template and a key need a cell."""
    [event] = events_of(b"user_id,note\n1,\n")
    assert event.data["note"] == ""


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (b"1,secret\n,secret\n", "line 3: column user_id: empty, and --channel needs it"),
        (b"1,secret\n2\n", "line 3: 1 cell, the header has 2 columns; the first without a cell is note"),
        (b"1,secret,3\n", "line 2: 3 cells, the header has 2 columns"),
        (b'1,"secret\n2,b\n', "line 2: a cell begins with a quote"),
        (b'1,"secret"x\n', "line 2: not CSV: ',' expected after '\"'"),
        (b"1,a\n2,secret\xff\n", "line 3: column note: not UTF-8; --encoding names another"),
        (b'1,"a\nsecret\xff"\n', "line 3: column note: not UTF-8"),
        (b"1,secret\0\n", "line 2: column note: a NUL character"),
        (b"no spaces,secret\n", "line 2: --channel (from column user_id): channel"),
        (b"%s,secret\n" % (b"x" * 500), "line 2: --channel (from column user_id): channel: 505"),
    ],
)
def test_faults_name_line_and_column(rows, told):
    """The rows before are given."""
    assert fault_of(b"user_id,note\n" + rows).startswith(told)


def test_a_fault_of_the_event_name_names_its_option():
    """And its column."""
    told = fault_of(b"user_id,note\n1,%s\n" % (b"secret" * 50), event="{note}")
    assert told.startswith("line 2: --event (from column note): event name: 300")


def test_keys_come_from_a_column():
    """Whose name may have a dot; an empty cell is an error."""
    events = events_of(b"user_id,data.id\n1,order-7\n2,\n", key_column="data.id")
    assert [event.key for event in events] == ["order-7"]
    assert str(events.bad) == "line 3: column data.id: empty, and --key-field needs it"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"channel": "{nope}"}, "--channel: no column 'nope' in the file; its columns are user_id, note"),
        ({"event": "{nope}"}, "--event: no column 'nope'"),
        ({"key_column": "nope"}, "--key-field: no column 'nope'"),
        ({"channel": "{user_id"}, "--channel: '{' at character 1"),
        ({"channel": "a}"}, "--channel: '}' at character 2"),
        ({"channel": "a{}"}, "--channel: '{}' at character 2"),
    ],
)
def test_a_bad_template_reads_no_row(options, told):
    """So nothing is stored."""
    with pytest.raises(TemplateError, match=r"^--") as caught:
        events_of(b"user_id,note\n1,a\n", **options)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "line 1: no header"),
        (b"\n\n", "line 1: no header"),
        (b"a,a\n1,2\n", "line 1: header: column 'a' is there twice"),
        (b"a,,b\n", "line 1: header: column 2 has no name"),
        (b"a,\xff\n", "line 1: column 2: not UTF-8"),
        (b",".join(b"c%d" % n for n in range(100_000)), "line 1: header: 100,000 columns, limit 16,384"),
    ],
    ids=["empty", "blank", "twice", "unnamed", "not utf-8", "too many"],
)
def test_a_bad_header_is_named(text, told):
    """Before any event."""
    with pytest.raises(LineError) as caught:
        events_of(text)
    assert str(caught.value).startswith(told)


def test_a_wrong_delimiter_is_suggested():
    """The header is one column with the other delimiter in it."""
    with pytest.raises(TemplateError, match=r"--delimiter ';' \?"):
        events_of(b"user_id;note\n1;a\n")


def test_a_row_has_bounded_memory():
    """A quote without end does not take the rest of a large file; nor does a file without line ends."""

    class Endless(io.RawIOBase):
        given = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            part = b'user_id,note\n1,"' if not self.given else (b"x" * 8_191 + b"\n")[: len(buffer)]
            self.given += 1
            buffer[: len(part)] = part
            return len(part)

    stream = Endless()
    form = CsvFormat(Template("--channel", "c"), Template("--event", "e"))
    interrupt = Interrupt()
    rows = CsvRows(io.BufferedReader(stream, 1 << 16), form, interrupt)
    rows.read_header()
    tracemalloc.start()
    try:
        with pytest.raises(LineError, match=f"line 2: a row of more than {MAX_LINE_BYTES} bytes"):
            rows.next_event()
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()
    assert rows.offset < 2 * MAX_LINE_BYTES


def test_a_megabyte_in_a_cell_is_read():
    """The event's own limit refuses it, with its size."""
    [event] = events_of(b"user_id,note\n1,%s\n" % (b"x" * 1_000_000))
    assert len(event.data["note"]) == 1_000_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_reading_goes_on_at_any_offset(encoding, end):
    """Where one reader stopped, another continues, with the same keys."""
    text = end.join(["user_id,note", *(f'{n},"ü{end}{n}"' for n in range(50))]).encode(encoding)
    whole = [(event.channel, event.data, event.key) for event in events_of(text, encoding=encoding)]
    assert len(whole) == 50
    first = events_of(text, encoding=encoding)
    taken = iter(first)
    for _ in range(20):
        next(taken)
    second = events_of(text, encoding=encoding)
    assert second.has_exact_offset
    second.skip(offset=first.offset, line=first.line, count=first.count)
    assert [(event.channel, event.data, event.key) for event in second] == whole[20:]
    assert (second.count, second.lines) == (50, 101)


def test_damaged_gzip_ends_at_its_line():
    """The rows before are given; a file that was not copied completely too."""
    made = random.Random(1)
    rows = b"".join(b"%d,%s\n" % (n, made.randbytes(300).hex().encode()) for n in range(6000))  # 4 MB, several reads
    packed = gzip.compress(b"user_id,power\n" + rows, 1)
    cut = events_of(packed[: len(packed) // 2])
    assert 0 < len(list(cut)) < 6_000
    assert "the gzip data ends too early" in str(cut.bad)
    broken = bytearray(packed)
    broken[-8] ^= 1  # its checksum
    assert "the gzip data is damaged" in fault_of(bytes(broken))

"""Lines of a file as events: what is accepted, and that complaints name the line but not its content."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.cli.ndjson import MAX_LINE_BYTES, KeyField, LineError, LineKeys, parse_line
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.errors import ValidationError
from sockudo_publisher.publishing.prepare import refuse_direct_options

pytestmark = pytest.mark.unit

SECRET = "do-not-show-me"


def test_a_line_becomes_an_event_with_its_options():
    """Channel, name and data, and whatever options the line gives."""
    line = parse_line(
        7, b'{"channel":"c","name":"e","data":{"id":1},"socket_id":"1.2","tags":{"a":"b"},"extras":{},"key":"k"}\n'
    )
    assert line is not None
    assert (line.channel, line.name, line.data, line.key) == ("c", "e", {"id": 1}, "k")
    assert line.options == {"socket_id": "1.2", "tags": {"a": "b"}, "extras": {}}


@pytest.mark.parametrize("channel", ["", '"channel":null,'])
def test_line_for_a_user_needs_no_channel(channel):
    line = parse_line(1, f'{{{channel}"name":"e","data":1,"user_id":"42","delta":false}}'.encode())
    assert line is not None
    assert (line.channel, line.options) == (None, {"user_id": "42", "delta": False})


def test_event_is_another_word_for_name():
    """Sockudo's own word is accepted too."""
    line = parse_line(1, b'{"channel":"c","event":"e","data":"text"}')
    assert line is not None
    assert line.name == "e"


@pytest.mark.parametrize("raw", [b"\n", b"", b"   \r\n", b"\xef\xbb\xbf\n"])
def test_blank_lines_are_no_events(raw):
    """Blank lines are skipped, the first one with a byte order mark too."""
    assert parse_line(1, raw) is None


@pytest.mark.parametrize(
    ("raw", "error_text"),
    [
        pytest.param(b'{"channel": "%s"' % SECRET.encode(), "not JSON at column", id="cut off"),
        pytest.param(b'{"channel":"c","name":"e","data":"\xff"}', "not UTF-8 at byte 35", id="bytes"),
        pytest.param(f'["{SECRET}"]'.encode(), "expected an object, got a list", id="list"),
        pytest.param(f'"{SECRET}"'.encode(), "expected an object, got a string", id="string"),
        pytest.param(b"null", "expected an object, got null", id="null"),
        pytest.param(b"{}", "channel: missing", id="empty"),
        pytest.param(b'{"channel":"c","data":1}', "name: missing", id="no name"),
        pytest.param(b'{"channel":"c","name":"e"}', "data: missing", id="no data"),
        pytest.param(b'{"channel":7,"name":"e","data":1}', "channel: expected a string, got a number", id="channel"),
        pytest.param(b'{"channel":["a"],"name":"e","data":1}', "channel: expected a string, got a list", id="channels"),
        pytest.param(b'{"channel":"c","name":true,"data":1}', "name: expected a string, got true or false", id="name"),
        pytest.param(b'{"channel":"c","name":"e","event":"e","data":1}', "name and event", id="both names"),
        pytest.param(
            f'{{"channel":"c","name":"e","data":1,"nmae":"{SECRET}"}}'.encode(), "unknown field 'nmae'", id="field"
        ),
        pytest.param(b'{"channel":"c","name":"e","data":1,"key":5}', "key: expected a string, got a number", id="key"),
        pytest.param(b'{"channel":"c","name":"e","data":NaN}', "not JSON: NaN", id="nan"),
        pytest.param(b'{"channel":"c","name":"e","data":[-Infinity]}', "not JSON: -Infinity", id="infinity"),
        pytest.param(b"[" * 100_000, "nested too deep", id="deep"),
        pytest.param(b" " * (MAX_LINE_BYTES + 1), f"more than {MAX_LINE_BYTES} bytes", id="long"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_reason(raw, error_text):
    """The complaint gives line, field and reason, and none of the content."""
    with pytest.raises(LineError) as caught:
        parse_line(42, raw)
    assert caught.value.number == 42
    assert str(caught.value).startswith("line 42: ")
    assert error_text in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_line_may_have_the_fields_of_a_dict_for_publish_many():
    """All of them, and `event`; what a queued event may not have is refused in the publisher's words."""
    fields = {field.name for field in dataclasses.fields(Event)}
    line = parse_line(1, json.dumps({**dict.fromkeys(fields, "x"), "data": 1}).encode())
    assert line is not None
    assert {"channel", "name", "data", "key", *line.options} == fields
    with pytest.raises(ValidationError, match="not for queued events"):
        refuse_direct_options(Event(line.channel, line.name, line.data, **line.options))


def _line(raw: bytes):
    line = parse_line(1, raw)
    assert line is not None
    return line


LINE = b'{"channel":"c","name":"e","data":{"id":7,"tag":"x"}}'


def test_a_key_depends_on_file_line_number_and_content():
    """Any of them different, another key; all the same, the same key, whatever ends the line."""
    keys = LineKeys("file", "/a", "10", "99")
    first = keys.key(1, LINE, _line(LINE))
    assert len(first) == 32
    assert LineKeys("file", "/a", "10", "99").key(1, LINE + b"\r\n", _line(LINE)) == first
    others = {
        keys.key(2, LINE, _line(LINE)),
        keys.key(1, LINE + b" ", _line(LINE)),
        LineKeys("file", "/b", "10", "99").key(1, LINE, _line(LINE)),
        LineKeys("file", "/a", "11", "99").key(1, LINE, _line(LINE)),
        LineKeys("file", "/a", "10", "98").key(1, LINE, _line(LINE)),
    }
    assert len(others) == 5
    assert first not in others


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_scopes_do_not_run_into_one_another(one, other):
    """("ab", "c") and ("a", "bc") are different files."""
    same = LineKeys(*one).key(1, LINE, _line(LINE)) == LineKeys(*other).key(1, LINE, _line(LINE))
    assert same == (one == other)


@pytest.mark.parametrize(("path", "key"), [("data.id", "7"), ("data.tag", "x"), ("channel", "c")])
def test_a_key_may_be_a_field_of_the_line(path, key):
    """By its dotted path; a whole number becomes its digits."""
    assert KeyField(path).key(1, LINE, _line(LINE)) == key


@pytest.mark.parametrize(
    ("path", "error_text"),
    [("data.no", "data.no: missing"), ("name.deeper", "name.deeper: missing"), ("data", "got an object")],
)
def test_a_key_field_that_gives_no_key_is_an_error_of_its_line(path, error_text):
    """Missing, or neither text nor a whole number."""
    with pytest.raises(LineError, match=f"line 3: .*{error_text}"):
        KeyField(path).key(3, LINE, _line(LINE))


@given(st.dictionaries(st.text(max_size=3), st.none() | st.booleans() | st.integers() | st.text(max_size=3)))
def test_no_object_makes_the_parser_fail_otherwise(content):
    """Whatever the object, it is an event or a LineError."""
    raw = json.dumps(content).encode()
    try:
        line = parse_line(1, raw)
    except LineError:
        return
    assert line is not None
    assert line.whole == content

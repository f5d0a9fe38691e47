"""A stream of lines as a stream of events: where it stops, and which line an event came from."""

from __future__ import annotations

import io
import itertools
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.cli import file_events
from sockudo_publisher.cli.file_events import FileEvents, JsonLines, keys_for
from sockudo_publisher.cli.file_source import Interrupt
from sockudo_publisher.cli.ndjson import LineKeys

pytestmark = pytest.mark.unit

GOOD = b'{"channel":"c","name":"e","data":%d}\n'


def lines_of(text: bytes) -> FileEvents:
    return events_in(io.BytesIO(text), LineKeys("test"))


def events_in(stream, keys) -> FileEvents:
    interrupt = Interrupt()
    return FileEvents(JsonLines(stream, interrupt), keys, interrupt)


def test_every_line_before_a_bad_one_is_given_and_none_after():
    """It stops there, without raising, so that what came before is stored."""
    lines = lines_of(GOOD % 1 + b"\n" + GOOD % 2 + b"{broken\n" + GOOD % 3)
    assert [event.data for event in lines] == [1, 2]
    assert lines.bad is not None
    assert lines.bad.number == 4


def test_an_event_without_a_key_of_its_own_gets_one_for_its_line():
    """Equal lines at different places are different events; a line's own key is kept."""
    own = b'{"channel":"c","name":"e","data":1,"key":"mine"}\n'
    keys = [event.key for event in lines_of(GOOD % 1 + GOOD % 1 + own)]
    assert keys[2] == "mine"
    assert len(set(keys)) == 3


def test_the_last_line_needs_no_line_end():
    """As editors leave it."""
    assert [event.data for event in lines_of((GOOD % 5).rstrip())] == [5]


@given(st.lists(st.booleans(), max_size=40))
def test_an_index_leads_back_to_its_line(blank):
    """However many blank lines stand between."""
    lines = lines_of(b"".join(b"\n" if empty else GOOD % 1 for empty in blank))
    count = len(list(lines))
    expected = [number for number, empty in enumerate(blank, 1) if not empty]
    assert [lines.line_of(index) for index in range(count)] == expected


def test_what_is_remembered_of_blank_lines_is_bounded(monkeypatch):
    """A file with a blank line after every event: the latest events are still found."""
    monkeypatch.setattr(file_events, "MAX_GAPS", 100)
    lines = lines_of((GOOD % 1 + b"\n") * 1000)
    assert len(list(lines)) == 1000
    assert lines.line_of(999) == 1999
    assert lines.line_of(980) == 1961
    assert len(lines._distances) <= 101


class TestKeysFor:
    @pytest.fixture
    def key(self, tmp_path):
        """The key of the first line of a file, under the command's options."""
        file = tmp_path / "events.ndjson"
        file.write_bytes(GOOD % 1)

        def first_key(**options) -> str:
            chosen = {"again": False, "key_field": None, "run_id": None, **options}
            with open(file, "rb") as stream:
                lines = events_in(stream, keys_for(str(file), stream, **chosen))
                return next(iter(lines)).key

        first_key.file = file
        return first_key

    def test_the_same_file_gives_the_same_keys(self, key):
        """So a second run stores nothing twice."""
        assert key() == key()

    def test_a_file_reached_another_way_is_the_same_file(self, key, monkeypatch):
        """A relative path means the absolute one."""
        before = key()
        monkeypatch.chdir(key.file.parent)
        with open(key.file.name, "rb") as stream:
            lines = events_in(stream, keys_for(key.file.name, stream, again=False, key_field=None, run_id=None))
            assert next(iter(lines)).key == before

    def test_a_file_written_since_is_another_file(self, key):
        """Even when its content is the same."""
        before = key()
        os.utime(key.file, ns=(1, 1))
        assert key() != before

    def test_again_makes_new_keys_every_time(self, key):
        """Publishing on purpose what is published already."""
        assert len({key(), key(again=True), key(again=True)}) == 3

    def test_a_run_id_replaces_the_file(self, key):
        """The same lines under the same ID are the same events, wherever they come from."""
        before = key(run_id="job-42")
        os.utime(key.file, ns=(1, 1))
        assert key(run_id="job-42") == before
        assert key(run_id="job-43") != before


def test_a_line_without_end_is_not_read_into_memory(monkeypatch):
    """A file of zeros is refused after one line's bound."""
    monkeypatch.setattr(file_events, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr("sockudo_publisher.cli.ndjson.MAX_LINE_BYTES", 1000)
    stream = io.BytesIO(b"x" * 1_000_000)
    lines = events_in(stream, LineKeys("test"))
    assert list(itertools.islice(lines, 1)) == []
    assert lines.bad is not None
    assert re.search("line 1: more than 1000 bytes", str(lines.bad))
    assert stream.tell() == 1001

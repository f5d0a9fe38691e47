"""examples/bulk-fanout as its README runs it, killed in the middle; a smaller table, and real parts."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sockudo_publisher import operations
from tests.support.example_app import EXAMPLES, copy_files, run_example
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

#: Two and a half flushes of `publish_many`.
ROWS = 5000
FLUSH = 2000


@pytest.fixture
def example(tmp_path: Path, stack: Stack) -> Path:
    """A copy, with a table of that number of rows."""
    directory = copy_files("bulk-fanout", tmp_path)
    run_example(directory, ["fan_out.py", "fill", "readers.db", "--rows", str(ROWS)], stack.python())
    return directory


def waiting() -> int:
    """Events in the journal; no worker runs."""
    return sum(lane.depth for app in operations.status() for lane in app.lanes)


def position(example: Path) -> int:
    """The last row that the campaign knows to be stored."""
    with closing(sqlite3.connect(example / "readers.db")) as database:
        ((number,),) = database.execute("SELECT last_id FROM campaigns").fetchall()
    return int(number)


def test_killed_run_goes_on_and_repeats_nothing(example: Path, stack: Stack) -> None:
    """SIGKILL behind a stored flush that the position does not have: the next run begins before it; one event a row."""
    run = ["fan_out.py", "run", "readers.db", "--campaign", "spring"]
    run_example(example, run, {**stack.python(), "SOCKUDO_FAULTPOINT": "appended:2"}, code=-signal.SIGKILL)
    assert (position(example), waiting()) == (FLUSH, 2 * FLUSH)
    printed = run_example(example, run, stack.python())
    assert f"going on behind {FLUSH:,} events of an earlier run" in printed
    assert f"{ROWS - FLUSH:,} events, {FLUSH:,} of them stored before" in printed
    assert (position(example), waiting()) == (ROWS, ROWS)
    assert "0 events" in run_example(example, run, stack.python())
    assert waiting() == ROWS


def test_a_user_gets_the_event_of_the_row(example: Path, stack: Stack) -> None:
    """And the file of `export`, published by the command, holds the same events."""
    exported = run_example(example, ["fan_out.py", "export", "readers.db", "--campaign", "summer"], stack.python())
    lines = exported.splitlines()
    assert len(lines) == ROWS
    assert json.loads(lines[6])["data"]["text"] == "Hello Reader 7, the summer tea is in Turin."
    (example / "summer.ndjson").write_text("\n".join(lines[:100]))
    command = ["-m", "sockudo_publisher.cli", "publish-file", "summer.ndjson", "--key-field", "key"]
    assert "100 events" in run_example(example, command, stack.python())
    assert waiting() == 100
    assert "100 of them by an earlier run" in run_example(example, command, stack.python())


def test_readme_names_the_example_s_commands() -> None:
    """Each command that these tests run is in the README."""
    text = (EXAMPLES / "bulk-fanout" / "README.md").read_text()
    for command in ("fill readers.db", "run readers.db --campaign spring", "export readers.db --campaign summer"):
        assert f"python fan_out.py {command}" in text
    assert "publish-file summer.ndjson --key-field key" in text

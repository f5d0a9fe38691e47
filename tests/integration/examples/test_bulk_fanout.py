"""examples/bulk-fanout as its README runs it, killed in the middle; a smaller table, and real parts."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from sockudo_publisher import operations
from tests.support.example_app import EXAMPLES, copy_files, example_python, run_example
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

ROWS = 12_000


@pytest.fixture
def example(tmp_path: Path, stack: Stack) -> Path:
    """A copy, with a table of that number of rows."""
    directory = copy_files("bulk-fanout", tmp_path)
    run_example(directory, ["fan_out.py", "fill", "readers.db", "--rows", str(ROWS)], stack.python())
    return directory


def waiting() -> int:
    """Events in the journal; no worker runs."""
    return sum(lane.depth for app in operations.status() for lane in app.lanes)


def test_killed_run_goes_on_and_repeats_nothing(example: Path, stack: Stack) -> None:
    """The second run begins behind a position, and each row has one event in the end."""
    run = ["fan_out.py", "run", "readers.db", "--campaign", "spring"]
    first = subprocess.Popen(
        [example_python(), *run], cwd=example, env=stack.python(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        with sqlite3.connect(example / "readers.db") as database:
            until = time.monotonic() + 120
            while not (position := database.execute("SELECT last_id FROM campaigns").fetchone()):
                assert first.poll() is None, "it was done before its first position"
                assert time.monotonic() < until
                time.sleep(0.005)
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    assert 0 < position[0] < ROWS
    stored = waiting()
    assert position[0] <= stored < ROWS, "killed too late to show anything"
    printed = run_example(example, run, stack.python())
    assert "going on behind" in printed
    assert waiting() == ROWS
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

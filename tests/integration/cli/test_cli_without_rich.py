"""rich is optional: each command works without it, and the progress is drawn in either way."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from tests.integration.cli.conftest import COMMAND_S
from tests.support.cases import in_depth
from tests.support.warm import run_python, start_python

pytestmark = pytest.mark.integration

#: Runs a command in a Python that has rich, or none.
RUN = """
import sys
assert "rich" not in sys.modules
if sys.argv.pop(1) == "without":
    sys.modules["rich"] = None
from sockudo_publisher.cli import main
main()
"""


def run_on_terminal(args: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Run the command with stderr on a terminal: its exit code and what it wrote there."""
    reader, writer = pty.openpty()
    environ = {**environ, "TERM": "xterm", "COLUMNS": "100"}
    with start_python(["-c", RUN, *args], env=environ, stderr=writer) as process:
        os.close(writer)
        written = b""
        try:
            while part := os.read(reader, 65536):
                written += part
        except OSError:  # Linux: the other end is closed
            pass
        code = process.wait(timeout=120)
    os.close(reader)
    return code, written.decode()


@pytest.mark.parametrize(("rich", "sign"), [("with", "━"), ("without", "\r\x1b[K")])
def test_publish_file_shows_its_progress(environ: dict[str, str], tmp_path: Path, rich: str, sign: str) -> None:
    """A bar, or a line that is written again and cleared at the end."""
    file = tmp_path / "events.ndjson"
    file.write_text('{"channel":"c","name":"e","data":1}\n' * 3)
    code, written = run_on_terminal([rich, "publish-file", str(file), "--again"], environ)
    assert code == 0, written
    assert sign in written
    assert "3 stored" in written


ARGS = [["status"], ["dead", "list"], ["resume"], ["publish", "c", "e", "d"]]


@pytest.mark.parametrize("args", in_depth({" ".join(args): args for args in ARGS}, quick=["publish c e d"]))
def test_output_is_the_same_without_rich(environ: dict[str, str], args: list[str]) -> None:
    """Tables and colours are this package's own."""
    told = []
    for rich in ("with", "without"):
        done = run_python(["-c", RUN, rich, *args], env=environ, timeout=COMMAND_S)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0].strip()
    assert told[0].split("message id")[0] == told[1].split("message id")[0]

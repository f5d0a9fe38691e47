"""rich is optional: each command works without it, and the progress is drawn in either way."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cases import in_depth

pytestmark = pytest.mark.integration

#: Runs a command in a Python that has rich, or none.
RUN = """
import sys
if sys.argv.pop(1) == "without":
    sys.modules["rich"] = None
from sockudo_publisher.cli import main
main()
"""

IMPORT_ALL = """
import sys
sys.modules["rich"] = None
from importlib import import_module
from pkgutil import walk_packages
import sockudo_publisher
for one in walk_packages(sockudo_publisher.__path__, "sockudo_publisher."):
    of_django = ("sockudo_publisher.outbox.django.", "sockudo_publisher.contrib.django.")
    if not one.name.startswith(of_django) and not one.name.endswith("__main__"):
        import_module(one.name)
"""


def run_on_terminal(args: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Run the command with stderr on a terminal: its exit code and what it wrote there."""
    reader, writer = pty.openpty()
    environ = {**environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *args], env=environ, stdout=subprocess.DEVNULL, stderr=writer
    ) as process:
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
    told = [
        subprocess.run(
            [sys.executable, "-c", RUN, rich, *args],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for rich in ("with", "without")
    ]
    assert told[0].strip()
    assert told[0].split("message id")[0] == told[1].split("message id")[0]


def test_no_module_needs_rich() -> None:
    """The demo and the bench neither."""
    subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True, timeout=120)

"""The browser of the tests ends with its block, though its program may be a script that starts it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.browser import running_chromium

from .test_embedded_parts import lives, wait_until

pytestmark = pytest.mark.integration

# As Debian's `chromium-headless-shell`: not `exec`, so that the browser is the script's child.
SCRIPT = """#!/bin/sh -e
for argument; do case "$argument" in --user-data-dir=*) home=${argument#*=} ;; esac; done
PYTHON -c "
import os, time
home = '$home'
open(home + '/pid', 'w').write(str(os.getpid()))
open(home + '/DevToolsActivePort', 'w').write('9222\\n/\\n')
time.sleep(600)"
""".replace("PYTHON", sys.executable)


def test_a_browser_that_a_script_starts_ends(tmp_path: Path) -> None:
    """SIGTERM to the script alone would leave it running."""
    program, home = tmp_path / "chromium", tmp_path / "home"
    program.write_text(SCRIPT)
    program.chmod(0o700)
    home.mkdir()
    with running_chromium(program, home) as address:
        assert address == "http://127.0.0.1:9222"
        browser = int((home / "pid").read_text())
        assert lives(browser)
    wait_until(lambda: not lives(browser))

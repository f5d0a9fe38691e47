"""A signal ends the demo wherever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

LOST = """
import os, signal, time
from sockudo_publisher.dev.demo import ending

ending.RAISED_AGAIN_S = 0.2

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGNUMBER)
        time.sleep(0.1)  # the handler runs in here, and what it raises is printed and dropped

try:
    with ending.everything_ends(lambda: print("ending", flush=True)) as stack:
        stack.callback(print, "unwound", flush=True)
        Destroyed()
        while True:
            time.sleep(0.05)
except KeyboardInterrupt:
    print(signal.getitimer(signal.ITIMER_REAL)[0])
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_in_a_destructor_is_not_lost(name: str) -> None:
    """Everything is unwound, and no timer is left."""
    done = subprocess.run(
        [sys.executable, "-c", LOST.replace("SIGNUMBER", name)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Exception ignored" in done.stderr, "the fault has fired"
    assert done.stdout.split() == ["ending", "unwound", "0.0"]
    assert done.returncode == 0

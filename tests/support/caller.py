"""An application that publishes: a Python process of its own, with the stack's settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .stack import Stack
from .warm import run_python

ROOT = Path(__file__).resolve().parents[2]

_PRELUDE = """
import json, sys, time
from datetime import datetime, timedelta, timezone
from sockudo_publisher import *
C = sys.argv[1]
def say(value): print(json.dumps(value), flush=True)
"""


def call(stack: Stack, source: str, *, timeout_s: float = 180, check: bool = True, **env: str) -> list[Any]:
    """Run `source` with the public names imported, `C` a channel of this test, and `say(value)` to answer.

    Returns its output. Fails with the traceback when the process does not end with 0.
    """
    done = run_python(
        ["-c", _PRELUDE + source, stack.channel()], cwd=ROOT, env={**stack.python(), **env}, timeout=timeout_s
    )
    assert done.returncode == 0 or not check, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]

"""Children that end with the process that started them, however it ends (also by SIGKILL).

One small watcher process per process that starts children. It holds the reading end of a pipe and is
told the process groups; when the pipe closes, which the kernel does when its owner dies, it kills
the groups that are left. ``PR_SET_PDEATHSIG`` alone does not do: it fires when the *thread* that
started the child ends, reaches the child but not its children, and is Linux' only.

The watcher is this file, run as a script: it imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

__all__ = ["tie", "untie"]

_lock = threading.Lock()
# The writing end of the watcher's pipe, and the process that owns it.
_pipe = -1
_owner = 0


def tie(pgid: int) -> None:
    """Let the process group end with this process."""
    _tell(f"+{pgid}\n")


def untie(pgid: int) -> None:
    """The group has ended: its number may belong to others from now on."""
    _tell(f"-{pgid}\n")


def _tell(line: str) -> None:
    global _pipe, _owner  # noqa: PLW0603 -- one watcher per process is the point
    with _lock:
        if _owner != os.getpid():  # none yet, or a fork's, whose children are not its parent's
            _pipe = _start_watcher()
            _owner = os.getpid()
        with contextlib.suppress(BrokenPipeError):  # somebody killed the watcher: atexit is left
            os.write(_pipe, line.encode())  # shorter than PIPE_BUF: one piece


def _start_watcher() -> int:
    reading, writing = os.pipe()  # neither is inherited by what we start, but for stdin below
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not end it before its owner
    )
    os.close(reading)
    watcher.returncode = 0  # outlives us on purpose: nobody is to wait for it, nor to be warned of it
    return writing


def watch() -> None:
    """Read groups until the owner is gone, then kill those that are left."""
    groups: set[int] = set()
    while line := sys.stdin.buffer.readline():
        pgid = int(line[1:])
        if line.startswith(b"+"):
            groups.add(pgid)
        else:
            groups.discard(pgid)
    for pgid in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pgid, signal.SIGKILL)


if __name__ == "__main__":
    watch()

"""Children that end with the process that started them, however it ends (also by SIGKILL).

Each process that starts children has one small watcher process, which reads the process groups from a pipe. When the
owner dies, the kernel closes the pipe, and the watcher kills the remaining groups. ``PR_SET_PDEATHSIG`` alone is not
enough: it fires when the *thread* that started the child ends, reaches the child but not its children, and exists on
Linux only.

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
    """End the process group when this process ends."""
    _send(f"+{pgid}\n")


def untie(pgid: int) -> None:
    """Remove a group that has ended: another process may get its number."""
    _send(f"-{pgid}\n")


def _send(line: str) -> None:
    global _pipe, _owner  # noqa: PLW0603 -- one watcher per process is the point
    with _lock:
        if _owner != os.getpid():  # none yet, or a fork's, whose children are not its parent's
            _pipe = _start_watcher()
            _owner = os.getpid()
        with contextlib.suppress(BrokenPipeError):  # the watcher was killed: atexit still ends the children
            os.write(_pipe, line.encode())  # shorter than PIPE_BUF: one piece


def _start_watcher() -> int:
    reading, writing = os.pipe()  # not inherited by children, except as stdin below
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not end it before its owner
    )
    os.close(reading)
    watcher.returncode = 0  # it outlives this process on purpose: no wait, no warning
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

"""One child process: start it in a group of its own, wait until it is ready, freeze it, end it.

The server classes beside this module say what to run and when it is ready; all signals, waits and
the clean-up are here. Facts: the group's number stays ours as long as its leader is not reaped, so
leftovers of the group are killed first and the leader is reaped last.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from . import lifeline
from .errors import PartFailed
from .private import PRIVATE_UMASK, append_private, make_private_directory

__all__ = ["ChildProcess", "wait_for"]

#: Seconds that a part may take to answer for the first time; the longest is a worker's start, 3 s on an idle core.
START_TIMEOUT_S = 60.0
#: Seconds between SIGTERM and SIGKILL.
STOP_TIMEOUT_S = 10.0
#: Seconds between two checks of a condition at first, and at most: a tenth of the wait so far.
POLL_S, MAX_POLL_S = 0.02, 0.1
#: Bytes of the log's end that an error quotes.
LOG_TAIL_BYTES = 2000

_Self = TypeVar("_Self", bound="ChildProcess")

_running: weakref.WeakSet[ChildProcess] = weakref.WeakSet()


def wait_for(condition: Callable[[], bool], timeout_s: float, poll_s: float | None = None) -> bool:
    """Wait until the condition holds. Returns whether it did within ``timeout_s``.

    ``poll_s``: seconds between two checks; by default ever more, as the checks of a long wait cost as much as the work.
    """
    started = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - started
        if waited_s > timeout_s:
            return False
        time.sleep(min(MAX_POLL_S, max(POLL_S, waited_s / 10)) if poll_s is None else poll_s)
    return True


class ChildProcess(ABC):
    """A part that runs as a child process. A context manager: enter starts it, leave stops it.

    ``name`` is for messages, ``log`` the file to which its output is appended. The child gets a session
    and process group of its own (Ctrl-C at the terminal reaches us, not it), no standard input, and
    ends with this process. Its log and its files are for this user alone: no secret is among its arguments,
    which every user of the machine can read.
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0
        self._log_start = 0

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """What to run."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the part does what it is there for. Asked again and again after the start."""

    def _environ(self) -> Mapping[str, str]:
        """The child's whole environment."""
        return os.environ

    def _directory(self) -> Path:
        """The child's working directory."""
        return self.log.parent

    @property
    def pid(self) -> int:
        """Of the process that was started. Raises :class:`PartFailed` when there is none."""
        if self._process is None:
            raise PartFailed(f"{self.name}: not started", self.log)
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """Every process of the group (Linux; elsewhere the first alone), the one that was started first."""
        if not self.is_running:
            return []
        leader = self.pid
        return [leader, *(pid for pid in _group_members(leader) if pid != leader)]

    @property
    def is_running(self) -> bool:
        """Whether the started process has not ended (a frozen one runs)."""
        return self._process is not None and not _has_ended(self._process)

    def start(self: _Self, timeout_s: float = START_TIMEOUT_S) -> _Self:
        """Start and wait until ready. Raises :class:`PartFailed` with the log's end if it ends or does not answer."""
        self.launch()
        try:
            self.wait_until_ready(timeout_s)
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Start without waiting, so that several parts can start at once; :meth:`wait_until_ready` comes later."""
        if self.is_running:
            raise PartFailed(f"{self.name}: runs already", self.log)
        make_private_directory(self.log.parent)
        with append_private(self.log) as log:
            self._log_start = log.tell()
            self._process = self._start_process(log)
        self._owner_pid = os.getpid()
        lifeline.tie(self._process.pid)
        _running.add(self)

    def _start_process(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Run the command in a session of its own, with its output in ``log``."""
        return subprocess.Popen(
            self._command(),
            cwd=self._directory(),
            env=dict(self._environ()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait for a launched part."""
        ready = wait_for(lambda: not self.is_running or self._is_ready(), timeout_s)
        if not self.is_running:
            raise PartFailed(f"{self.name} ended while it started:\n{self.log_tail()}", self.log)
        if not ready:
            raise PartFailed(f"{self.name} was not ready after {timeout_s:g} s:\n{self.log_tail()}", self.log)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, wait, SIGKILL what is left of the group. Returns the exit code (0 if it was not started)."""
        self.terminate()
        return self.wait(timeout_s)

    def terminate(self) -> None:
        """SIGTERM to the process that was started, thawed if it was frozen; :meth:`wait` comes later."""
        if self._process is not None:
            self.resume()
            self._signal_leader(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the end, at most ``timeout_s``, then SIGKILL; reap. Returns the exit code, negative for a signal."""
        process = self._process
        if process is None:
            return 0
        wait_for(lambda: _has_ended(process), timeout_s)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to the whole group, and reap. Returns the exit code (0 if it was not started)."""
        process = self._process
        if process is None:
            return 0
        self._signal_group(signal.SIGKILL)
        code = process.wait()
        self._process = None
        lifeline.untie(process.pid)
        _running.discard(self)
        return code

    def pause(self) -> None:
        """SIGSTOP to the whole group: it keeps its sockets and answers nothing."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to the whole group."""
        self._signal_group(signal.SIGCONT)

    def log_text(self) -> str:
        """What the present run has written."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self) -> str:
        """The end of that."""
        return self.log_text()[-LOG_TAIL_BYTES:]

    def __enter__(self: _Self) -> _Self:
        if not self.is_running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            # Not reaped yet, so the number is ours; EPERM is macOS' word for a group of zombies.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _signal_leader(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _is_ours(self) -> bool:
        return self._owner_pid == os.getpid()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; on Linux without reaping it."""
    if process.returncode is not None:
        return True
    if sys.platform == "linux":
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def _group_members(pgid: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # pid (name) state ppid pgrp ...; the name may hold anything, parentheses too.
            _state, _ppid, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == pgid:
                members.append(int(stat.parent.name))
    return sorted(members)


@atexit.register
def _kill_all() -> None:
    """Kill parts that were not stopped. A forked child does not touch its parent's parts."""
    for part in list(_running):
        if part._is_ours():
            part.kill()

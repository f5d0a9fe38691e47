"""Python processes without the wait for their imports: a process that has them forks each one.

A worker or a command needs most of a second of processor time to import Celery. `start_python` and `run_python` do what
`subprocess` does with `[sys.executable, *arguments]`, in a tenth of it. The child is a process of its own, with its own
environment, directory, streams and session; nothing else is shared. Where a fork is not the same thing (options of
the interpreter, variables that it reads at its start, gevent's patches, systems other than Linux) an interpreter is
started.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from sockudo_publisher.dev.embedded import WorkerProcess
from sockudo_publisher.dev.embedded.process import ChildProcess

__all__ = ["Warm", "WarmWorker", "run_python", "share_parent", "start_python"]

ROOT = Path(__file__).resolve().parents[2]
PARENT = Path(__file__).with_name("warm_parent.py")

#: Variables that the interpreter, or a module that is imported in advance, reads at its start: a child for which one
#: is different is not forked. A crash point is not among them: the package is imported again in a child that has one.
READ_AT_START = {"LANG", "LC_ALL", "LC_CTYPE", "TZ", "REMAP_SIGTERM"}
#: Those of them that a child applies by itself.
APPLIED = {"PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONPATH", "PYTHONUNBUFFERED"}
#: Names the socket of the process that forks for all processes of this test run. Taken out of the environment: what a
#: test starts is another program, perhaps of another checkout.
SHARED = "TESTS_WARM_PARENT"
_shared = os.environ.pop(SHARED, None)
#: Bytes of a request; a longer one starts an interpreter.
MAX_REQUEST = 100_000

Stream = int | IO[Any]


class WarmProcess:
    """A forked child, with what the tests use of `subprocess.Popen`."""

    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None

    def __init__(self, parent: _Parent, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent
        self._pidfd = os.pidfd_open(pid)
        self._readers: list[threading.Thread] = []
        self._read_bytes = {"stdout": b"", "stderr": b""}

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs. It is not reaped: its number stays its own."""
        if self.returncode is not None or not self._has_ended(0):
            return self.returncode
        code: int = self._parent.ask({"look": self.pid})["code"]
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and reap it. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = self._parent.ask({"reap": self.pid})["code"]
            os.close(self._pidfd)
        assert self.returncode is not None
        return self.returncode

    def _has_ended(self, timeout_s: float | None) -> bool:
        return bool(select.select([self._pidfd], [], [], timeout_s)[0])

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write, read both streams to their ends, wait. Raises `subprocess.TimeoutExpired`; it may be called again."""
        if not self._readers:
            for name in ("stdout", "stderr"):
                stream = getattr(self, name)
                if stream is not None and not stream.closed:
                    reader = threading.Thread(target=self._read, args=(name, stream), daemon=True)
                    self._readers.append(reader)
                    reader.start()
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self.stdin as stdin:
                stdin.write(input or b"")
            self.stdin = None
        deadline = None if timeout is None else time.monotonic() + timeout
        for reader in self._readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if any(reader.is_alive() for reader in self._readers):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return self._read_bytes["stdout"], self._read_bytes["stderr"]

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            self._read_bytes[name] = stream.read()

    def send_signal(self, number: int) -> None:
        """A signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> WarmProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()


def _with_locale(env: Mapping[str, str]) -> Mapping[str, str]:
    """With the locale that an interpreter sets for itself where there is none (PEP 538)."""
    has_locale = any(env.get(name) for name in ("LANG", "LC_ALL", "LC_CTYPE"))
    return env if has_locale else {**env, "LC_CTYPE": "C.UTF-8"}


def _start_parent(*numbers: int) -> None:
    process = subprocess.Popen(
        [sys.executable, str(PARENT), *map(str, numbers)],
        pass_fds=numbers,
        cwd=ROOT,
        env=_plain_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    process.returncode = 0  # it outlives this module: nothing is to wait for it


def share_parent() -> None:
    """Let the processes that this one starts use one process that forks: its imports take more than a second.

    It ends with this process.
    """
    if not _has_pidfd() or SHARED in os.environ:
        return
    directory = tempfile.TemporaryDirectory(prefix="warm-")
    atexit.register(directory.cleanup)
    path = str(Path(directory.name) / "socket")
    run_ends, _run_lasts = os.pipe()  # the writing end stays open in this process alone
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        _start_parent(listener.fileno(), run_ends)
    os.close(run_ends)
    os.environ[SHARED] = path


class _Parent:
    """The process that forks, and the socket to it. It ends with this process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._environ = _plain_environ()
        if _shared is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._socket.connect(_shared)
        else:
            self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with other:
                _start_parent(other.fileno())
        atexit.register(self._socket.close)  # Python would warn of it

    def can_fork(self, arguments: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether a fork is what a new interpreter would be."""
        _, arguments = _split_warnings(arguments)
        if arguments[0].startswith("-") and arguments[0] not in {"-m", "-c"}:
            return False
        if any(name in argument for argument in arguments for name in ("gevent", "eventlet")):
            return False
        names = (READ_AT_START | {name for name in env if name.startswith("PYTHON")}) - APPLIED
        wanted, given = _with_locale(env), _with_locale(self._environ)
        return all(wanted.get(name) == given.get(name) for name in names)

    def ask(self, request: dict[str, Any], streams: Sequence[int] = ()) -> dict[str, Any]:
        """One request, one answer."""
        message = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._socket, [message], streams)
            answer = self._socket.recv(1 << 10)
        if not answer:
            raise RuntimeError("the process that forks has ended")
        reply: dict[str, Any] = json.loads(answer)
        return reply


_parent: _Parent | None = None


def _plain_environ() -> dict[str, str]:
    kept = {"PATH", "HOME", "PYTHONDONTWRITEBYTECODE", *READ_AT_START}
    return {name: value for name, value in os.environ.items() if name in kept}


@lru_cache(maxsize=1)
def _has_pidfd() -> bool:
    """Whether the system tells of the end of a process that is not a child: Linux, if no sandbox forbids it."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def _the_parent() -> _Parent | None:
    global _parent  # noqa: PLW0603 -- one for the process is the point
    if not _has_pidfd():
        return None
    if _parent is None or _parent.owner != os.getpid():
        _parent = _Parent()
    return _parent


def _split_warnings(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The action of a leading `-W`, or "", and the other arguments."""
    if list(arguments[:2]) in (["-W", "error"], ["-W", "ignore"]):
        return arguments[1], list(arguments[2:])
    return "", list(arguments)


def start_python(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | str | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
    start_new_session: bool = False,
) -> Any:
    """`subprocess.Popen([sys.executable, *arguments], ...)`, in bytes."""
    directory = str(Path(cwd or Path.cwd()).absolute())
    action, program = _split_warnings(arguments)
    request = {
        "arguments": program,
        "warnings": action,
        "env": dict(env),
        "directory": directory,
        "new_session": start_new_session,
    }
    parent = _the_parent()
    if parent is None or not parent.can_fork(arguments, env) or len(json.dumps(request)) > MAX_REQUEST:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=dict(env),
            cwd=directory,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=start_new_session,
        )
    ours: dict[str, int] = {}
    theirs: list[int] = []
    with contextlib.ExitStack() as ends:
        for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            if stream == subprocess.PIPE:
                reading, writing = os.pipe()
                theirs.append(reading if name == "stdin" else writing)
                ours[name] = writing if name == "stdin" else reading
                ends.callback(os.close, theirs[-1])
            elif stream == subprocess.DEVNULL:
                theirs.append(ends.enter_context(open(os.devnull, "r+b")).fileno())
            elif stream == subprocess.STDOUT:
                theirs.append(theirs[1])
            else:
                theirs.append(stream if isinstance(stream, int) else stream.fileno())
        process = WarmProcess(parent, parent.ask(request, theirs)["pid"])
    for name, number in ours.items():
        setattr(process, name, os.fdopen(number, "wb" if name == "stdin" else "rb"))
    return process


def run_python(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | str | None = None,
    timeout: float,
    stdin: bytes | None = None,
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run([sys.executable, *arguments], capture_output=True, text=True, ...)`."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        given.write(stdin or b"")
        given.seek(0)
        process = start_python(arguments, env=env, cwd=cwd, stdin=given, stdout=out, stderr=error)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            texts = []
            for stream in (out, error):
                stream.seek(0)
                texts.append(stream.read().decode())
    return subprocess.CompletedProcess([sys.executable, *arguments], code, *texts)


class Warm(ChildProcess):
    """A part that is a Python program, started by `start_python`: put it before the part's class."""

    def _start_process(self, log: IO[bytes]) -> Any:
        program, *arguments = self._command()
        assert program == sys.executable
        return start_python(
            arguments,
            env=self._environ(),
            cwd=self._directory(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class WarmWorker(Warm, WorkerProcess):
    """A worker that is ready soon: it does not wait a second for the clocks and revokes of other workers."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--without-mingle"]

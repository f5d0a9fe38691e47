"""A worker started by a command of the test's own, as an operator would."""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from sockudo_publisher.dev.embedded.process import ChildProcess

from .warm import Warm

ROOT = Path(__file__).resolve().parents[2]

#: What an operator may write for `celery` and `sockudo-publisher`; the programs of this interpreter.
PROGRAMS = {
    "celery": [sys.executable, "-m", "celery"],
    "sockudo-publisher": [sys.executable, "-m", "sockudo_publisher.cli"],
}


class WorkerCommand(ChildProcess):
    """``command``: its first word is a name of :data:`PROGRAMS`. Ready when Celery logs that it is.

    Nothing of this process' environment is passed on but what a program needs to run; ``env`` is.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], logs: Path, directory: Path = ROOT) -> None:
        name = f"command-{uuid.uuid4().hex[:6]}"
        super().__init__(name, logs / f"{name}.log")
        self.node = f"{name}@host"
        self._line, self._env, self._cwd = list(command), dict(env), directory

    def _command(self) -> list[str]:
        program, *options = self._line
        return [*PROGRAMS[program], *options, "--loglevel=INFO", f"--hostname={self.node}"]

    def _environ(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self._env}

    def _directory(self) -> Path:
        return self._cwd

    def _is_ready(self) -> bool:
        return re.search(r"\S+@\S+ ready\.$", self.log_text(), re.MULTILINE) is not None


class WarmCommand(Warm, WorkerCommand):
    """The same, without the wait for imports: where it is no matter what an interpreter reads at its start."""

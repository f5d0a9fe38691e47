"""A Celery worker of this package, in a process group with its pool."""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from .process import ChildProcess

__all__ = ["WorkerProcess"]

#: Seconds between SIGTERM and SIGKILL: a warm shutdown waits for the answer of one delivery (30 s by default).
WORKER_STOP_TIMEOUT_S = 45.0

# Celery's own line, logged at INFO.
_READY = re.compile(r"\S+@\S+ ready\.$", re.MULTILINE)


class WorkerProcess(ChildProcess):
    """``celery -A sockudo_publisher.workerapp worker``, ready when Celery logs it.

    ``env`` are the ``SOCKUDO_*`` settings; those of this process's environment are not passed on. ``pool`` and
    ``concurrency`` are the worker's own by default; ``args`` are further options of ``celery worker``.
    ``directory`` takes the log and is the working directory.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        pool: str | None = None,
        concurrency: int | None = None,
        args: Sequence[str] = (),
        *,
        directory: Path | str,
        name: str | None = None,
    ) -> None:
        # Workers of one broker need different names.
        self.node = name or f"w{uuid.uuid4().hex[:8]}"
        self.directory = Path(directory).absolute()
        super().__init__(f"worker {self.node}", self.directory / f"worker-{self.node}.log")
        self._env = dict(env)
        self._arguments = [f"--hostname={self.node}@%h", "--loglevel=INFO"]
        if pool is not None:
            self._arguments.append(f"--pool={pool}")
        if concurrency is not None:
            self._arguments.append(f"--concurrency={concurrency}")
        self._arguments += args

    def stop(self, timeout_s: float = WORKER_STOP_TIMEOUT_S) -> int:
        """Warm shutdown (SIGTERM), wait, SIGKILL what is left. Returns the exit code."""
        return super().stop(timeout_s)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "sockudo_publisher.workerapp", "worker", *self._arguments]

    def _environ(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "CELERY"))}
        return {**ours, "PYTHONUNBUFFERED": "1", **self._env}

    def _is_ready(self) -> bool:
        return _READY.search(self.log_text()) is not None

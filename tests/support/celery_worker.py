"""A worker of an application's own Celery app."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from sockudo_publisher.dev.embedded.process import ChildProcess

from .warm import Warm


class ForeignWorker(Warm, ChildProcess):
    """`celery -A <app> worker -Q <queues>`, in the directory where the app is importable."""

    def __init__(self, app: str, queues: str, env: Mapping[str, str], logs: Path, directory: Path) -> None:
        name = f"foreign-{uuid.uuid4().hex[:6]}"
        super().__init__(name, logs / f"{name}.log")
        self._app, self._queues, self._name = app, queues, name
        self._env = dict(env)
        self._cwd = directory

    def _command(self) -> list[str]:
        worker = [
            "-m",
            "celery",
            "-A",
            self._app,
            "worker",
            "--pool=threads",
            "--concurrency=2",
            "--loglevel=INFO",
            "--without-mingle",
        ]
        return [sys.executable, *worker, "-Q", self._queues, f"--hostname={self._name}@%h"]

    def _environ(self) -> Mapping[str, str]:
        return {**self._env, "PYTHONUNBUFFERED": "1"}

    def _directory(self) -> Path:
        return self._cwd

    def _is_ready(self) -> bool:
        return re.search(r"\S+@\S+ ready\.$", self.log_text(), re.MULTILINE) is not None

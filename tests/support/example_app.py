"""An example's application as a user starts it: a copy of its directory, its lock's library, a process of its own.

With ``EXAMPLES_PYTHON`` it runs in another environment: CI has one with the wheel and the examples' requirements.
Without, it is forked (tests/support/warm.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sockudo_publisher.dev.embedded import free_ports
from sockudo_publisher.dev.embedded.process import ChildProcess

from .pusher_js import PACKAGE, pusher_js_modules
from .warm import Warm, run_python
from .web_apps import send

__all__ = ["EXAMPLES", "ExampleApp", "ExampleProcess", "copy_example", "copy_files", "run_example"]

#: Seconds for a command of an example, on a machine with a lot to do.
RUN_S = 120.0

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def copy_example(name: str, directory: Path) -> Path:
    """A copy with `node_modules`: the tests' own, whose lock has the same version of pusher-js."""
    lines = {line.strip() for line in (PACKAGE / "package-lock.json").read_text().splitlines() if "sha512" in line}
    wanted = [line.strip() for line in (EXAMPLES / name / "package-lock.json").read_text().splitlines()]
    assert [line for line in wanted if "sha512" in line]
    assert {line for line in wanted if "sha512" in line} <= lines, "another version than the tests install"
    copy = copy_files(name, directory)
    (copy / "node_modules").symlink_to(pusher_js_modules())
    return copy


def example_python() -> str:
    """The interpreter that runs examples: this one, or that of an environment with the wheel."""
    return os.environ.get("EXAMPLES_PYTHON") or sys.executable


def is_forked() -> bool:
    """Whether it is this one."""
    return example_python() == sys.executable


def run_example(
    directory: Path, arguments: Sequence[str], env: Mapping[str, str], *, stdin: str = "", code: int = 0
) -> str:
    """`python ARGUMENTS` in the example's directory, to its end; what it printed."""
    if is_forked():
        done = run_python(arguments, cwd=directory, env=env, stdin=stdin.encode(), timeout=RUN_S)
    else:
        done = subprocess.run(
            [example_python(), *arguments],
            cwd=directory,
            env=dict(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def copy_files(name: str, directory: Path) -> Path:
    """A copy of an example without a page."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    return Path(shutil.copytree(EXAMPLES / name, directory / name, ignore=ignored))


class ExampleProgram(Warm, ChildProcess):
    """A program of an example, until the test ends."""

    def _start_process(self, log: IO[bytes]) -> Any:
        return super()._start_process(log) if is_forked() else ChildProcess._start_process(self, log)


class ExampleProcess(ExampleProgram):
    """`python ARGUMENTS` in the example's directory, until the test ends; ready once its log has a text."""

    def __init__(self, directory: Path, arguments: Sequence[str], env: Mapping[str, str], ready: str) -> None:
        name = f"{directory.name}-{arguments[-1].strip('-')}"
        super().__init__(name, directory.with_name(f"{name}.log"))
        self._example, self._arguments, self._env, self._ready = directory, list(arguments), dict(env), ready

    def _command(self) -> list[str]:
        return [example_python(), *self._arguments]

    def _environ(self) -> Mapping[str, str]:
        return {**self._env, "PYTHONUNBUFFERED": "1"}

    def _directory(self) -> Path:
        return self._example

    def _is_ready(self) -> bool:
        return self._ready in self.log.read_text(errors="replace")


class ExampleApp(ExampleProgram):
    """`python -m COMMAND --port N` in the example's directory; `url` answers once it is started.

    A command with `{port}` is run as it stands, without `-m` and `--port`.
    """

    def __init__(self, directory: Path, command: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(directory.name, directory.with_suffix(".log"))
        (self._port,) = free_ports(1)
        self._example, self._arguments, self._env = directory, list(command), dict(env)
        self.url = f"http://127.0.0.1:{self._port}"

    def _command(self) -> list[str]:
        if "{port}" in self._arguments:
            return [example_python(), *(one.replace("{port}", str(self._port)) for one in self._arguments)]
        return [example_python(), "-m", *self._arguments, "--port", str(self._port)]

    def _environ(self) -> Mapping[str, str]:
        return self._env

    def _directory(self) -> Path:
        return self._example

    def _is_ready(self) -> bool:
        try:
            return send(self.url + "/")[0] == 200
        except OSError:
            return False

"""An example's application as a user starts it: a copy of its directory, its lock's library, a process of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sockudo_publisher.dev.embedded import free_ports
from sockudo_publisher.dev.embedded.process import ChildProcess

from .pusher_js import PACKAGE, pusher_js_modules
from .web_apps import send

__all__ = ["ExampleApp", "copy_example"]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def copy_example(name: str, directory: Path) -> Path:
    """A copy with `node_modules`: the tests' own, whose lock has the same version of pusher-js."""
    lines = {line.strip() for line in (PACKAGE / "package-lock.json").read_text().splitlines() if "sha512" in line}
    wanted = [line.strip() for line in (EXAMPLES / name / "package-lock.json").read_text().splitlines()]
    assert [line for line in wanted if "sha512" in line]
    assert {line for line in wanted if "sha512" in line} <= lines, "another version than the tests install"
    copy = directory / name
    shutil.copytree(EXAMPLES / name, copy, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    (copy / "node_modules").symlink_to(pusher_js_modules())
    return copy


class ExampleApp(ChildProcess):
    """`python -m COMMAND --port N` in the example's directory; `url` answers once it is started."""

    def __init__(self, directory: Path, command: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(directory.name, directory.with_suffix(".log"))
        (self._port,) = free_ports(1)
        self._example, self._arguments, self._env = directory, list(command), dict(env)
        self.url = f"http://127.0.0.1:{self._port}"

    def _command(self) -> list[str]:
        return [sys.executable, "-m", *self._arguments, "--port", str(self._port)]

    def _environ(self) -> Mapping[str, str]:
        return self._env

    def _directory(self) -> Path:
        return self._example

    def _is_ready(self) -> bool:
        try:
            return send(self.url + "/")[0] == 200
        except OSError:
            return False

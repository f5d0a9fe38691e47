"""The recipes for repeated events of docs/publishing.md, run as they are on the page."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded.process import ChildProcess
from tests.support.caller import ROOT
from tests.support.parts import need_module
from tests.support.stack import Stack
from tests.support.warm import Warm

pytestmark = pytest.mark.integration

PAGE = ROOT / "docs" / "publishing.md"


def recipe(name: str) -> str:
    found = re.search(rf"<!-- recipe: {name} -->\n```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Program(Warm, ChildProcess):
    """A scheduler, which runs until the test ends."""

    def __init__(self, command: list[str], env: dict[str, str], directory: Path) -> None:
        super().__init__("scheduler", directory / "scheduler.log")
        self._arguments, self._env, self._at = command, env, directory

    def _command(self) -> list[str]:
        return [sys.executable, *self._arguments]

    def _environ(self) -> dict[str, str]:
        return {**self._env, "PYTHONPATH": f"{self._at}:{ROOT}", "PYTHONUNBUFFERED": "1"}

    def _directory(self) -> Path:
        return self._at

    def _is_ready(self) -> bool:
        return self.is_running


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Callable[..., list[object]]:
    """Run a scheduler until three events have arrived; their data."""
    seen = stack.subscribe("clock")
    stack.worker()

    def run(*command: str) -> list[object]:
        with Program(list(command), stack.python(), tmp_path) as program:
            seen.wait_for_count(3, 60)
            assert program.is_running, program.log_tail()
        return [json.loads(data) for data in seen.data()]

    return run


def test_celery_beat(run: Callable[..., list[object]], tmp_path: Path) -> None:
    (tmp_path / "clock.py").write_text(recipe("beat"))
    arrived = run("-m", "celery", "-A", "clock", "beat", "--schedule", str(tmp_path / "due"), "--pidfile=")
    assert arrived[:3] == [{"every": "second"}] * 3


def test_apscheduler(run: Callable[..., list[object]], tmp_path: Path) -> None:
    """Each second once, though two schedulers run."""
    need_module("apscheduler")
    source = recipe("apscheduler")
    twice = f"{source}\nsecond = BackgroundScheduler()\nsecond.add_job(tick, 'interval', seconds=1)\nsecond.start()\n"
    (tmp_path / "jobs.py").write_text(f"{twice}\ntime.sleep(120)\n")
    arrived = run(str(tmp_path / "jobs.py"))
    seconds = [one["second"] for one in arrived]  # type: ignore[index]
    assert len(seconds) == len(set(seconds)), "its key makes an occurrence one event"

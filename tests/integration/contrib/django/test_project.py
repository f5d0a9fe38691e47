"""Runs the tests of `project/` as `manage.py test` does, in a process whose Django has their settings."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[4]
PROJECT = Path(__file__).parent / "project"
PACKAGE = "tests.integration.contrib.django.project"


def classes_with_tests() -> list[str]:
    """`module.Class` of every class with tests, its own or inherited ones."""
    return [
        f"{file.stem}.{node.name}"
        for file in sorted(PROJECT.glob("tests_*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("With")
    ]


def classes_in(kind: str, output: str) -> list[str]:
    """The classes of these lines of unittest: `test_name (module.Class.test_name)`, without the method before 3.11."""
    return re.findall(rf"^{kind}\S+ \({re.escape(PACKAGE)}\.(\w+\.\w+)[.)]", output, re.MULTILINE)


@pytest.fixture(scope="module")
def done(request: pytest.FixtureRequest, redis_server: RedisServer) -> subprocess.CompletedProcess[str]:
    """One run of all classes that are chosen here: to import Django and to migrate takes longer than they do."""
    items = [item for item in request.session.items if item.path == request.path]
    names = [item.callspec.params["name"] for item in items if isinstance(item, pytest.Function)]
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "DJANGO_"))}
    done = run_python(
        ["-W", "error", "-m", "django", "test", *(f"{PACKAGE}.{name}" for name in names), "--noinput", "-v2"],
        env={**clean, "DJANGO_SETTINGS_MODULE": f"{PACKAGE}.settings", "PROJECT_REDIS_URL": redis_server.url},
        cwd=ROOT,
        timeout=240,
    )
    assert re.search(r"^Ran [1-9]\d* tests", done.stderr, re.MULTILINE), done.stderr[-8000:]
    if not classes_in("(?:FAIL|ERROR): ", done.stderr):  # of a class: its own test fails
        assert done.returncode == 0, done.stderr[-8000:]
        assert "\nOK" in done.stderr
    return done


@pytest.mark.parametrize("name", classes_with_tests())
def test_of_the_project(name: str, done: subprocess.CompletedProcess[str]) -> None:
    """Its output is shown if one fails."""
    assert name in classes_in("", done.stderr), "none of its tests ran"
    assert name not in classes_in("(?:FAIL|ERROR): ", done.stderr), done.stderr[done.stderr.find("\n====") :][-8000:]

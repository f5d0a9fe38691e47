"""Runs the tests of `project/`, each class as `manage.py test` does: Django is configured once per process."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", classes_with_tests())
def test_of_the_project(name: str, redis_url: str) -> None:
    """Its output is shown if one fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "DJANGO_"))}
    done = run_python(
        ["-W", "error", "-m", "django", "test", f"{PACKAGE}.{name}", "--noinput"],
        env={**clean, "DJANGO_SETTINGS_MODULE": f"{PACKAGE}.settings", "PROJECT_REDIS_URL": redis_url},
        cwd=ROOT,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    assert "\nOK" in done.stderr
    assert "Ran 0 tests" not in done.stderr

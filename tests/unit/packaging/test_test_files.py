"""Tests are read by people: files of up to 500 lines, names of up to 60 characters.

The two tables are what is left to split and rename. They only get smaller: an entry that is no longer needed fails.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.warm_parent import MODULES

pytestmark = pytest.mark.unit

TESTS = Path(__file__).resolve().parents[2]

MAX_LINES = 500
MAX_NAME = 60

#: Files that are longer, by the path below tests/.
LONG_FILES: set[str] = set()

#: By file: how many names in it are longer.
LONG_NAMES: dict[str, int] = {}


@cache
def files() -> dict[str, str]:
    """The text of each file of tests."""
    return {str(path.relative_to(TESTS)): path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("*.py"))}


def functions(pattern: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function, with its file's name, of the files in which the pattern is found: most need not be parsed."""
    for file, text in files().items():
        if re.search(pattern, text):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield file, node


def test_files_have_at_most_500_lines() -> None:
    """Split by what is tested."""
    assert {name for name, text in files().items() if text.count("\n") > MAX_LINES} == LONG_FILES


def test_names_have_at_most_60_characters() -> None:
    """The behaviour in plain words; the docstring has the rest."""
    found: Counter[str] = Counter()
    for file, node in functions(rf"def test_\w{{{MAX_NAME - len('test_') + 1},}}"):
        if node.name.startswith("test_"):
            found[file] += len(node.name) > MAX_NAME
    assert dict(+found) == LONG_NAMES


@pytest.mark.parametrize("name", MODULES)
def test_module_that_is_imported_in_advance_exists(name: str) -> None:
    """`tests/support/warm_parent.py` passes over what is not installed; a module that was renamed costs time there."""
    if name.startswith("sockudo_publisher."):
        package = TESTS.parent.joinpath(*name.split("."))
        assert package.with_suffix(".py").is_file() or (package / "__init__.py").is_file()


def test_tasks_inside_tests_are_of_one_app() -> None:
    """A task that is shared, as Celery's are by default, is registered in every app that the process makes later.

    There two tests' tasks of one name warn, and a warning is an error.
    """
    shared: list[str] = []
    for file, node in functions(r"\n +@.*task\b"):
        local = [inner for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef) and inner is not node]
        shared += [f"{file}:{one.lineno}" for one in local if any(map(_is_shared_task, one.decorator_list))]
    assert not shared


def _is_shared_task(decorator: ast.expr) -> bool:
    call = decorator if isinstance(decorator, ast.Call) else None
    name = call.func if call else decorator
    is_task = (isinstance(name, ast.Attribute) and name.attr == "task") or (
        isinstance(name, ast.Name) and name.id == "shared_task"
    )
    says_not = call is not None and any(
        keyword.arg == "shared" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in call.keywords
    )
    return is_task and not says_not

"""Every text of the doctor is for all users: those of an installed package have no checkout to look into."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sockudo_publisher.doctor import checks

pytestmark = pytest.mark.unit

MODULES = sorted(Path(checks.__file__).parent.glob("*.py"))

#: A file that only a checkout has. A page's address on the web is fine.
CHECKOUT = re.compile(r"docker-compose|\bworker/\w|\bscripts/|\bmake \w|(?<![\w/])docs/")


def texts(path: Path) -> list[str]:
    """Every string of a module but its docstrings."""
    tree = ast.parse(path.read_text())
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_advice_names_a_file_of_a_checkout(path: Path) -> None:
    """It says what to put where instead."""
    assert [text for text in texts(path) if CHECKOUT.search(text)] == []


def test_a_file_of_a_checkout_would_be_found() -> None:
    """In the words that were used once."""
    assert CHECKOUT.search("put the nginx of docker-compose.yml (worker/nginx.conf) there")
    assert CHECKOUT.search("the rights (docs/deployment.md, Rights in Redis)")
    assert len([text for path in MODULES for text in texts(path)]) > 100

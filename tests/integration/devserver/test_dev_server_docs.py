"""The Python block of docs/cli.md about the dev-server, run as a reader would; and the tables beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sockudo_publisher.dev.devserver.faults import ORDERS

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


def section() -> str:
    return PAGE.read_text().partition("## dev-server")[2].partition("\n## ")[0]


def test_the_block_runs() -> None:
    """Its assertions hold."""
    (block,) = re.findall(r"```python\n(.*?)```", section(), re.DOTALL)
    exec(compile(block, str(PAGE), "exec"), {})


def test_each_fault_is_on_the_page_with_its_options() -> None:
    """And no other."""
    table = section().partition("### Faults")[2].partition("### In Python")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    written = {
        name: set(re.findall(r"`(\w+)`", options)) for names, options in rows for name in re.findall(r"\w+", names)
    }
    written["forget_ids"] = set()  # it shares a line
    assert written == {name: set(options) for name, options in ORDERS.items()}

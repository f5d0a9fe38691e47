"""The tool that deletes lines of the scripts: which mutants it makes, and what it leaves out with a reason."""

from __future__ import annotations

import re

import pytest

from scripts.lua_mutants import NEEDLESS, mutants
from tests.unit.journal.lua_header import paths

pytestmark = pytest.mark.unit

SCRIPT = """#!lua
-- a comment
local a = 1
if a == 1 then
  b()
else
  c(1,
    2)
end
return {1}
"""


def closes(text: str) -> bool:
    """As a compiler would: every block ends, every bracket closes."""
    opened = len(re.findall(r"\bthen\b", text))
    return opened == len(re.findall(r"\bend\b", text)) and text.count("(") == text.count(")")


def made(*, conditions: bool) -> dict[tuple[int, str], str]:
    """What is left of the code of each mutant, in one line."""
    found = {}
    for one in mutants("x", SCRIPT, closes, conditions=conditions):
        lines = [line.strip() for line in one.text.splitlines() if line.strip() and not line.startswith(("#", "--"))]
        found[one.line, one.what] = " ".join(lines)
    return found


def test_each_line_is_deleted_with_what_belongs_to_it() -> None:
    """Alone where that can be loaded, a block whole; comments are no lines, nor are the ends of blocks."""
    assert made(conditions=False) == {
        (3, "deleted"): "if a == 1 then b() else c(1, 2) end return {1}",
        (4, "deleted to line 9"): "local a = 1 return {1}",
        (5, "deleted"): "local a = 1 if a == 1 then else c(1, 2) end return {1}",
        (6, "deleted"): "local a = 1 if a == 1 then b() c(1, 2) end return {1}",
        (7, "deleted to line 8"): "local a = 1 if a == 1 then b() else end return {1}",
        (10, "deleted"): "local a = 1 if a == 1 then b() else c(1, 2) end",
    }


def test_conditions_are_forced_both_ways() -> None:
    """Beside the deletions."""
    found = made(conditions=True)
    assert found[4, "always true"] == "local a = 1 if true then b() else c(1, 2) end return {1}"
    assert found[4, "always false"] == "local a = 1 if false then b() else c(1, 2) end return {1}"
    assert len(found) == len(made(conditions=False)) + 2


@pytest.mark.parametrize(("file", "what", "line"), list(NEEDLESS), ids=str)
def test_what_is_explained_is_still_there(file: str, what: str, line: str) -> None:
    """An explanation of a line that is gone would hide the next one like it."""
    [path] = [path for path in paths() if path.name == file]
    assert line in [one.strip() for one in path.read_text(encoding="utf-8").splitlines()]
    assert what in ("deleted", "always true", "always false")
    assert NEEDLESS[file, what, line]

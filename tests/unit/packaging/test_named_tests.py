"""The tests that the documents name exist: a promise that nothing shows is found here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import architecture_picture

ROOT = Path(__file__).resolve().parents[3]
NAMED = re.compile(r"`((?:acceptance|conformance|faults|integration|unit|simulation)/[\w/]+\.py)::(\w+)`")

pytestmark = pytest.mark.unit


def test_every_crash_point_names_a_test_or_a_reason() -> None:
    """Its last column: tests, or a dash with a reason."""
    page = (ROOT / "docs" / "reliability.md").read_text()
    table = page.partition("## Crash points")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    assert {len(row) for row in rows} == {5}
    unshown = [row[0] for row in rows if not NAMED.search(row[4]) and not re.fullmatch(r"\u2013 \(.+\)", row[4])]
    assert unshown == []


def test_every_test_that_a_document_names_exists() -> None:
    """By file and by function."""
    named = {match for page in ROOT.glob("docs/**/*.md") for match in NAMED.findall(page.read_text())}
    assert len(named) > 20, "the crash points name their tests"
    missing = [
        f"{file}::{name}"
        for file, name in sorted(named)
        if not (ROOT / "tests" / file).is_file() or f"def {name}(" not in (ROOT / "tests" / file).read_text()
    ]
    assert missing == []


def test_every_room_and_module_is_in_the_architecture() -> None:
    """And what is named there exists."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "sockudo_publisher"
    rooms = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert {name for name in rooms | modules if f"`{name}`" not in page} == set()
    assert set(re.findall(r"`(\w+/)`", page)) - {"tests/"} <= rooms


def test_picture_of_the_rooms_is_made_from_the_contracts() -> None:
    """`python -m scripts.architecture_picture` draws it anew."""
    assert architecture_picture.PICTURE.read_text() == architecture_picture.draw()


def test_files_that_the_architecture_names_exist() -> None:
    """Paths in the package, and the first file of each room."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "sockudo_publisher"
    paths = set(re.findall(r"`([a-z_]+/[\w/]+\.(?:py|lua))`", page)) - {"sockudo_publisher/__init__.py"}
    assert len(paths) > 15
    assert {path for path in paths if not (package / path).is_file()} == set()
    firsts = re.findall(r"^\*\*`(\w+)/`\*\*: (.+?)\n\n", page, re.DOTALL | re.MULTILINE)
    rooms = [room for line in architecture_picture.rooms() for room in line if (package / room).is_dir()]
    assert [room for room, _ in firsts] == rooms
    for room, text in firsts:
        named = re.search(r"Open\s+`(?:dev/)?([\w/]+\.py)`", text)
        assert named, f"{room}: which file to open first"
        assert (package / room / named[1]).is_file(), f"{room}: {named[1]}"

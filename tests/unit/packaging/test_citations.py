"""What code, tests and documents cite of docs/server.md and docs/sdks.md is there, and what stands there is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
CITED_PAGES = ("server", "sdks")
ROOMS = ("benchmarks", "docs", "examples", "scripts", "sockudo_publisher", "tests", "worker")
KINDS = {".conf", ".html", ".js", ".lua", ".md", ".py", ".toml", ".yml"}

#: Notes that the code once cited and no reader has. (`crates/sockudo-server/` is the server's source.)
GONE = [
    re.compile(name)
    for name in (r"sockudo-server(?<!crates/sockudo-server)\b", r"sdk-matrix\b", r"sockudo-under-faults\b")
]

CITATION = re.compile(r"docs/(server|sdks)\.md(?P<list>, )?")
#: A number of the server's page, a row's id (a letter and a number, or a letter), or a heading in words.
ITEM = re.compile(r"\d+(?:\.\d+)*|[A-Z]\d+\b|[A-Z]\b|[A-Z][a-z]+(?: [a-z]+)*?(?=[,.;:)]|$)")
BETWEEN = re.compile(r" (?P<to>to) |, and | and |, (?!docs/)")

NAMED_TEST = re.compile(r"`(?:acceptance|conformance|faults|integration|unit|simulation)/[\w/]+\.py::\w+`")
#: In the name of a test, the rows of docs/sdks.md that it shows.
SHOWN_ROWS = re.compile(r"def (test_((?:[pgv]\d+_)+)\w*)\(")
LINK = re.compile(r"\]\(([\w/.-]*\.md)?#([^)]+)\)")


@dataclass
class Page:
    """What can be cited of one: headings by number or text, rows by their ids; and each row's cells."""

    numbers: set[str] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)
    rows: dict[str, list[str]] = field(default_factory=dict)

    def has(self, item: str) -> bool:
        return item in self.numbers or item in self.titles or item in self.rows


@cache
def page(name: str) -> Page:
    found = Page()
    for line in (ROOT / "docs" / f"{name}.md").read_text().splitlines():
        if heading := re.fullmatch(r"#{2,3} (?:(\d+(?:\.\d+)*)\.? )?(.+)", line):
            if heading[1]:
                assert heading[1] not in found.numbers, f"{name}.md has {heading[1]} twice"
                found.numbers.add(heading[1])
            found.titles.add(heading[2])
        elif line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            for one in ids(cells[0]):
                assert one not in found.rows, f"{name}.md has {one} twice"
                found.rows[one] = cells
    return found


def ids(cell: str) -> Iterator[str]:
    """Of a row's first cell: `P7`, `F9, F10`, `F1 to F5`."""
    for part in cell.split(", "):
        first, _, last = part.partition(" to ")
        if not re.fullmatch(r"[A-Z]\d*", first):
            return
        if not last:
            yield first
        else:
            assert first[0] == last[0]
            yield from (f"{first[0]}{n}" for n in range(int(first[1:]), int(last[1:]) + 1))


@cache
def texts() -> list[tuple[str, str]]:
    """Every file that may cite something, but this one."""
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.suffix in KINDS]
    files += [*ROOT.glob("*.md"), *ROOT.glob("*.yml"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    return [
        (str(path.relative_to(ROOT)), path.read_text())
        for path in files
        if path.is_file() and path != Path(__file__).resolve() and "node_modules" not in path.parts
    ]


def flowing(text: str) -> str:
    """Without the ends of its lines and the marks of comments, so that a citation may go over two lines."""
    return re.sub(r"\s*\n\s*(?:#:? |-- )?\s*", " ", text)


def cited(text: str) -> Iterator[tuple[str, str]]:
    """Page and item of each citation; an empty item where what is cited cannot be read. Of a range, all of it."""
    if not CITATION.search(text):
        return
    text = flowing(text)
    for citation in CITATION.finditer(text):
        if not citation["list"]:
            continue
        position, is_range, before = citation.end(), False, ""
        while True:
            item = ITEM.match(text, position)
            if item is None:
                yield citation[1], ""
                break
            yield from ((citation[1], one) for one in (span(before, item[0])[1:] if is_range else [item[0]]))
            before = item[0]
            between = BETWEEN.match(text, item.end())
            if between is None or ITEM.match(text, between.end()) is None:
                break
            position, is_range = between.end(), bool(between["to"])


def span(first: str, last: str) -> list[str]:
    """All from one item to another of the same kind: `P1` to `P3`, `1.5` to `1.8`."""
    stem, start = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
    end = re.fullmatch(rf"{re.escape(stem)}(\d+)", last)
    assert end, f"{first} to {last}"
    return [f"{stem}{n}" for n in range(int(start), int(end[1]) + 1)]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("(docs/server.md, 3.5)", ["3.5"]),
        ("Facts: docs/server.md,\n1, 3 and 4; docs/sdks.md, F6 to F8.", ["1", "3", "4", "F6", "F7", "F8"]),
        ("# as it says (docs/server.md,\n# 1.2 to\n# 1.4)", ["1.2", "1.3", "1.4"]),
        ("docs/sdks.md, P7\n        and P8).", ["P7", "P8"]),
        ("docs/server.md, A9 and B", ["A9", "B"]),
        ("(docs/sdks.md, Requests and vectors; docs/server.md, 4.2)", ["Requests and vectors", "4.2"]),
        ("(docs/server.md, 3; seen on 5.2.0)", ["3"]),
        ("docs/server.md, 1 and 2.\n", ["1", "2"]),
        ("docs/server.md and docs/sdks.md; each", []),
        ("docs/server.md, section 3", [""]),
    ],
)
def test_citations_are_read(text: str, items: list[str]) -> None:
    """As they are written here: lists, ranges, headings, over two lines."""
    assert [item for _, item in cited(text)] == items


def test_every_citation_is_on_its_page() -> None:
    """A number, a row's id or a heading."""
    citations = [(file, *citation) for file, text in texts() for citation in cited(text)]
    assert len(citations) > 80
    assert [one for one in citations if not page(one[1]).has(one[2])] == []


def test_notes_that_no_reader_has_are_cited_nowhere() -> None:
    """By any of their names."""
    lower = [(file, text.lower()) for file, text in texts()]
    assert [(file, found) for file, text in lower for name in GONE for found in name.findall(text)] == []


def test_numbers_leave_none_out() -> None:
    """A reader of 3.5 expects a 3.4."""
    numbers = page("server").numbers
    for number in numbers:
        stem, _, last = number.rpartition(".")
        assert last == "1" or f"{stem}.{int(last) - 1}".lstrip(".") in numbers, number
        assert not stem or stem in numbers, number


def test_every_defect_has_a_test_that_holds_us_to_it() -> None:
    """And every test that is named after a row of docs/sdks.md has that row, which names it."""
    rows = page("sdks").rows
    defects = {name: cells for name, cells in rows.items() if name[0] in "PG"}
    assert len(defects) >= 34
    assert [name for name, cells in defects.items() if not NAMED_TEST.search(cells[-1])] == []
    shown = [
        (row, f"::{test}`")
        for path in (ROOT / "tests").rglob("test_*.py")
        for test, names in SHOWN_ROWS.findall(path.read_text())
        for row in names.strip("_").upper().split("_")
    ]
    assert len(shown) > 40
    assert [one for one in shown if one[0] not in rows or one[1] not in rows[one[0]][-1]] == []


def test_every_fact_says_how_it_is_known() -> None:
    """Where it was read, or that it was seen; and a test, or a dash."""
    text = (ROOT / "docs" / "server.md").read_text().partition("## Under faults")[0]
    facts = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| (?!fact|code)", line)]
    assert len(facts) > 80
    known = re.compile(r"(?:`[\w/.-]+\.rs`|seen)(?:, (?:`[\w/.-]+\.rs`|seen))*")
    assert [cells[0] for cells in facts if not known.fullmatch(cells[-2])] == []
    assert [cells[0] for cells in facts if not (NAMED_TEST.search(cells[-1]) or cells[-1].startswith("\u2013"))] == []


def test_links_to_headings_arrive() -> None:
    """Of all documents to all documents, as GitHub makes the anchors of headings."""
    broken = []
    for path in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]:
        for target, anchor in LINK.findall(path.read_text()):
            other = (path.parent / target).resolve() if target else path
            if not other.is_file() or anchor not in anchors(other):
                broken.append((path.name, target, anchor))
    assert broken == []


@cache
def anchors(path: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

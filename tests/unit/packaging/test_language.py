"""Plain language: the glossary's places exist, and refused phrases and names stay out of documents and code.

Documents have no hit. Code may have as many as ``language_allowed.json`` allows per file; the number may only fall.
After a change that lowers it, write the file anew: ``python -m tests.unit.packaging.test_language``.
"""

from __future__ import annotations

import ast
import bisect
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
ALLOWED = Path(__file__).with_name("language_allowed.json")
GLOSSARY = ROOT / "docs" / "glossary.md"

#: Longest name of a test, in characters.
MAX_TEST_NAME = 60
#: A test with a longer one, or a text that looks like it.
LONG_TEST_NAME = re.compile(rf"def test_\w{{{MAX_TEST_NAME - len('test_') + 1},}}")


class Refused(NamedTuple):
    """A pattern, what to write instead, and a text that each match has: without it a file need not be searched."""

    pattern: str
    instead: str
    part: str = ""


#: In documents, comments, docstrings, messages and names. Letters beside the pattern are part of another word; an
#: underscore is not, so that names are searched too.
PHRASES = (
    Refused("somebody|someone", "name the part: a worker, a caller, another program"),
    Refused("nobody|noone", "no worker, no subscriber, no caller"),
    Refused("anybody|anyone", "any worker, any subscriber, any caller"),
    Refused("who asks|who is asked|who asked", "the worker that probes; the canaries to repeat"),
    Refused("what is said|what was said|what died", "name the thing: the message, the dead letter"),
    Refused("what came of|what comes of|comes of it|came of it|what became of", "the result of"),
    Refused("so many", "the number of; that number"),
    Refused("but for", "except; without"),
    Refused("is told|are told|was told|were told", "receives a message; is informed; measures"),
    Refused("of ours", "our (name the thing)"),
    Refused("of yours", "your own"),
    Refused("of theirs", "their"),
    Refused("whoever|whomever", "name the part"),
    Refused("stands? in the way|stands? in nobody", "blocks"),
    Refused("has its way|gets? no way", "wins; is refused"),
    Refused("at its word", "name what is believed"),
    Refused("wakes? no one|and nobody hears", "is not sent"),
    Refused("says? so(?! far)", "name the effect: logs it, raises, prints it"),
)

#: In documents alone.
DOCUMENT_PHRASES = (
    Refused("words", "text; message"),
    Refused(r"under `?hold`?|ON_UNCERTAIN=`?hold", "under `park`; SOCKUDO_ON_UNCERTAIN=park"),
    Refused("server's memory|memory of (?:the )?(?:message )?ids", "the dedup memory"),
    Refused("look-alike", "the embedded server"),
)

#: In code alone: names.
CODE_NAMES = (
    Refused(r"\b_?MOST_\w+|\b\w+_MOST\b", "MAX_...", "MOST"),
    Refused(r"\b_?LEAST_\w+|\b\w+_LEAST\b", "MIN_...", "LEAST"),
    Refused(r"\bSaid\b", "ServerReply", "Said"),
    Refused(r"\bnoted\b", "a verb with its object", "noted"),
    Refused(r"\bwords\b(?=\s*[=:,)\]])|\.words\b", "text, message, error_text", "words"),
    Refused(
        r"def _?(?:noted|found|over|said|asked|learned|known|told)\b", "a verb with its object, or is_/has_", "def "
    ),
    Refused(r"(?<![\w.])at\(\"\w+\"\)", 'crash_point("...")', 'at("'),
    Refused(r"ON_UNCERTAIN\W{1,4}hold|on_uncertain\W{1,6}hold|under `{0,2}hold", "park", "hold"),
)

#: Pages whose subject has one of the refused strings as data: the test itself, and other projects' texts.
NOT_READ = {
    Path(__file__).resolve(),
    ALLOWED.resolve(),
    ROOT / "docs" / "glossary.md",
}
DOCUMENTS = ("docs/**/*.md", "*.md", "examples/**/*.md")
CODE = ("sockudo_publisher", "worker", "scripts", "benchmarks", "examples", "tests")
CODE_KINDS = {".py", ".lua", ".conf", ".toml"}
CODE_FILES = ("Makefile", "docker-compose.yml", "pyproject.toml", "worker/Dockerfile", ".ci/run")

#: Pages that begin in another way.
OTHER_BEGINNINGS = {"architecture.md", "protocol.md", "settings.md"}

#: Terms that the glossary has to have.
TERMS = {
    *(
        "app",
        "append",
        "attempt",
        "canary",
        "canvas",
        "dead letter",
        "dedup memory",
        "doorbell",
        "drain",
        "entry",
        "event",
    ),
    *("fencing", "gate", "hold", "item", "journal", "key", "lane", "layout", "lease", "ledger", "marker", "message id"),
    *("outbox", "pack", "park", "pause", "probe", "receipt", "resend", "ring", "search", "settle", "sweep", "take"),
    *("uncertain", "window"),
}


class Pattern(NamedTuple):
    """A compiled one. Phrases are searched in lower case, and letters beside them make another word of them."""

    search: re.Pattern[str]
    instead: str
    is_phrase: bool
    part: str


def phrases(*refused: Refused) -> list[Pattern]:
    """One for each alternative, with the plain text that it begins with: most files lack it."""
    return [
        Pattern(re.compile(pattern), one.instead, True, plain_beginning(pattern))
        for one in refused
        for pattern in one.pattern.lower().split("|")
    ]


def plain_beginning(pattern: str) -> str:
    """The text that each match begins with: up to the first sign, or to the letter that a `?` makes optional."""
    [plain] = re.findall(r"^[a-z_' ]*(?!\?)", pattern)
    return str(plain)


IN_DOCUMENTS = phrases(*PHRASES, *DOCUMENT_PHRASES)
IN_CODE = phrases(*PHRASES) + [Pattern(re.compile(one.pattern), one.instead, False, one.part) for one in CODE_NAMES]


class Hit(NamedTuple):
    """Where a refused phrase or name is."""

    file: str
    line: int
    text: str
    instead: str


def hits(file: str, text: str, patterns: list[Pattern]) -> Iterator[Hit]:
    """Every one. A phrase may go over the end of a line, and over the mark of a comment."""
    lines = [line.strip().lstrip("#:-*> ") for line in text.splitlines()]
    starts = [0, *itertools.accumulate(len(line) + 1 for line in lines)]
    flat = " ".join(lines)
    lower = flat.lower()
    for pattern in patterns:
        searched = lower if pattern.is_phrase else flat
        if pattern.part not in searched:
            continue
        for match in pattern.search.finditer(searched):
            beside = lower[max(match.start() - 1, 0) : match.start()] + lower[match.end() : match.end() + 1]
            if not (pattern.is_phrase and re.search("[a-z]", beside)):
                line = bisect.bisect_right(starts, match.start())
                yield Hit(file, line, flat[match.start() : match.end()], pattern.instead)


def without_code_spans(text: str) -> str:
    """A document whose names of tests, variables and commands are blank: they are checked where they are defined."""
    return re.sub(r"`[^`\n]*(?:::|/)[^`\n]*`", lambda span: " " * len(span[0]), text)


def document_hits() -> list[Hit]:
    paths = sorted({path for pattern in DOCUMENTS for path in ROOT.glob(pattern)} - NOT_READ)
    assert len(paths) > 15
    return [
        hit
        for path in paths
        for hit in hits(str(path.relative_to(ROOT)), without_code_spans(path.read_text()), IN_DOCUMENTS)
    ]


def code_files() -> Iterator[Path]:
    yield from (ROOT / name for name in CODE_FILES)
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in CODE_KINDS and path not in NOT_READ and "node_modules" not in path.parts:
                yield path


#: Names that Django dictates, and models named as what the admin shows.
OF_DJANGO = {"Command", "DeadLetter", "Meta", "Migration", "ScheduledEvent"}


def is_of_django(file: str, name: str) -> bool:
    """Whether a class of a Django app has a name that it cannot choose."""
    return "/django/" in file and name in OF_DJANGO


@cache
def code_hits() -> list[Hit]:
    """Phrases and names, tests with too long a name, and classes whose name the package has twice."""
    found: list[Hit] = []
    classes: dict[str, list[Hit]] = {}
    for path in code_files():
        file, text = str(path.relative_to(ROOT)), path.read_text()
        found += hits(file, text, IN_CODE)
        is_ours = file.startswith("sockudo_publisher/")
        if path.suffix != ".py" or not (is_ours or LONG_TEST_NAME.search(text)):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > MAX_TEST_NAME:
                found.append(Hit(file, node.lineno, node.name, f"at most {MAX_TEST_NAME} characters"))
            if isinstance(node, ast.ClassDef) and is_of_django(file, node.name):
                continue
            if isinstance(node, ast.ClassDef) and is_ours:
                classes.setdefault(node.name, []).append(Hit(file, node.lineno, node.name, "a class name is used once"))
    return found + [hit for same in classes.values() if len(same) > 1 for hit in same]


def shown(found: list[Hit]) -> str:
    return "\n".join(f"{hit.file}:{hit.line}: {hit.text!r}; instead: {hit.instead}" for hit in found)


def test_documents_have_no_refused_phrase() -> None:
    """Every page, the README and the other files in capitals."""
    found = document_hits()
    assert found == [], "\n" + shown(found)


def test_pages_begin_with_what_the_reader_can_do() -> None:
    """The first sentence of each page of docs/."""
    pages = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.name not in OTHER_BEGINNINGS]
    assert len(pages) > 12
    begins = {path.name: path.read_text().split("\n\n")[1] for path in pages}
    assert [name for name, begin in begins.items() if not begin.startswith("After this page you ")] == []


def test_code_has_no_more_refused_phrases_than_allowed() -> None:
    """Per file; a file that the list does not name has none."""
    allowed: dict[str, int] = json.loads(ALLOWED.read_text())
    found = code_hits()
    counts = Counter(hit.file for hit in found)
    worse = {file for file, count in counts.items() if count > allowed.get(file, 0)}
    assert not worse, "\n" + shown([hit for hit in found if hit.file in worse])


def test_allowed_numbers_only_fall() -> None:
    """A number above what its file has would let a new hit in."""
    counts = Counter(hit.file for hit in code_hits())
    loose = {file: n for file, n in json.loads(ALLOWED.read_text()).items() if n > counts[file]}
    assert loose == {}, "run: python -m tests.unit.packaging.test_language"


@pytest.mark.parametrize(
    ("text", "patterns", "expected"),
    [
        ("for nobody to see", IN_DOCUMENTS, ["nobody"]),
        ("test_stops_nobody_else", IN_CODE, ["nobody"]),
        ("it is\ntold", IN_DOCUMENTS, ["is told"]),
        ("passwords and keywords", IN_DOCUMENTS, []),
        ("MOST_ITEMS = 3", IN_CODE, ["MOST_ITEMS"]),
        ("of several", IN_DOCUMENTS, []),
        ("batches under `hold` wait", IN_DOCUMENTS, ["under `hold`"]),
        ("a held channel, a hold, `hold` of a channel", IN_DOCUMENTS, []),
        ('at("taken")', IN_CODE, ['at("taken")']),
        ('crash_point("taken"); look_at("x")', IN_CODE, []),
        ("Step(words=text)", IN_CODE, ["words"]),
    ],
)
def test_hits_are_found(text: str, patterns: list[Pattern], expected: list[str]) -> None:
    """And nothing else."""
    assert [hit.text for hit in hits("file", text, patterns)] == expected


def test_glossary_places_exist() -> None:
    """Each term has one row, one meaning, and a module, script or room that exists."""
    rows = [line.strip("| ").split(" | ") for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0] != "term"]
    assert {len(row) for row in rows} == {3}
    terms = [row[0] for row in rows]
    assert sorted(terms) == sorted(set(terms))
    assert [row for row in rows if not row[1] or not (ROOT / row[2].strip("`")).exists()] == []
    assert TERMS - set(terms) == set()


def write_allowed() -> None:
    """Allow each file what it has now."""
    counts = Counter(hit.file for hit in code_hits())
    ALLOWED.write_text(json.dumps(dict(sorted(counts.items())), indent=2) + "\n")


if __name__ == "__main__":
    write_allowed()
    print(f"{sum(json.loads(ALLOWED.read_text()).values())} hits allowed in {ALLOWED.name}")
    print(shown(document_hits()))

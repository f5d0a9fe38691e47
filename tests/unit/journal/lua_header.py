"""What the header of a Lua script says, and what its body does: read with a few regular expressions.

A header names every key and argument as ``KEYS[n]`` and ``ARGV[n]``, several to a line where they are short. The last
of them may repeat: ``ARGV[5...] per key: fingerprint, channel`` are two for each key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import sockudo_publisher.journal

LUA = Path(sockudo_publisher.journal.__file__).parent / "lua"

_SLOT = re.compile(r"(KEYS|ARGV)\[(\d+)(\.\.\.)?\] ")
_USED = re.compile(r"\b(KEYS|ARGV)\[(\d+)")
_VALUE = r"(?:KEYS\[\d+\]|ARGV\[\d+\](?: == '\w+')?|tonumber\(ARGV\[\d+\]\)|\{unpack\(ARGV, \d+\)\}|0)"
_NAMES = re.compile(rf"local \w+(?:, \w+)* = {_VALUE}(?:, {_VALUE})*")
_COMMENT = re.compile(r"--.*$", re.MULTILINE)
_ANSWERS = (
    re.compile(r"return \{(-?\d+)"),
    re.compile(r"\banswer = \{(-?\d+)"),
    re.compile(r"\banswer\[1\] = (-?\d+)"),
    re.compile(r"table\.insert\(answer, 1, (-?\d+)\)"),
)


@dataclass(frozen=True)
class Slot:
    """One documented key or argument. ``repeats``: how many belong together from ``number`` on, 0 = just one."""

    kind: str
    number: int
    text: str
    repeats: int


@dataclass(frozen=True)
class Header:
    """A script's own documentation."""

    name: str
    title: str
    keys: tuple[Slot, ...]
    args: tuple[Slot, ...]
    answers: frozenset[str]

    def slots(self, kind: str) -> tuple[Slot, ...]:
        return self.keys if kind == "KEYS" else self.args


def paths() -> list[Path]:
    """Every file, whether Python knows it or not."""
    return sorted(LUA.glob("**/*.lua"), key=lambda path: path.stem)


def is_operation(text: str) -> bool:
    """Whether it is a script; else it is included by scripts."""
    return text.startswith("#!lua")


def code(text: str) -> str:
    """The text without comments."""
    return _COMMENT.sub("", text)


def comment(text: str) -> list[str]:
    """The lines of the comment at its top."""
    lines = text.splitlines()[1 if is_operation(text) else 0 :]
    found = []
    for line in lines:
        if not line.startswith("--") or line.startswith(("-- include", "--:")):
            break
        found.append(line.removeprefix("--").strip())
    return found


@lru_cache(maxsize=64)
def read_header(name: str) -> Header:
    """The header of one operation."""
    lines = comment((LUA / f"{name}.lua").read_text(encoding="utf-8"))
    title, *rest = lines
    returns = next(i for i, line in enumerate(rest) if line.startswith("Returns "))
    slots = _slots(" ".join(rest[:returns]))
    answers = re.findall(r"\{([A-Z_]+)(?: or ([A-Z_]+))?", " ".join(rest[returns:]))
    return Header(
        name=name,
        title=title,
        keys=tuple(slot for slot in slots if slot.kind == "KEYS"),
        args=tuple(slot for slot in slots if slot.kind == "ARGV"),
        answers=frozenset(word for pair in answers for word in pair if word),
    )


def _slots(text: str) -> list[Slot]:
    found = []
    matches = [one for one in _SLOT.finditer(text) if not text[: one.start()].endswith(" of ")]
    for match, end in zip(matches, [one.start() for one in matches[1:]] + [len(text)], strict=True):
        kind, number, dots = match.groups()
        label = text[match.end() : end].strip()
        found.append(Slot(kind, int(number), label, _group(label) if dots else 0))
    return found


def _group(text: str) -> int:
    """``per key: fingerprint, channel`` are two; one without ``per``."""
    _, colon, parts = re.sub(r"\([^)]*\)", "", text).partition(": ")
    return len(parts.split(",")) if text.startswith("per ") and colon else 1


def used(text: str, kind: str) -> set[int]:
    """The literal numbers of the keys or arguments that the code uses."""
    return {int(number) for found, number in _USED.findall(code(text)) if found == kind}


def name_lines(text: str) -> list[str]:
    """The lines at the top of the code that give keys and arguments their names, before anything is done with them."""
    found = []
    for line in code(text).splitlines()[1:]:
        if not line.strip() or re.match(r"local MAX_\w+ = |local LONGEST_MS = ", line):
            continue
        if not _NAMES.fullmatch(line.strip()):
            break
        found.append(line)
    return found


def named_keys(text: str) -> dict[str, int]:
    """Local name -> number of the key that it names."""
    found = {}
    for line in name_lines(text):
        names, values = line.strip().removeprefix("local ").split(" = ", 1)
        for name, value in zip(names.split(", "), values.split(", "), strict=False):
            if match := re.fullmatch(r"KEYS\[(\d+)\]", value):
                found[name] = int(match[1])
    return found


def answered(text: str) -> set[int]:
    """The literal codes that the code answers with."""
    return {int(number) for pattern in _ANSWERS for number in pattern.findall(code(text))}

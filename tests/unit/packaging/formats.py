"""The small formats of nginx's and compose's files, as far as the tests read them."""

from __future__ import annotations

import re


def nginx_directives(text: str) -> dict[str, list[str]]:
    """Every simple directive by name, with its arguments as one string each (blocks are flattened)."""
    code = re.sub(r"#[^\n]*", "", text)
    found: dict[str, list[str]] = {}
    for statement in re.findall(r"([^;{}]+);", code):
        name, _, arguments = " ".join(statement.split()).partition(" ")
        found.setdefault(name, []).append(arguments)
    return found


def seconds(duration: str) -> float:
    """A duration as compose and nginx write it (`45s`, `2m`)."""
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def mebibytes(size: str) -> int:
    return int(re.fullmatch(r"(\d+)m", size).group(1)) * 2**20

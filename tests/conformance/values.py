"""Observed values: made the same in every run, compared, and written for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["normalize", "shown", "value_diff"]


def normalize(value: Any, tokens: Mapping[str, str]) -> Any:
    """`value` as JSON has it, with what differs between runs (`tokens`: text, name) replaced by its name."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    # The longest first: one token may be part of another.
    for token in sorted(tokens, key=len, reverse=True):
        text = text.replace(json.dumps(token, ensure_ascii=False)[1:-1], tokens[token])
    return json.loads(text)


def shown(value: Any) -> str:
    """In one line: `a: 1; b: text`, without JSON's quotes where nothing is unclear without them."""
    match value:
        case dict() if value:
            return "; ".join(f"{key}: {_inner(one)}" for key, one in value.items())
        case _:
            return _inner(value)


def _inner(value: Any) -> str:
    match value:
        case str() if value and value == value.strip():
            return value
        case list() if value and all(isinstance(one, str) and one for one in value):
            return ", ".join(value)
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def value_diff(recorded: Any, observed: Any) -> list[str]:
    """The parts that differ, a line for each value: `- recorded`, `+ observed`."""
    if isinstance(recorded, dict) and isinstance(observed, dict):
        lines = []
        for key in [*recorded, *(key for key in observed if key not in recorded)]:
            if key not in observed:
                lines.append(f"- {key}: {shown(recorded[key])}")
            elif key not in recorded:
                lines.append(f"+ {key}: {shown(observed[key])}")
            elif recorded[key] != observed[key]:
                lines += [f"- {key}: {shown(recorded[key])}", f"+ {key}: {shown(observed[key])}"]
        return lines
    return [] if recorded == observed else [f"- {shown(recorded)}", f"+ {shown(observed)}"]

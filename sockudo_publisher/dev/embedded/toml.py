"""Write a configuration as TOML: tables, strings, numbers, booleans, lists.

The standard library reads TOML from Python 3.11 on and writes it in none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["dumps", "merged"]


def dumps(document: Mapping[str, Any]) -> str:
    """The document as TOML, one line per top-level name, what is below it as inline tables."""
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in document.items())


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``, table by table."""
    result = dict(base)
    for name, value in over.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _key(name: str) -> str:
    return json.dumps(name)  # a JSON string is a TOML basic string


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value)
    raise TypeError(f"no TOML for a {type(value).__name__}")

"""Where a value cannot be JSON: the path to what an encoder refuses, as ``data.items[3].price``. Pure.

Asked only once an encoder has failed. A path has the names of fields and no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["path_to_fault", "path_to_surrogate"]

#: Steps of a path that an error shows; a deeper place is shown up to there.
MAX_STEPS = 50
#: Characters of a field's name that are shown.
MAX_NAME_CHARACTERS = 50

#: What JSON has itself; `bool` is an `int`.
_OF_JSON = (dict, list, tuple, str, int, float, type(None))


#: The JSON form of a value that JSON does not have. Raises for a value without one.
Expand = Callable[[object], object]


def path_to_fault(field: str, value: object, encode: Callable[[object], object], expand: Expand | None = None) -> str:
    """The path from ``field`` to the first part of ``value`` that ``encode`` refuses.

    ``expand``: the path goes on into the JSON form of a value, as of a dataclass.
    """

    def is_fault(part: object) -> bool:
        if isinstance(part, dict):
            return not all(_is_name(name) for name in part)
        if isinstance(part, list | tuple):
            return False
        try:
            encode(part)
        except Exception:  # noqa: BLE001  # whatever an encoder of the caller's raises
            return True
        return False

    return _first(field, value, is_fault, [], expand)[0]


def path_to_surrogate(field: str, value: object, expand: Expand | None = None) -> str:
    """The path from ``field`` to the first text in ``value``, a name or a value, that is not UTF-8."""

    def is_fault(part: object) -> bool:
        if isinstance(part, dict):
            return any(_is_broken(name) for name in part)
        return _is_broken(part)

    return _first(field, value, is_fault, [], expand)[0]


def _first(
    path: str, value: object, is_fault: Callable[[object], bool], around: list[object], expand: Expand | None
) -> tuple[str, bool]:
    """The path to the first fault, and whether there is one; ``around``: the objects that ``value`` is in."""
    if any(value is outer for outer in around) or len(around) >= MAX_STEPS:
        return path, True
    if expand is not None and not isinstance(value, _OF_JSON):
        try:
            form = expand(value)
        except Exception:  # noqa: BLE001  # whatever a model of the caller's raises
            return path, True
        around.append(value)
        found = _first(path, form, is_fault, around, expand)
        around.pop()
        return found
    if is_fault(value):
        return path, True
    if isinstance(value, dict):
        parts = ((_step(name), part) for name, part in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        return path, False
    around.append(value)
    for step, part in parts:
        found = _first(path + step, part, is_fault, around, expand)
        if found[1]:
            return found
    around.pop()
    return path, False


def _step(name: object) -> str:
    text = name if isinstance(name, str) else str(name)
    if text.isidentifier() and text.isascii() and len(text) <= MAX_NAME_CHARACTERS:
        return f".{text}"
    shown = ascii(text[:MAX_NAME_CHARACTERS]) if isinstance(name, str) else text[:MAX_NAME_CHARACTERS]
    return f"[{shown}]"


def _is_name(name: object) -> bool:
    """Whether ``json`` takes it for a name."""
    if isinstance(name, float):
        return math.isfinite(name)
    return name is None or isinstance(name, str | int)


def _is_broken(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False

"""What Sockudo's parser takes in ``extras``: everything else is refused here, by name, before it is stored or sent.

The parser refuses the whole request (400 or 422), so an event that it cannot read would cost a search in its lane and
end as a dead letter. Each rule was seen on Sockudo 5.2.0 (docs/server.md, 3.6). Pure. Imports the error tree
alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypedDict

from ...errors import ValidationError

__all__ = [
    "MAX_INTEGER",
    "MAX_LEVELS_IN_BATCH",
    "MAX_LEVELS_IN_EVENT",
    "MIN_INTEGER",
    "AiExtras",
    "Extras",
    "ExtrasLike",
    "check_json_bounds",
    "check_known_extras",
]

#: Levels of ``extras``, itself the first, in ``/events``: the server's parser stops at the 128th of the whole body.
MAX_LEVELS_IN_EVENT = 126
#: The same in ``/batch_events``, where two more stand around each event. Queued events are sent there.
MAX_LEVELS_IN_BATCH = 124
#: Integers that keep their value: the server reads others as a float, or refuses the request (from 1.8e308 on).
MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1

#: Characters of a field's place that a complaint shows.
MAX_PLACE_CHARACTERS = 100


class AiExtras(TypedDict, total=False):
    """``extras["ai"]``: for channels with AI Transport. Text by name; in queued events at most one entry each."""

    transport: Mapping[str, str]
    codec: Mapping[str, str]


class Extras(TypedDict, total=False):
    """The names that Sockudo 5.2.0 knows in ``extras``, for type checkers and editors.

    ``ephemeral``: neither history nor recovery keeps the event. ``echo``: ``False`` is for events that a subscriber
    sends; in a publish it has no effect, ``socket_id`` has. ``headers``: values by name, at most one entry in a queued
    event. ``idempotencyKey``: 1 to 128 bytes; the event's id if it has none, so a queued event, which has one, takes
    ``key=``. ``ai``: see :class:`AiExtras`. Any other name may hold any JSON. Subscribers of protocol 2 get all of it.
    """

    ephemeral: bool
    echo: bool
    headers: Mapping[str, str | int | float | bool]
    idempotencyKey: str
    ai: AiExtras


#: What the calls take: :class:`Extras`, or a mapping with the application's own names too.
ExtrasLike: TypeAlias = "Extras | Mapping[str, Any]"

# The shortest integers that may be out of bounds have 19 digits.
_LONG_NUMBER = re.compile(r"[0-9]{19}")


def check_known_extras(extras: Mapping[str, Any]) -> None:
    """Refuse a value of another type than the server has for that name. ``None`` stands for an absent one.

    Names that the server does not know hold any JSON.
    """
    if extras.get("push") is not None:
        raise ValidationError("extras.push: Sockudo refuses every value of it in a publish; leave it out")
    for name in ("ephemeral", "echo"):
        value = extras.get(name)
        if value is not None and not isinstance(value, bool):
            raise ValidationError(f"extras.{name}: {_kind(value)}, expected a bool")
    key = extras.get("idempotencyKey")
    if key is not None and not isinstance(key, str):
        raise ValidationError(f"extras.idempotencyKey: {_kind(key)}, expected a str")
    _check_map("extras.headers", extras.get("headers"), str | int | float, "a str, a number or a bool")
    ai = extras.get("ai")
    if ai is None:
        return
    if not isinstance(ai, Mapping):
        raise ValidationError(f"extras.ai: {_kind(ai)}, expected a mapping")
    for name in ("transport", "codec"):
        _check_map(f"extras.ai.{name}", ai.get(name), str, "a str")


def check_json_bounds(value: Any, text: str, max_levels: int, *, field: str = "extras") -> None:
    """Refuse what nests deeper than ``max_levels``, ``field`` itself being the first, and integers beyond 64 bits.

    ``text`` is its JSON, by which most values are let through at once.
    """
    if text.count("{") + text.count("[") <= max_levels and _LONG_NUMBER.search(text) is None:
        return
    levels = 0
    for place, part, level in _parts(field, value):
        levels = max(levels, level)
        if isinstance(part, int) and not MIN_INTEGER <= part <= MAX_INTEGER:
            raise ValidationError(
                f"{place[:MAX_PLACE_CHARACTERS]}: an integer of {part.bit_length()} bits, limit 64 (-2^63 to 2^64-1): "
                "Sockudo would deliver another number, or refuse it; send it as text"
            )
    if levels > max_levels:
        raise ValidationError(f"{field}: {levels} levels of JSON, limit {max_levels} (Sockudo's parser)")


def _parts(field: str, value: Any) -> Iterator[tuple[str, Any, int]]:
    """Everything in a value that is JSON: its place, itself, its level (containers count). No recursion."""
    waiting: list[tuple[str, Any, int]] = [(field, value, 1)]
    while waiting:
        place, part, level = waiting.pop()
        if isinstance(part, Mapping):
            yield place, part, level
            waiting.extend((f"{place}[{str(name)!r}]", inner, level + 1) for name, inner in part.items())
        elif isinstance(part, list | tuple):
            yield place, part, level
            waiting.extend((f"{place}[{index}]", inner, level + 1) for index, inner in enumerate(part))
        else:
            yield place, part, level - 1


def _check_map(field: str, value: Any, kinds: Any, expected: str) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise ValidationError(f"{field}: {_kind(value)}, expected a mapping")
    for name, inner in value.items():
        if not isinstance(inner, kinds):
            place = f"{field}[{str(name)!r}]"[:MAX_PLACE_CHARACTERS]
            raise ValidationError(f"{place}: {_kind(inner)}, expected {expected}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

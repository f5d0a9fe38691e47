"""Whether an event is the expected one, and the text of a failed assertion. Pure.

The text shows all of the test's own data: it is what the reader needs.
"""

from __future__ import annotations

import difflib
import pprint
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any
from unittest.mock import ANY

from ..errors import ValidationError
from .event import PublishedEvent, parsed

__all__ = ["Expected", "describe", "failure_text"]

#: Events that a failure lists one by one.
MAX_LISTED = 50

_FIELDS = frozenset(field.name for field in fields(PublishedEvent))


class Expected:
    """What an assertion looks for. ``encode``: the production encoder, which makes text of data."""

    def __init__(
        self, channel: str | None, name: str | None, data: Any, given: Mapping[str, Any], encode: Callable[[Any], str]
    ) -> None:
        for field in given:
            if field not in _FIELDS:
                raise TypeError(f"an event has no field {field!r}, it has {', '.join(sorted(_FIELDS))}")
        self.channel, self.name, self.data = channel, name, data
        self.fields = given
        self._encode = encode

    def matches(self, event: PublishedEvent) -> bool:
        """Whether an event is the expected one in all that was given."""
        return self.has_place(event) and not self.wrong_fields(event) and self.has_data(event)

    def has_place(self, event: PublishedEvent) -> bool:
        """Whether channel and name are the expected ones."""
        return self.channel in (None, event.channel) and self.name in (None, event.name)

    def wrong_fields(self, event: PublishedEvent) -> list[str]:
        """The other fields that differ."""
        return [name for name, value in self.fields.items() if value != getattr(event, name)]

    def has_data(self, event: PublishedEvent) -> bool:
        """Whether a subscriber gets the expected data: equal, or equal once it is encoded as the event was."""
        if self.data is ANY or self.data == event.data:
            return True
        try:
            return bool(parsed(self._encode(self.data)) == event.data)
        except ValidationError:
            return False

    def __str__(self) -> str:
        parts = ["event"]
        if self.channel is not None:
            parts.append(f"on {self.channel!r}")
        if self.name is not None:
            parts.append(f"named {self.name!r}")
        if self.data is not ANY:
            parts.append(f"with data {self.data!r}")
        parts += [f"with {name}={value!r}" for name, value in self.fields.items()]
        return " ".join(parts)


def describe(event: PublishedEvent) -> str:
    """One event on one line, without the fields that have their default."""
    parts = [f"{event.channel!r} {event.name!r} data={event.data!r}"]
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name not in ("channel", "name", "data", "message_id", "given", "via") and value != field.default:
            parts.append(f"{field.name}={value!r}")
    return " ".join([*parts, f"via={event.via}"])


def failure_text(
    what: str, expected: Expected, found: Sequence[PublishedEvent], events: Sequence[PublishedEvent], hints: str = ""
) -> str:
    """Why an assertion failed: what was expected, how the nearest event differs, and all that was published."""
    lines = [f"expected {what} {expected}, found {len(found)}"]
    nearest = None if found else _find_nearest(expected, events)
    if nearest is not None:
        lines += ["", f"nearest: event {events.index(nearest) + 1} differs (- expected, + published):"]
        lines += _differences(expected, nearest)
    lines += ["", f"published ({len(events)}):" if events else "published: nothing"]
    lines += [f"  {number}. {describe(event)}" for number, event in enumerate(events[:MAX_LISTED], 1)]
    if len(events) > MAX_LISTED:
        lines.append(f"  ... and {len(events) - MAX_LISTED} more (published.events)")
    return "\n".join(lines) + (f"\n\n{hints}" if hints else "")


def _find_nearest(expected: Expected, events: Sequence[PublishedEvent]) -> PublishedEvent | None:
    """The event that has most of what was expected; none if it has neither channel, name nor data of it."""

    def score(event: PublishedEvent) -> int:
        return (
            4 * (expected.channel == event.channel)
            + 3 * (expected.name == event.name)
            + 2 * (expected.data is not ANY and expected.has_data(event))
        )

    best = max(events, key=score, default=None)
    return best if best is not None and score(best) else None


def _differences(expected: Expected, event: PublishedEvent) -> list[str]:
    pairs = [(name, getattr(expected, name), getattr(event, name)) for name in ("channel", "name")]
    pairs += [(name, expected.fields[name], getattr(event, name)) for name in expected.wrong_fields(event)]
    lines = []
    for name, wanted, was in pairs:
        if wanted is not None and wanted != was:
            lines += [f"  - {name}={wanted!r}", f"  + {name}={was!r}"]
    if not expected.has_data(event):
        wanted_lines, was_lines = pprint.pformat(expected.data).splitlines(), pprint.pformat(event.data).splitlines()
        lines.append("    data:")
        lines += [f"  {line.rstrip()}" for line in difflib.ndiff(wanted_lines, was_lines)]
    return lines

"""Patterns of channel names, ``private-orders.{order_id}``: read, match, and find two that overlap. Pure.

A pattern belongs to one kind of channel and matches that kind alone: ``private-{room}`` never matches
``private-encrypted-x``, whose secret it would hand out, nor ``private-cache-x``, which the server guards differently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from ...client.wire.limits import MAX_CHANNEL_BYTES
from ...errors import ValidationError
from ...redaction import printable

__all__ = ["ChannelKind", "ChannelPattern", "overlap"]

#: Variables between two dots: with more, the number of ways to read a channel grows beyond a bound.
MAX_VARIABLES_OF_PART = 2

#: Characters of a pattern that an error message shows.
MAX_SHOWN = 100


class ChannelKind(Enum):
    """What a channel's name says about it; the value is the prefix. The longest prefix that fits is the kind."""

    ENCRYPTED_CACHE = "private-encrypted-cache-"
    ENCRYPTED = "private-encrypted-"
    PRIVATE_CACHE = "private-cache-"
    PRIVATE = "private-"
    PRESENCE_CACHE = "presence-cache-"
    PRESENCE = "presence-"

    @classmethod
    def of(cls, name: str) -> ChannelKind | None:
        """The kind of a channel, or of a pattern; ``None`` for a public one."""
        return next((kind for kind in cls if name.startswith(kind.value)), None)

    @property
    def is_presence(self) -> bool:
        """Whether a subscriber is a member."""
        return self in {ChannelKind.PRESENCE, ChannelKind.PRESENCE_CACHE}

    @property
    def is_encrypted(self) -> bool:
        """Whether a subscriber gets the channel's secret."""
        return self in {ChannelKind.ENCRYPTED, ChannelKind.ENCRYPTED_CACHE}

    @property
    def is_cache(self) -> bool:
        """Whether the server keeps the channel's last event."""
        return self.value.endswith("cache-")


# The alphabet of channels (client.wire.limits), and variables in braces.
_PART = re.compile(r"\{([^{}]*)\}|([-a-zA-Z0-9_=@,.;:]+)|(.)", re.DOTALL)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: What a variable consists of: the alphabet without the dot.
_CHARACTER = "[-a-zA-Z0-9_=@,;:]"


@dataclass(frozen=True)
class ChannelPattern:
    """A pattern, read. ``{name}`` stands for one or more characters except ``.``; all else stands for itself.

    Raises ``ValidationError`` for text that is no pattern: it starts with ``private-`` or ``presence-``, has the
    characters of channels (``A-Z a-z 0-9 - _ = @ , . ; :``) and variables with names of Python, each once, not beside
    each other, at most two between two dots; and matches some channel of at most 200 bytes.
    """

    text: str
    kind: ChannelKind = field(init=False)
    variables: tuple[str, ...] = field(init=False)
    #: Literal texts and, as ``None``, variables.
    parts: tuple[str | None, ...] = field(init=False, repr=False)
    #: For each text between two dots, one that takes the longest first variable and one that takes the shortest. Each
    #: is matched by itself: over the whole name, a hostile channel would cost the product of their ways.
    _between_dots: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ValidationError(f"pattern: a {type(self.text).__name__}, expected a str")
        shown = repr(printable(self.text[:MAX_SHOWN]))
        kind = ChannelKind.of(self.text)
        if kind is None:
            raise ValidationError(
                f"pattern {shown}: expected private-… or presence-…; other channels need no permission"
            )
        parts, variables = _read(self.text, shown)
        for name, value in {
            "kind": kind,
            "variables": variables,
            "parts": parts,
            "_between_dots": tuple((_compiled(part, ""), _compiled(part, "?")) for part in self.text.split(".")),
        }.items():
            object.__setattr__(self, name, value)

    def match(self, channel: str) -> dict[str, str] | None:
        """The variables' values in a channel; ``None`` if it does not match, or if it can be read in two ways.

        ``private-{a}-{b}`` could read ``private-1-2-3`` as ``1`` and ``2-3``, or as ``1-2`` and ``3``: the caller of
        the endpoint must not be able to choose.
        """
        if ChannelKind.of(channel) is not self.kind:
            return None
        texts = channel.split(".")
        if len(texts) != len(self._between_dots):
            return None
        values: list[str] = []
        for text, (longest_first, shortest_first) in zip(texts, self._between_dots, strict=True):
            longest, shortest = longest_first.fullmatch(text), shortest_first.fullmatch(text)
            if longest is None or shortest is None or longest.groups() != shortest.groups():
                return None
            values += longest.groups()
        return dict(zip(self.variables, values, strict=True))


def _compiled(text: str, lazy: str) -> re.Pattern[str]:
    parts = (re.escape(match[2]) if match[2] else f"({_CHARACTER}+{lazy})" for match in _PART.finditer(text))
    return re.compile("".join(parts))


def _read(text: str, shown: str) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    parts: list[str | None] = []
    variables: list[str] = []
    in_part = 0
    for match in _PART.finditer(text):
        variable, literal, other = match.groups()
        if other is not None:
            raise ValidationError(f"pattern {shown}: a character that no channel has, or a brace without its pair")
        if literal is not None:
            parts.append(literal)
            in_part = 0 if "." in literal else in_part
            continue
        if _NAME.fullmatch(variable) is None:
            raise ValidationError(f"pattern {shown}: braces without a name, expected {{name}} as in Python")
        if variable in variables:
            raise ValidationError(f"pattern {shown}: the variable {variable} twice")
        if parts and parts[-1] is None:
            raise ValidationError(f"pattern {shown}: {variable} follows a variable, expected text between them")
        in_part += 1
        if in_part > MAX_VARIABLES_OF_PART:
            raise ValidationError(
                f"pattern {shown}: {in_part} variables between two dots, limit {MAX_VARIABLES_OF_PART}"
            )
        parts.append(None)
        variables.append(variable)
    shortest = sum(1 if part is None else len(part) for part in parts)
    if shortest > MAX_CHANNEL_BYTES:
        raise ValidationError(f"pattern: matches no channel below {shortest} bytes, limit {MAX_CHANNEL_BYTES}")
    if parts == [text] and ChannelKind(_prefix(text)).value == text:
        raise ValidationError(f"pattern {shown}: nothing behind the prefix")
    return tuple(parts), tuple(variables)


def _prefix(text: str) -> str:
    kind = ChannelKind.of(text)
    assert kind is not None
    return kind.value


#: One character except a dot, and any number of them.
_ANY, _MORE = object(), object()


def overlap(first: ChannelPattern, second: ChannelPattern) -> bool:
    """Whether some channel matches both: then which permission counts would depend on the order of imports."""
    if first.kind is not second.kind:
        return False
    a, b = _steps(first), _steps(second)
    seen = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if i == len(a) and j == len(b):
            return True
        following: list[tuple[int, int]] = []
        if i < len(a) and a[i] is _MORE:
            following.append((i + 1, j))
        if j < len(b) and b[j] is _MORE:
            following.append((i, j + 1))
        if i < len(a) and j < len(b) and _meet(a[i], b[j]):
            following.append((i + (a[i] is not _MORE), j + (b[j] is not _MORE)))
        todo += [pair for pair in following if pair not in seen]
        seen.update(following)
    return False


def _steps(pattern: ChannelPattern) -> list[object]:
    steps: list[object] = []
    for part in pattern.parts:
        steps += [_ANY, _MORE] if part is None else list(part)
    return steps


def _meet(one: object, other: object) -> bool:
    """Whether one character satisfies both steps."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return one != "." and other != "."

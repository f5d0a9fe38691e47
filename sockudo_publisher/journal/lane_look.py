"""What one lane holds, seen at one moment: the script ``status``, as asked and as answered."""

from __future__ import annotations

from typing import Any, NamedTuple

from .keys import Keyspace
from .link import Command, checked, evalsha
from .pack import VERSION

__all__ = ["LaneLook", "look_command", "read_look"]


class LaneLook(NamedTuple):
    """``age_ms``: since its first entry came, -1 when there is none. ``counts``: names and numbers in turn.

    ``newer_version`` is that of its first entry where this release does not know it, else ``""``.
    """

    depth: int
    age_ms: int
    dead: int
    leased: bool
    armed: bool
    held: tuple[str, ...]
    counts: dict[str, int]
    newer_version: str


def look_command(keyspace: Keyspace, app: str, lane: int) -> Command:
    """The question."""
    keys = keyspace.lane(app, lane)
    return evalsha("status", (keys.stream, keys.state, keys.lease, keys.holds, keys.dead, keys.counts), ())


def read_look(answer: Any) -> LaneLook:
    """The answer. Raises :class:`JournalUnavailable` when Redis has refused."""
    _, depth, age_ms, dead, leased, armed, held, counts, version = checked(answer)
    return LaneLook(
        depth,
        age_ms,
        dead,
        bool(leased),
        bool(armed),
        tuple([channel.decode() for channel in held]),
        {name.decode(errors="replace"): int(count) for name, count in zip(counts[::2], counts[1::2], strict=True)},
        "" if version in (b"", VERSION.encode()) else version.decode(errors="replace"),
    )

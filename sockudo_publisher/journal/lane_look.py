"""One lane at one moment: the call of the script ``status``, and its answer as a value."""

from __future__ import annotations

from typing import Any, NamedTuple

from .keys import Keyspace, QueueKeys
from .redis.link import Command, checked, evalsha
from .unreadable import KINDS, as_count, decode_names, wrong_type

__all__ = ["Failing", "LaneLook", "look_command", "read_failing", "read_look"]


class Failing(NamedTuple):
    """``failures`` drains in a row ended in an error since ``since_ms`` (Redis' time); ``kind``: of the last error."""

    failures: int
    since_ms: int
    kind: str


class LaneLook(NamedTuple):
    """One lane. ``age_ms``: since its first entry was appended, -1 if it has none.

    ``newer_version``: the version of its first entry if this release cannot read it, else ``""``; ``failing``: its
    drains end in errors; ``wrong``: keys of another type, and counters that are not numbers.
    """

    depth: int
    age_ms: int
    dead: int
    leased: bool
    armed: bool
    held: tuple[str, ...]
    counts: dict[str, int]
    newer_version: str
    failing: Failing | None = None
    wrong: tuple[str, ...] = ()


def look_command(keyspace: Keyspace, app: str, lane: int) -> Command:
    """The command whose answer :func:`read_look` reads."""
    return evalsha("status", _status_keys(keyspace.lane(app, lane)), ())


def _status_keys(keys: QueueKeys) -> tuple[str, ...]:
    return keys.stream, keys.state, keys.lease, keys.holds, keys.dead, keys.counts, keys.gone, keys.latest


def read_failing(failures: Any, since_ms: Any, kind: Any) -> Failing | None:
    """The fields that ``fail.lua`` has written into a queue's state; ``None``: none."""
    if not failures:
        return None
    return Failing(as_count(failures) or 1, as_count(since_ms) or 0, (kind or b"").decode(errors="replace"))


def read_look(answer: Any, keyspace: Keyspace, app: str, lane: int) -> LaneLook:
    """One lane by the answer of the script. Raises :class:`JournalUnavailable` if Redis has refused."""
    _, depth, age_ms, dead, leased, armed, held, counts, version, failing, wrong = checked(answer)
    keys = keyspace.lane(app, lane)
    keyed = _status_keys(keys)
    counted = {
        name.decode(errors="replace"): as_count(count, low=-(10**14), high=10**15)
        for name, count in zip(counts[::2], counts[1::2], strict=True)
    }
    complaints = []
    for number, kind in zip(wrong[::2], wrong[1::2], strict=True):
        key = keyed[number - 1]
        complaints.append(wrong_type(key, kind.decode(), KINDS[key.rpartition(":")[2]]))
    complaints += [f"{keys.counts} {name}: not a number" for name, count in counted.items() if count is None]
    if len(decode_names(held)) < len(held):
        complaints.append(f"{keys.holds}: a name that is not UTF-8")
    return LaneLook(
        max(0, depth),
        age_ms,
        dead,
        bool(leased),
        bool(armed),
        tuple(decode_names(held)),
        {name: count for name, count in counted.items() if count is not None},
        version.decode(errors="replace"),
        read_failing(*failing) if failing else None,
        tuple(complaints),
    )

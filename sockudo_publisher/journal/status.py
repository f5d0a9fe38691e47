"""How the lanes of an app stand: read by people and by monitoring, never acted on.

Two round trips, whatever the number of lanes: one for all lanes, one for what they have found held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .lane_look import LaneLook, look_command, read_look
from .layout import Layout, LayoutRecord
from .link import Command, RedisLink, checked
from .shared import Shared, SharedView, read_view

__all__ = ["JournalStatus", "LaneStatus", "journal_status", "known_apps", "layout_in_force"]


@dataclass(frozen=True)
class LaneStatus:
    """One lane: ``depth`` events wait in it, ``held`` more in its held channels, ``dead`` wait for a person.

    ``oldest_age_s`` is how long the oldest of the waiting ones has (a held one: since its first
    attempt), ``None`` when none waits. ``leased``: a worker drains it; ``armed``: it was rung.
    ``newer_version``: of its first entry, which only workers of a newer release know; else ``""``.
    """

    lane: int
    depth: int
    held: int
    dead: int
    oldest_age_s: float | None
    leased: bool
    armed: bool
    newer_version: str = ""


@dataclass(frozen=True)
class JournalStatus:
    """All lanes of an app, its counters by reason over all lanes, and what its workers share."""

    lanes: tuple[LaneStatus, ...]
    counters: dict[str, int]
    shared: SharedView


def known_apps(link: RedisLink) -> tuple[str, ...]:
    """The names of all apps that ever had lanes in this Redis: one may be configured no more, and hold events."""
    return tuple(sorted(name.decode() for name in link.call("SMEMBERS", link.keyspace.apps)))


def layout_in_force(link: RedisLink, app: str, wanted: int) -> Layout:
    """The layout of the journal, else that of ``wanted`` lanes. Lays nothing out."""
    return LayoutRecord(link, app, wanted).look()


def journal_status(link: RedisLink, app: str, lanes: Sequence[int]) -> JournalStatus:
    """Look at these lanes of an app. Raises :class:`JournalUnavailable`."""
    shared = Shared(link, app).read_commands()
    commands: list[Command] = [("TIME",), *shared]
    commands += [look_command(link.keyspace, app, lane) for lane in lanes]
    answers = [checked(answer) for answer in link.run(commands)]
    now_ms = int(answers[0][0]) * 1000 + int(answers[0][1]) // 1000
    looks = dict(zip(lanes, map(read_look, answers[1 + len(shared) :]), strict=True))
    held = _held(link, app, looks, now_ms)
    found = []
    counters: Counter[str] = Counter()
    for lane, seen in looks.items():
        held_count, held_age_ms = held.get(lane, (0, -1))
        oldest_ms = max(seen.age_ms, held_age_ms)
        found.append(
            LaneStatus(
                lane=lane,
                depth=seen.depth,
                held=held_count,
                dead=seen.dead,
                oldest_age_s=oldest_ms / 1000 if oldest_ms >= 0 else None,
                leased=seen.leased,
                armed=seen.armed,
                newer_version=seen.newer_version,
            )
        )
        counters.update(seen.counts)
    return JournalStatus(tuple(found), dict(counters), read_view(answers[1 : 1 + len(shared)]))


def _held(link: RedisLink, app: str, looks: Mapping[int, LaneLook], now_ms: int) -> dict[int, tuple[int, int]]:
    """Per lane with held channels: the items they hold, and the age of the oldest in ms or -1."""
    holds = [
        (lane, link.keyspace.lane(app, lane).hold(channel)) for lane, seen in looks.items() for channel in seen.held
    ]
    if not holds:
        return {}
    commands: list[Command] = []
    for _, keys in holds:
        commands += [("HGET", keys.state, "depth"), ("XRANGE", keys.stream, "-", "+", "COUNT", 1)]
    replies = [checked(reply) for reply in link.run(commands)]
    found: dict[int, tuple[int, int]] = {}
    for (lane, _), depth, entries in zip(holds, replies[::2], replies[1::2], strict=True):
        count, age_ms = found.get(lane, (0, -1))
        if entries:
            age_ms = max(age_ms, now_ms - _since_ms(*entries[0]))
        found[lane] = count + int(depth or 0), age_ms
    return found


def _since_ms(entry_id: bytes, fields: Sequence[bytes]) -> int:
    """The first attempt of a held item where it has one (``pack``: field ``t``), else when it was moved."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    return int(named.get(b"t") or entry_id.split(b"-")[0])

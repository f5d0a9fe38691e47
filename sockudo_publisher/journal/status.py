"""How the lanes of an app stand: read by people and by monitoring, never acted on.

Two round trips, whatever the number of lanes: one for all lanes, one for what they have found held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .keys import APPS, lane_keys
from .layout import Layout, LayoutRecord
from .link import Command, RedisLink, checked, evalsha
from .shared import Shared, SharedView, read_view

__all__ = ["JournalStatus", "LaneStatus", "journal_status", "known_apps", "layout_in_force"]


@dataclass(frozen=True)
class LaneStatus:
    """One lane: ``depth`` events wait in it, ``held`` more in its held channels, ``dead`` wait for a person.

    ``oldest_age_s`` is how long the oldest of the waiting ones has (a held one: since its first
    attempt), ``None`` when none waits. ``leased``: a worker drains it; ``armed``: it was rung.
    """

    lane: int
    depth: int
    held: int
    dead: int
    oldest_age_s: float | None
    leased: bool
    armed: bool


@dataclass(frozen=True)
class JournalStatus:
    """All lanes of an app, its counters by reason over all lanes, and what its workers share."""

    lanes: tuple[LaneStatus, ...]
    counters: dict[str, int]
    shared: SharedView


def known_apps(link: RedisLink) -> tuple[str, ...]:
    """The names of all apps that ever had lanes in this Redis: one may be configured no more, and hold events."""
    return tuple(sorted(name.decode() for name in link.call("SMEMBERS", APPS)))


def layout_in_force(link: RedisLink, app: str, wanted: int) -> Layout:
    """The layout of the journal, else that of ``wanted`` lanes. Lays nothing out."""
    return LayoutRecord(link, app, wanted).look()


def journal_status(link: RedisLink, app: str, lanes: Sequence[int]) -> JournalStatus:
    """Look at these lanes of an app. Raises :class:`JournalUnavailable`."""
    shared = Shared(link, app).read_commands()
    commands: list[Command] = [("TIME",), *shared]
    for lane in lanes:
        keys = lane_keys(app, lane)
        names = (keys.stream, keys.state, keys.lease, keys.holds, keys.dead, keys.counts)
        commands.append(evalsha("status", names, ()))
    answers = [checked(answer) for answer in link.run(commands)]
    now_ms = int(answers[0][0]) * 1000 + int(answers[0][1]) // 1000
    answers_of_lanes = answers[1 + len(shared) :]
    held = _held(link, app, lanes, answers_of_lanes, now_ms)
    found = []
    counters: Counter[str] = Counter()
    for lane, answer in zip(lanes, answers_of_lanes, strict=True):
        _, depth, age_ms, dead, leased, armed, _, counts = answer
        held_count, held_age_ms = held.get(lane, (0, -1))
        oldest_ms = max(age_ms, held_age_ms)
        oldest_s = oldest_ms / 1000 if oldest_ms >= 0 else None
        found.append(LaneStatus(lane, depth, held_count, dead, oldest_s, bool(leased), bool(armed)))
        for reason, count in zip(counts[::2], counts[1::2], strict=True):
            counters[reason.decode(errors="replace")] += int(count)
    return JournalStatus(tuple(found), dict(counters), read_view(answers[1 : 1 + len(shared)]))


def _held(
    link: RedisLink, app: str, lanes: Sequence[int], answers: Sequence[Any], now_ms: int
) -> dict[int, tuple[int, int]]:
    """Per lane with held channels: the items they hold, and the age of the oldest in ms or -1."""
    holds = list(_holds(app, lanes, answers))
    if not holds:
        return {}
    commands: list[Command] = []
    for _, stream, state in holds:
        commands += [("HGET", state, "depth"), ("XRANGE", stream, "-", "+", "COUNT", 1)]
    replies = [checked(reply) for reply in link.run(commands)]
    found: dict[int, tuple[int, int]] = {}
    for (lane, _, _), depth, entries in zip(holds, replies[::2], replies[1::2], strict=True):
        count, age_ms = found.get(lane, (0, -1))
        if entries:
            age_ms = max(age_ms, now_ms - _since_ms(*entries[0]))
        found[lane] = count + int(depth or 0), age_ms
    return found


def _holds(app: str, lanes: Sequence[int], answers: Sequence[Any]) -> Iterator[tuple[int, str, str]]:
    for lane, answer in zip(lanes, answers, strict=True):
        for channel in answer[6]:
            hold = lane_keys(app, lane).hold(channel.decode())
            yield lane, hold.stream, hold.state


def _since_ms(entry_id: bytes, fields: Sequence[bytes]) -> int:
    """The first attempt of a held item where it has one (``pack``: field ``t``), else when it was moved."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    return int(named.get(b"t") or entry_id.split(b"-")[0])

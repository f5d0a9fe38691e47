"""The status of an app's lanes, for people and monitoring. No code decides by it.

Two round trips, whatever the number of lanes: one for all lanes, one for their held channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from .app.shared import Shared, SharedView, read_view
from .lane_look import Failing, LaneLook, look_command, read_failing, read_look
from .layout.layout import Layout, LayoutRecord
from .redis.link import Command, RedisLink, checked
from .unreadable import KINDS, as_count, decode_names, is_wrong_type, wrong_type

__all__ = ["JournalStatus", "LaneStatus", "journal_status", "known_apps", "layout_in_force"]

LaneState: TypeAlias = Literal[
    "newer version", "unreadable", "failing", "draining", "watched", "rung", "waiting", "empty"
]


@dataclass(frozen=True)
class LaneStatus:
    """One lane: ``depth`` events wait in it, ``held`` more in its held channels; ``dead`` letters wait for a person.

    ``oldest_age_s``: seconds that the oldest event has waited (a held one: since its first attempt), ``None`` if none
    waits. ``leased``: a worker drains or watches it; ``armed``: it was rung. ``newer_version``: the version of
    its first entry if only workers of a newer release can read it, else ``""``. ``failures``: drains of it,
    or of one of its held channels, that ended in an error in a row, 0 for none; ``failing_s``: seconds since the first
    of them; ``failure``: the kind of the last. ``unreadable``: its keys that do not hold the journal's data.
    """

    lane: int
    depth: int
    held: int
    dead: int
    oldest_age_s: float | None
    leased: bool
    armed: bool
    newer_version: str = ""
    failures: int = 0
    failing_s: float | None = None
    failure: str = ""
    unreadable: tuple[str, ...] = ()

    @property
    def is_draining(self) -> bool:
        """Whether a worker drains it; one that has it without an event only watches it."""
        return self.leased and self.depth > 0

    @property
    def state(self) -> LaneState:
        """What a person has to know of it first, in a word."""
        if self.newer_version:
            return "newer version"
        if self.unreadable:
            return "unreadable"
        if self.failures:
            return "failing"
        if self.leased:
            return "draining" if self.is_draining else "watched"
        if self.armed:
            return "rung"
        return "waiting" if self.depth else "empty"


@dataclass(frozen=True)
class JournalStatus:
    """All lanes of an app, its counters by reason, summed over lanes, and what its workers share."""

    lanes: tuple[LaneStatus, ...]
    counters: dict[str, int]
    shared: SharedView


def known_apps(link: RedisLink) -> tuple[str, ...]:
    """The names of all apps that ever had lanes in this Redis, also those that are not configured any more."""
    answer = link.run([("SMEMBERS", link.keyspace.apps)])[0]
    return () if is_wrong_type(answer) else tuple(sorted(decode_names(list(checked(answer)))))


def layout_in_force(link: RedisLink, app: str, wanted: int) -> Layout:
    """The layout in the journal, or that of ``wanted`` lanes if there is none. Writes nothing."""
    return LayoutRecord(link, app, wanted).look()


def journal_status(link: RedisLink, app: str, lanes: Sequence[int]) -> JournalStatus:
    """Read the status of these lanes of an app. Raises :class:`JournalUnavailable`."""
    shared = Shared(link, app).read_commands()
    commands: list[Command] = [("TIME",), *shared]
    commands += [look_command(link.keyspace, app, lane) for lane in lanes]
    answers = link.run(commands)
    time = checked(answers[0])
    now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
    looked = zip(lanes, answers[1 + len(shared) :], strict=True)
    looks = {lane: read_look(answer, link.keyspace, app, lane) for lane, answer in looked}
    held = _read_holds(link, app, looks, now_ms)
    found = []
    counters: Counter[str] = Counter()
    for lane, seen in looks.items():
        hold = held.get(lane, _Held())
        oldest_ms = max(seen.age_ms, hold.age_ms)
        failing = seen.failing or hold.failing
        found.append(
            LaneStatus(
                lane=lane,
                depth=seen.depth,
                held=hold.count,
                dead=seen.dead,
                oldest_age_s=oldest_ms / 1000 if oldest_ms >= 0 else None,
                leased=seen.leased,
                armed=seen.armed,
                newer_version=seen.newer_version,
                failures=failing.failures if failing else 0,
                failing_s=max(0, now_ms - failing.since_ms) / 1000 if failing else None,
                failure=failing.kind if failing else "",
                unreadable=(*seen.wrong, *hold.wrong),
            )
        )
        counters.update(seen.counts)
    return JournalStatus(tuple(found), dict(counters), read_view(answers[1 : 1 + len(shared)]))


@dataclass(frozen=True)
class _Held:
    """The held channels of a lane: their items, the age of the oldest in ms or -1, and their unreadable keys."""

    count: int = 0
    age_ms: int = -1
    failing: Failing | None = None
    wrong: tuple[str, ...] = ()


def _read_holds(link: RedisLink, app: str, looks: Mapping[int, LaneLook], now_ms: int) -> dict[int, _Held]:
    """Read the held channels of each lane that has some."""
    holds = [
        (lane, link.keyspace.lane(app, lane).hold(channel)) for lane, seen in looks.items() for channel in seen.held
    ]
    if not holds:
        return {}
    commands: list[Command] = []
    for _, keys in holds:
        commands += [
            ("HMGET", keys.state, "depth", "failures", "failing_since", "failure"),
            ("XRANGE", keys.stream, "-", "+", "COUNT", 1),
        ]
    replies = link.run(commands)
    found: dict[int, _Held] = {}
    for (lane, keys), state, entries in zip(holds, replies[::2], replies[1::2], strict=True):
        before = found.get(lane, _Held())
        for key, answer in ((keys.state, state), (keys.stream, entries)):
            if is_wrong_type(answer):
                complaint = wrong_type(key, "key of another type", KINDS[key.rpartition(":")[2]])
                before = replace(before, wrong=(*before.wrong, complaint))
        depth, *failing = (None,) * 4 if is_wrong_type(state) else checked(state)
        first = () if is_wrong_type(entries) else checked(entries)
        found[lane] = replace(
            before,
            count=before.count + (as_count(depth or 0) or 0),
            age_ms=max(before.age_ms, now_ms - _since_ms(*first[0])) if first else before.age_ms,
            failing=before.failing or read_failing(*failing),
        )
    return found


def _since_ms(entry_id: bytes, fields: Sequence[Any]) -> int:
    """The time of a held item's first attempt if it has one (``pack``: field ``t``), else of its move."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    return as_count(named.get(b"t") or 0) or as_count(entry_id.split(b"-")[0]) or 0

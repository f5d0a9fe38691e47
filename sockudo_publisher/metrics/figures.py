"""The figures of one moment: what the journal of each app holds, and what its workers share. Reads, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..canaries.store import DedupMemory
from ..canaries.verdict import current_report
from ..config.settings import Settings
from ..errors import JournalUnreadable
from ..journal.app.workers import WorkerRegistry
from ..journal.redis.link import RedisLink, checked
from ..journal.schedule.book import ScheduleBook
from ..journal.status import journal_status, layout_in_force
from ..journal.unreadable import is_wrong_type
from ..telemetry.names import OPERATOR

__all__ = ["READ_TIMEOUT_S", "AppFigures", "Figures", "link_of", "read_figures"]

#: Seconds to connect to Redis, and to wait for an answer: a scrape that meets a frozen Redis gives up in time.
READ_TIMEOUT_S = 0.35


@dataclass(frozen=True)
class AppFigures:
    """One app. Ages are seconds; ``None``: not known.

    ``backlog``: events in lanes and in held channels. ``oldest_age_s``: of the oldest of them, 0 if none waits.
    ``paused``: the reasons, of a server in trouble and of an operator. ``consuming``: live workers whose consumer is
    attached to the queue. ``is_memory_intact``: whether the server remembers message ids. ``is_readable``: whether all
    keys hold what the journal wrote. ``scheduled``: events with a later time; ``scheduled_parked`` of them could not be
    stored and wait for a person; the first of the others is late by ``scheduled_late_s``. ``None``: not known.
    """

    backlog: int
    oldest_age_s: float
    dead: int
    held_channels: int
    paused: frozenset[str]
    failing_lanes: int
    workers: int
    consuming: int
    is_memory_intact: bool | None
    is_readable: bool = True
    scheduled: int | None = None
    scheduled_parked: int | None = None
    scheduled_late_s: float | None = None


@dataclass(frozen=True)
class Figures:
    """All apps of the settings by name, and Redis' memory in bytes (``None``: Redis does not say, or has no limit)."""

    apps: Mapping[str, AppFigures] = field(default_factory=dict)
    memory_bytes: int | None = None
    max_memory_bytes: int | None = None


def link_of(settings: Settings) -> RedisLink:
    """The connection on which figures are read."""
    return RedisLink(settings.redis_url, timeout_s=READ_TIMEOUT_S, namespace=settings.namespace)


def read_figures(link: RedisLink, settings: Settings) -> Figures:
    """Read the figures of all apps, about eight round trips each. Raises :class:`JournalUnavailable`."""
    apps = {name: _read_app(link, settings, name) for name in settings.app_urls()}
    used, limit = _read_memory(link)
    return Figures(apps, used, limit)


def _read_app(link: RedisLink, settings: Settings, app: str) -> AppFigures:
    alive = WorkerRegistry(link, app).alive()
    workers, consuming = len(alive), sum(1 for one in alive if one.is_consuming is not False)
    dedup_memory = DedupMemory(link, app)
    verdict = current_report(dedup_memory.report(), dedup_memory.now_ms()).verdict
    is_intact = None if verdict == "unknown" else verdict == "remembers"
    try:
        layout = layout_in_force(link, app, settings.lanes)
    except JournalUnreadable:  # the lanes are not known: what the doctor and `status` name
        return AppFigures(0, 0.0, 0, 0, frozenset(), 0, workers, consuming, is_intact, is_readable=False)
    seen = journal_status(link, app, layout.lanes)
    cards = link.run([("ZCARD", link.keyspace.lane(app, lane).holds) for lane in layout.lanes])
    lanes = seen.lanes
    reasons = {seen.shared.pause.reason} if seen.shared.pause else set[str]()
    if seen.shared.operator_pause:
        reasons.add(OPERATOR)
    schedule = ScheduleBook(link, app, lanes=settings.lanes, key_ttl_ms=0).summary()
    return AppFigures(
        backlog=sum(lane.depth + lane.held for lane in lanes),
        oldest_age_s=max((lane.oldest_age_s or 0.0 for lane in lanes), default=0.0),
        dead=sum(lane.dead for lane in lanes),
        held_channels=sum(0 if is_wrong_type(card) else int(checked(card)) for card in cards),
        paused=frozenset(reasons),
        failing_lanes=sum(1 for lane in lanes if lane.failures),
        workers=workers,
        consuming=consuming,
        is_memory_intact=is_intact,
        is_readable=not (schedule.unreadable or any(lane.unreadable for lane in lanes)),
        scheduled=schedule.count,
        scheduled_parked=schedule.parked,
        scheduled_late_s=schedule.late_s,
    )


def _read_memory(link: RedisLink) -> tuple[int | None, int | None]:
    answer = link.run([("INFO", "memory")])[0]
    if isinstance(answer, Exception):  # by an ACL: the other figures do not need it
        return None, None
    values: dict[str, int | None] = {}
    for line in answer.splitlines() if isinstance(answer, bytes) else ():
        name, _, value = line.partition(b":")
        if name in (b"used_memory", b"maxmemory"):
            values[name.decode()] = int(value) if value.strip().isdigit() else None
    return values.get("used_memory"), values.get("maxmemory") or None

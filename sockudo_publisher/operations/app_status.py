"""The state of each app: lanes, pause, counters, workers, and what the canaries measured of the dedup memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..canaries.store import DedupMemory
from ..canaries.values import MemoryReport
from ..canaries.verdict import advice, current_report
from ..config.settings import Settings, get_settings
from ..errors import JournalUnreadable
from ..journal.app.operator import OperatorPause
from ..journal.app.shared import Limits
from ..journal.app.workers import LiveWorker, Target, WorkerRegistry
from ..journal.layout.layout import Layout
from ..journal.redis.link import RedisLink
from ..journal.schedule.book import ScheduleSummary
from ..journal.status import LaneStatus, journal_status, known_apps, layout_in_force
from ..journal.unreadable import wrong_keys
from ..redaction.frame_locals import without_locals
from ..wiring.app import target_of
from .connection import connect, open_app
from .scheduling import open_book

__all__ = ["RARE_COUNTERS", "AppStatus", "FlipStatus", "PauseStatus", "ScheduleStatus", "status"]

#: Counters that are shown even at 0, so that a monitor can find them.
RARE_COUNTERS = ("searched", "stuck", "resent_after_window", "parked_uncertain", "settled_by_history")


@dataclass(frozen=True)
class PauseStatus:
    """Nothing is sent to the app before ``until_ms``; paused since ``since_ms`` (Redis' time).

    ``reason`` is this package's word for the cause, ``message`` the server's error text.
    """

    reason: str
    since_ms: int
    until_ms: int
    message: str


@dataclass(frozen=True)
class FlipStatus:
    """The number of lanes is changing: the ``waiting`` events of the old lanes are delivered first.

    New events are stored in the new lanes and wait there. ``held`` of the waiting events are in held channels: a stuck
    event delays the change.
    """

    old: int
    new: int
    waiting: int
    held: int


@dataclass(frozen=True)
class ScheduleStatus:
    """``count`` events are due later or now; ``parked`` of them could not be stored and wait for an operator.

    ``next_due_ms``: when the first is due (Redis' time, ms; ``None``: none is); ``late_s``: seconds since then, 0.0
    if it is due later.
    """

    count: int = 0
    parked: int = 0
    next_due_ms: int | None = None
    late_s: float = 0.0

    @classmethod
    def of(cls, summary: ScheduleSummary) -> ScheduleStatus:
        """The same as an operator reads it."""
        return cls(summary.count, summary.parked, summary.next_due_ms, summary.late_s)


@dataclass(frozen=True)
class AppStatus:
    """One app: its lanes, its pauses if there are some, counters by reason, batch limits learned from the server.

    ``pause``: of a server in trouble; ``operator_pause``: of a person. ``memory``: the canaries' report of the server's
    dedup memory; ``advice``: what to change, or ``""``. ``flip``: a change of the number of lanes that
    is not complete. Lanes of earlier numbers are listed while they have events. ``configured`` is ``False`` for an app
    that is no longer in the settings and still has events: no worker delivers them. ``workers``: the live workers of
    this Redis, with their targets. ``rival``: a worker that delivers to another Sockudo app than the settings here, or
    ``""``. ``unreadable``: keys of the app, or of all apps, that hold data the journal did not write; if the layout is
    unreadable, ``lanes`` is empty. ``schedule``: the events that are due later.
    """

    app: str
    lanes: tuple[LaneStatus, ...]
    pause: PauseStatus | None
    counters: dict[str, int]
    limits: Limits
    memory: MemoryReport = field(default_factory=MemoryReport)
    advice: str = ""
    flip: FlipStatus | None = None
    configured: bool = True
    workers: tuple[LiveWorker, ...] = ()
    rival: str = ""
    unreadable: tuple[str, ...] = ()
    operator_pause: OperatorPause | None = None
    schedule: ScheduleStatus = field(default_factory=ScheduleStatus)

    @property
    def is_unreadable(self) -> bool:
        """Whether a key of the app or of a lane holds data that the journal did not write."""
        return bool(self.unreadable) or any(lane.unreadable for lane in self.lanes)

    @property
    def is_failing(self) -> bool:
        """Whether drains of a lane end in errors."""
        return any(lane.failures for lane in self.lanes)


@without_locals
def status(app: str | None = None, *, settings: Settings | None = None) -> list[AppStatus]:
    """The state of every configured app, and of every other app that still has events; eight round trips per app.

    ``app``: of that one alone. Raises :class:`ConfigurationError` for an app that is not known, and
    :class:`JournalUnavailable`.
    """
    if app is not None:
        opened = open_app(app, settings)
        return _read_status(opened.settings, opened.link, [opened.app])
    settings = get_settings() if settings is None else settings
    link, configured = connect(settings), settings.app_urls()
    return _read_status(settings, link, [*configured, *(name for name in known_apps(link) if name not in configured)])


def _read_status(settings: Settings, link: RedisLink, names: Sequence[str]) -> list[AppStatus]:
    configured = settings.app_urls()
    found = []
    for app in names:
        keys = link.keyspace.app(app)
        unreadable = _find_wrong_keys(link, app)
        try:
            layout = layout_in_force(link, app, settings.lanes)
        except JournalUnreadable as error:
            faults = (str(error), *(one for one in unreadable if not one.startswith(keys.lanes)))
            found.append(AppStatus(app, (), None, {}, Limits(), configured=app in configured, unreadable=faults))
            continue
        seen = journal_status(link, app, layout.lanes)
        unreadable += [
            f"{getattr(keys, name.partition(' ')[0])}: cannot be read, begins anew"
            for name in seen.shared.unreadable
            if not any(one.startswith(getattr(keys, name.partition(" ")[0]) + " ") for one in unreadable)
        ]
        pause = seen.shared.pause
        shown = PauseStatus(pause.reason, pause.since_ms, pause.until_ms, pause.message) if pause else None
        in_force = {*layout.span.lanes, *layout.appending.lanes}
        lanes = tuple([lane for lane in seen.lanes if lane.lane in in_force or lane.depth or lane.held or lane.dead])
        flip = _flip_status(layout, seen.lanes)
        counters = {**dict.fromkeys(RARE_COUNTERS, 0), **seen.counters}
        dedup_memory = DedupMemory(link, app)
        memory = current_report(dedup_memory.report(), dedup_memory.now_ms())
        limits = seen.shared.limits
        summary = open_book(settings, app).summary()
        unreadable += summary.unreadable
        if (
            app in configured
            or unreadable
            or summary.count
            or seen.shared.operator_pause
            or any(lane.depth or lane.held or lane.dead for lane in lanes)
        ):
            change = advice(memory) if app in configured else ""
            workers = WorkerRegistry(link, app).alive()
            rival = _find_rival(target_of(settings, app), workers) if app in configured else ""
            found.append(
                AppStatus(
                    *(app, lanes, shown, counters, limits, memory, change, flip),
                    configured=app in configured,
                    workers=workers,
                    rival=rival,
                    unreadable=tuple(unreadable),
                    operator_pause=seen.shared.operator_pause,
                    schedule=ScheduleStatus.of(summary),
                )
            )
    return found


def _find_rival(mine: Target, workers: Sequence[LiveWorker]) -> str:
    for one in workers:
        if one.target.app_id != mine.app_id:
            return (
                f"worker {one.node} delivers to app id {one.target.app_id!r} at {one.target.host}, here it is "
                f"{mine.app_id!r} at {mine.host}: two deployments share this Redis (SOCKUDO_NAMESPACE keeps them apart)"
            )
    return ""


def _find_wrong_keys(link: RedisLink, app: str) -> list[str]:
    """Find keys with a wrong type: the app's keys and the key of all apps."""
    keys = link.keyspace.app(app)
    names = [keys.pause, keys.probe, keys.limits, keys.lanes, keys.rate, keys.memory]
    names += [keys.canaries, keys.canary_answers, keys.canary_holder, keys.workers, link.keyspace.apps]
    names += [keys.operator_pause, keys.audit, keys.due_holder, keys.dead_reporter]
    return wrong_keys(link, names)


def _flip_status(layout: Layout, lanes: Sequence[LaneStatus]) -> FlipStatus | None:
    old = layout.drained_first
    if old is None:
        return None
    left = [lane for lane in lanes if lane.lane in old.lanes]
    held = sum(lane.held for lane in left)
    return FlipStatus(old.count, layout.span.count, sum(lane.depth for lane in left) + held, held)

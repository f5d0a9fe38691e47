"""The state of each app: lanes, pause, counters, workers, and what the workers know of the server's dedup memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..canaries.store import DedupMemory
from ..canaries.values import MemoryReport
from ..canaries.verdict import advice, current_report
from ..config.settings import Settings
from ..errors import JournalUnreadable
from ..journal.app.shared import Limits
from ..journal.app.workers import LiveWorker, Target, WorkerRegistry
from ..journal.layout.layout import Layout
from ..journal.redis.link import RedisLink
from ..journal.status import LaneStatus, journal_status, known_apps, layout_in_force
from ..journal.unreadable import wrong_keys
from ..wiring.app import target_of
from .connection import connect

__all__ = ["RARE_COUNTERS", "AppStatus", "FlipStatus", "PauseStatus", "status"]

#: Counters that are shown also while they are 0: a monitor that waits for them sees that they are counted.
RARE_COUNTERS = ("searched", "stuck", "resent_after_window", "parked_uncertain", "settled_by_history")


@dataclass(frozen=True)
class PauseStatus:
    """Nothing is sent to the app before ``until_ms``; paused since ``since_ms`` (Redis' time).

    ``reason`` is ours, ``words`` are the server's.
    """

    reason: str
    since_ms: int
    until_ms: int
    words: str


@dataclass(frozen=True)
class FlipStatus:
    """The number of lanes is changing: the ``waiting`` events of the old lanes go first.

    New events are stored in the new lanes meanwhile, and wait there. ``held`` of the waiting ones are in
    held channels: a stuck event holds up the change.
    """

    old: int
    new: int
    waiting: int
    held: int


@dataclass(frozen=True)
class AppStatus:
    """One app: its lanes, its pause if there is one, counters by reason, batch limits learned from the server.

    ``memory``: what canaries say of the server's memory of ids, ``advice`` what to change about it, or ``""``.
    ``flip``: a change of the number of lanes that is under way. Lanes of earlier numbers are listed
    while they hold something. ``configured`` is ``False`` for a name that is in no setting any more and
    still has events, which no worker delivers. ``workers``: those that live in this Redis, and where each delivers to;
    ``rival`` says that one of them delivers to another Sockudo app than the settings here, else ``""``.
    ``unreadable``: keys of the app, or of all apps, that hold something else than the journal's; with a layout that
    cannot be read there are no lanes to show.
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

    @property
    def is_unreadable(self) -> bool:
        """Whether something in Redis, of the app or of a lane, is not the journal's."""
        return bool(self.unreadable) or any(lane.unreadable for lane in self.lanes)

    @property
    def is_failing(self) -> bool:
        """Whether drains of a lane end in errors."""
        return any(lane.failures for lane in self.lanes)


def status(settings: Settings) -> list[AppStatus]:
    """How every configured app stands, in six round trips an app, and every other that still has events."""
    link = connect(settings)
    configured = settings.app_urls()
    found = []
    for app in (*configured, *(name for name in known_apps(link) if name not in configured)):
        keys = link.keyspace.app(app)
        unreadable = _unreadable(link, app)
        try:
            layout = layout_in_force(link, app, settings.lanes)
        except JournalUnreadable as error:
            told = (str(error), *(one for one in unreadable if not one.startswith(keys.lanes)))
            found.append(AppStatus(app, (), None, {}, Limits(), configured=app in configured, unreadable=told))
            continue
        seen = journal_status(link, app, layout.lanes)
        unreadable += [
            f"{getattr(keys, name.partition(' ')[0])}: cannot be read, begins anew"
            for name in seen.shared.unreadable
            if not any(one.startswith(getattr(keys, name.partition(" ")[0]) + " ") for one in unreadable)
        ]
        pause = seen.shared.pause
        shown = PauseStatus(pause.reason, pause.since_ms, pause.until_ms, pause.words) if pause else None
        in_force = {*layout.span.lanes, *layout.appending.lanes}
        lanes = tuple([lane for lane in seen.lanes if lane.lane in in_force or lane.depth or lane.held or lane.dead])
        flip = _flip(layout, seen.lanes)
        counters = {**dict.fromkeys(RARE_COUNTERS, 0), **seen.counters}
        kept = DedupMemory(link, app)
        memory = current_report(kept.report(), kept.now_ms())
        limits = seen.shared.limits
        if app in configured or unreadable or any(lane.depth or lane.held or lane.dead for lane in lanes):
            advised = advice(memory) if app in configured else ""
            workers = WorkerRegistry(link, app).alive()
            rival = _rival(target_of(settings, app), workers) if app in configured else ""
            found.append(
                AppStatus(
                    *(app, lanes, shown, counters, limits, memory, advised, flip),
                    configured=app in configured,
                    workers=workers,
                    rival=rival,
                    unreadable=tuple(unreadable),
                )
            )
    return found


def _rival(mine: Target, workers: Sequence[LiveWorker]) -> str:
    for one in workers:
        if one.target.app_id != mine.app_id:
            return (
                f"worker {one.node} delivers to app id {one.target.app_id!r} at {one.target.host}, here it is "
                f"{mine.app_id!r} at {mine.host}: two deployments share this Redis (SOCKUDO_NAMESPACE keeps them apart)"
            )
    return ""


def _unreadable(link: RedisLink, app: str) -> list[str]:
    """The keys of an app that are of another type, and the one of all apps."""
    keys = link.keyspace.app(app)
    names = [keys.pause, keys.probe, keys.limits, keys.lanes, keys.rate, keys.memory]
    names += [keys.canaries, keys.canary_answers, keys.canary_holder, keys.workers, link.keyspace.apps]
    return wrong_keys(link, names)


def _flip(layout: Layout, lanes: Sequence[LaneStatus]) -> FlipStatus | None:
    old = layout.drained_first
    if old is None:
        return None
    left = [lane for lane in lanes if lane.lane in old.lanes]
    held = sum(lane.held for lane in left)
    return FlipStatus(old.count, layout.span.count, sum(lane.depth for lane in left) + held, held)

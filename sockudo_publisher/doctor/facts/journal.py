"""Collect what the workers have written to Redis: a pause, learned limits, canary results, live workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...canaries.store import DedupMemory
from ...canaries.values import MemoryReport
from ...config.settings import Settings
from ...errors import JournalUnavailable, JournalUnreadable
from ...journal.app.shared import Shared
from ...journal.app.workers import Target, WorkerRegistry
from ...journal.redis.link import RedisLink, checked
from ...journal.status import layout_in_force
from ...journal.unreadable import as_count, is_wrong_type
from .values import PauseFacts

__all__ = ["JournalFacts", "collect_journal_facts", "is_fresh"]

#: Seconds to connect, and for each answer.
ANSWER_S = 3.0
#: ms by which a sweep's time may be later than the clock read here. A larger value was not written by a sweep.
AHEAD_MS = 60_000


@dataclass(frozen=True)
class JournalFacts:
    """The workers' records of one app. ``pause``, ``workers`` and ``unheard`` are ``None`` if they could not be read.

    ``learned``: the largest batch, in events, that the workers send. ``measured``: the canaries' report of the last
    window, or ``None``. ``workers``: node and target of the live workers. ``unheard``: lane -> seconds since its
    rings had no answer.
    """

    pause: PauseFacts | None = None
    learned: int | None = None
    measured: MemoryReport | None = None
    workers: tuple[tuple[str, Target], ...] | None = None
    unheard: Mapping[int, float] | None = None


def collect_journal_facts(settings: Settings, app: str) -> JournalFacts:
    """Read the workers' records of one app. Returns empty facts when Redis fails."""
    link = RedisLink(settings.redis_url, timeout_s=ANSWER_S, namespace=settings.namespace)
    try:
        view = Shared(link, app).view()
        trouble = ("", "") if view.pause is None else (view.pause.reason, view.pause.message)
        pause = PauseFacts(*trouble, operator_pause=view.operator_pause)
        memory = DedupMemory(link, app)
        report = memory.report()
        now_ms = memory.now_ms()
        return JournalFacts(
            pause,
            view.limits.events,
            report if is_fresh(report, now_ms) else None,
            tuple([(one.node, one.target) for one in WorkerRegistry(link, app).alive()]),
            _read_unheard(link, settings, app, now_ms),
        )
    except JournalUnavailable:
        return JournalFacts()


def _read_unheard(link: RedisLink, settings: Settings, app: str, now_ms: int) -> dict[int, float] | None:
    """Lane -> seconds since its rings had no answer. Reads the layout first: a change of lanes renumbers them."""
    try:
        lanes = layout_in_force(link, app, settings.lanes).lanes
    except JournalUnreadable:
        return None
    answers = link.run([("HGET", link.keyspace.lane(app, lane).state, "unheard") for lane in lanes])
    # A value that cannot be read is ignored here; status names its key.
    latest_ms = now_ms + AHEAD_MS
    times_ms = [as_count(0 if is_wrong_type(answer) else checked(answer) or 0, high=latest_ms) for answer in answers]
    return {lane: max(0.0, (now_ms - at_ms) / 1000) for lane, at_ms in zip(lanes, times_ms, strict=True) if at_ms}


def is_fresh(report: MemoryReport, now_ms: int) -> bool:
    """Whether the report is from the last window (Redis' time). An older one does not describe the server of today."""
    return report.at_ms > 0 and now_ms - report.at_ms <= report.window_s * 1000

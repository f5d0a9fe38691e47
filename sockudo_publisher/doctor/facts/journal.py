"""What the workers have left in Redis to be read: a pause, learned limits, their measure of the server's memory."""

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

__all__ = ["JournalFacts", "is_fresh", "look_at_journal"]

#: Seconds to connect, and for each answer.
ANSWER_S = 3.0
#: ms by which a sweep may have come behind the look at the clock; more is no time that a sweep has written.
AHEAD_MS = 60_000


@dataclass(frozen=True)
class JournalFacts:
    """``pause`` is ``None`` when it could not be read; ``learned``: events of a batch;
    ``measured`` within the last window, or ``None``; ``workers``: node and target of the live ones, ``None``
    when they could not be read; ``unheard``: lane -> seconds since its rings had no answer, ``None`` likewise.
    """

    pause: PauseFacts | None = None
    learned: int | None = None
    measured: MemoryReport | None = None
    workers: tuple[tuple[str, Target], ...] | None = None
    unheard: Mapping[int, float] | None = None


def look_at_journal(settings: Settings, app: str) -> JournalFacts:
    """Read them for one app."""
    link = RedisLink(settings.redis_url, timeout_s=ANSWER_S, namespace=settings.namespace)
    try:
        view = Shared(link, app).view()
        pause = PauseFacts() if view.pause is None else PauseFacts(view.pause.reason, view.pause.words)
        memory = DedupMemory(link, app)
        report = memory.report()
        now_ms = memory.now_ms()
        return JournalFacts(
            pause,
            view.limits.events,
            report if is_fresh(report, now_ms) else None,
            tuple([(one.node, one.target) for one in WorkerRegistry(link, app).alive()]),
            _unheard(link, settings, app, now_ms),
        )
    except JournalUnavailable:
        return JournalFacts()


def _unheard(link: RedisLink, settings: Settings, app: str, now_ms: int) -> dict[int, float] | None:
    """Of the lanes in force, which have other numbers after a change of their number."""
    try:
        lanes = layout_in_force(link, app, settings.lanes).lanes
    except JournalUnreadable:
        return None
    answers = link.run([("HGET", link.keyspace.lane(app, lane).state, "unheard") for lane in lanes])
    # What cannot be read says nothing of its lane; status names the key.
    latest_ms = now_ms + AHEAD_MS
    times_ms = [as_count(0 if is_wrong_type(answer) else checked(answer) or 0, high=latest_ms) for answer in answers]
    return {lane: max(0.0, (now_ms - at_ms) / 1000) for lane, at_ms in zip(lanes, times_ms, strict=True) if at_ms}


def is_fresh(report: MemoryReport, now_ms: int) -> bool:
    """Whether workers have measured within the last window (Redis' time): later, it says nothing about now."""
    return report.at_ms > 0 and now_ms - report.at_ms <= report.window_s * 1000

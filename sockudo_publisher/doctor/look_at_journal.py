"""What the workers have left in Redis to be read: a pause, learned limits, their measure of the server's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import JournalUnavailable
from ..journal.canary import MemoryReport
from ..journal.link import RedisLink, checked
from ..journal.memory import DedupMemory
from ..journal.shared import Shared
from ..journal.workers import Target, WorkerRegistry
from ..settings import Settings
from .delivering import PauseFacts
from .remembering import is_fresh

__all__ = ["JournalFacts", "look_at_journal"]

#: Seconds to connect, and for each answer.
ANSWER_S = 3.0


@dataclass(frozen=True)
class JournalFacts:
    """``pause`` is ``None`` when it could not be read; ``learned``: events of a batch;
    ``measured`` within the last window, or ``None``; ``workers``: node and target of the live ones, ``None``
    when they could not be read; ``unheard``: lane -> seconds since its rings had no answer.
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
            _unheard(link, app, settings.lanes, now_ms),
        )
    except JournalUnavailable:
        return JournalFacts()


def _unheard(link: RedisLink, app: str, lanes: int, now_ms: int) -> dict[int, float]:
    answers = link.run([("HGET", link.keyspace.lane(app, lane).state, "unheard") for lane in range(lanes)])
    times = [checked(answer) for answer in answers]
    return {lane: max(0.0, (now_ms - int(at)) / 1000) for lane, at in enumerate(times) if at is not None}

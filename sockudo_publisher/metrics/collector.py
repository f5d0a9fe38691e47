"""The journal's figures as metrics: all gauges, read when they are scraped. Needs the extra ``metrics``.

Every program that is scraped shows the same values for an app: queries use ``max by (app)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ..config.settings import get_settings, on_configure
from ..journal.redis.link import RedisLink
from ..telemetry.names import PAUSE_REASONS, PREFIX
from .figures import AppFigures, Figures, link_of, read_figures
from .scrape import Cached

__all__ = ["GAUGES", "JournalCollector"]

#: Gauges with the label `app` alone: name, help text, value (``None``: not shown).
GAUGES: Final[tuple[tuple[str, str, Callable[[AppFigures], float | None]], ...]] = (
    ("backlog_events", "Events that wait in the journal", lambda app: app.backlog),
    (
        "oldest_event_age_seconds",
        "Seconds that the oldest event has waited, 0: none waits",
        lambda app: app.oldest_age_s,
    ),
    ("dead_letters", "Dead letters that wait for a person", lambda app: app.dead),
    ("held_channels", "Channels that wait behind their stuck event", lambda app: app.held_channels),
    ("scheduled_events", "Events that are stored for a later time", lambda app: app.scheduled),
    (
        "scheduled_parked_events",
        "Scheduled events that could not be stored and wait for a person",
        lambda app: app.scheduled_parked,
    ),
    (
        "scheduled_late_seconds",
        "Seconds since the first scheduled event was due, 0: none is due",
        lambda app: app.scheduled_late_s,
    ),
    ("failing_lanes", "Lanes whose drains end in errors", lambda app: app.failing_lanes),
    ("workers", "Live workers", lambda app: app.workers),
    ("workers_consuming", "Live workers whose consumer is attached to the queue", lambda app: app.consuming),
    ("journal_readable", "Whether all keys hold what the journal wrote", lambda app: float(app.is_readable)),
    (
        "dedup_memory_intact",
        "Whether Sockudo remembers message ids for the whole window; not shown while it is not known",
        lambda app: None if app.is_memory_intact is None else float(app.is_memory_intact),
    ),
)


class JournalCollector(Collector):
    """Shows the figures of all apps in this process' settings."""

    def __init__(self) -> None:
        self._figures = Cached(self._read)
        self._link: RedisLink | None = None
        on_configure(self._forget)

    def describe(self) -> Iterator[Any]:
        """Nothing: a registry must not ask Redis when this is registered."""
        return iter(())

    def collect(self) -> Iterator[Any]:
        """The gauges; without Redis ``redis_up`` alone, as old figures would hide the trouble."""
        figures = self._figures.get()
        yield GaugeMetricFamily(
            PREFIX + "redis_up", "Whether the journal's Redis answers this process", value=float(figures is not None)
        )
        if figures is None:
            return
        for name, value in (("memory", figures.memory_bytes), ("max_memory", figures.max_memory_bytes)):
            if value is not None:
                yield GaugeMetricFamily(f"{PREFIX}redis_{name}_bytes", f"{name} of Redis, as INFO memory", value=value)
        yield from _families(figures.apps)

    def _read(self) -> Figures:
        settings = get_settings()
        if self._link is None:
            self._link = link_of(settings)
        return read_figures(self._link, settings)

    def _forget(self) -> None:
        self._link = None


def _families(apps: Mapping[str, AppFigures]) -> Iterator[Any]:
    for name, text, value_of in GAUGES:
        family = GaugeMetricFamily(PREFIX + name, text, labels=("app",))
        for app, figures in apps.items():
            value = value_of(figures)
            if value is not None:
                family.add_metric((app,), value)
        yield family
    paused = GaugeMetricFamily(PREFIX + "paused", "Whether the app is paused, by reason", labels=("app", "reason"))
    for app, figures in apps.items():
        for known in PAUSE_REASONS:
            paused.add_metric((app, known), float(known in figures.paused))
        paused.add_metric((app, "other"), float(not figures.paused <= set(PAUSE_REASONS)))
    yield paused

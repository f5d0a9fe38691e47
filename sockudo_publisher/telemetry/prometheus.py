"""The counters and histograms of this process for Prometheus (extra ``metrics``).

They are prometheus_client's own objects in its default registry, so an application that serves that registry serves
them too, and its multiprocess mode (gunicorn, the prefork pool) works for them as for the application's own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.registry import Collector

from .ages import BOUNDS_S, Ages
from .names import COUNTERS, HISTOGRAMS, JOURNAL_SECONDS, LABEL_VALUES, PREFIX, bounded
from .observer import Observer
from .pending_counts import Key, PendingCounts

__all__ = ["OBSERVER", "PrometheusObserver"]

_JOURNAL: Final = JOURNAL_SECONDS.name


class _WeightedHistogram(Histogram):
    """A histogram to which many observations are added at once."""

    def add(self, bucket: int, count: float) -> None:
        """Add observations to one bucket."""
        self._buckets[bucket].inc(count)

    def add_sum(self, amount: float) -> None:
        """Add to the sum of all observations."""
        self._sum.inc(amount)


class _FlushFirst(Collector):
    """Adds up what waits before a scrape reads the metrics; registered before them. Has no metrics of its own."""

    def __init__(self, tally: PendingCounts) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Any]:
        self._tally.flush()
        return iter(())


class PrometheusObserver(Observer):
    """Counts for Prometheus. One per process: the registry takes each name once."""

    def __init__(self) -> None:
        self._tally = PendingCounts(self._apply)
        REGISTRY.register(_FlushFirst(self._tally))
        self._counters = {
            one.name: Counter(
                PREFIX + one.name,
                one.help,
                ("app", LABEL_VALUES[one.name][0]) if one.name in LABEL_VALUES else ("app",),
            )
            for one in COUNTERS
        }
        self._bounds = {one.name: one.bounds for one in HISTOGRAMS}
        self._histograms = {
            one.name: _WeightedHistogram(PREFIX + one.name, one.help, ("app",), buckets=one.bounds)
            for one in HISTOGRAMS
        }
        self._histograms[_JOURNAL] = _WeightedHistogram(
            PREFIX + _JOURNAL, JOURNAL_SECONDS.help, ("app",), buckets=BOUNDS_S
        )
        self._children: dict[tuple[str | int, ...], Any] = {}

    def flush(self) -> None:
        """Add up what has been counted, now."""
        self._tally.flush()

    # -- the observer -------------------------------------------------------------------------------

    def begin(self, app: str) -> None:
        """Let all series of the app begin at 0, so that a rate sees the first event."""
        for name in self._counters:
            values = LABEL_VALUES[name][1] if name in LABEL_VALUES else ()
            for value in values:
                self._tally.add((name, app, value), 0)
            if not values:
                self._tally.add((name, app), 0)
        for name in self._histograms:
            self._tally.add((name, app, 0), 0)

    def appended(self, app: str, count: int) -> None:  # noqa: D102
        self._tally.add(("events_stored", app), count)

    def scheduled(self, app: str, count: int) -> None:  # noqa: D102
        self._tally.add(("events_scheduled", app), count)

    def unstored(self, app: str, outcome: str, count: int) -> None:  # noqa: D102
        self._tally.add(("events_unstored", app, bounded("events_unstored", outcome)), count)

    def redis_error(self, app: str, where: str) -> None:  # noqa: D102
        self._tally.add(("redis_errors", app, bounded("redis_errors", where)))

    def post(self, app: str, outcome: str, seconds: float, count: int) -> None:  # noqa: D102
        self._tally.add(("posts", app, bounded("posts", outcome)))
        self._observe("post_seconds", app, seconds)
        self._observe("batch_events", app, count)

    def resent(self, app: str, count: int) -> None:  # noqa: D102
        self._tally.add(("events_resent", app), count)

    def settled(self, app: str, count: int, ages: Ages | None) -> None:  # noqa: D102
        self._tally.add(("events_settled", app), count)
        if ages is not None:
            for bucket, number in enumerate(ages.counts):
                if number:
                    self._tally.add((_JOURNAL, app, bucket), number)
            self._tally.add((_JOURNAL, app), ages.total_s)

    def buried(self, app: str, reason: str, count: int = 1) -> None:  # noqa: D102
        self._tally.add(("events_dead", app, bounded("events_dead", reason)), count)

    def left(self, app: str, reason: str, count: int) -> None:  # noqa: D102
        self._tally.add(("events_collapsed" if reason == "collapsed" else "events_expired", app), count)

    def uncertain(self, app: str, outcome: str, count: int) -> None:  # noqa: D102
        self._tally.add(("events_uncertain", app, bounded("events_uncertain", outcome)), count)

    def held(self, app: str) -> None:  # noqa: D102
        self._tally.add(("holds", app))

    def paused(self, app: str, reason: str) -> None:  # noqa: D102
        self._tally.add(("pauses", app, bounded("pauses", reason)))

    def drained_without_doorbell(self, app: str, reason: str) -> None:  # noqa: D102
        self._tally.add(("drains_without_doorbell", app, bounded("drains_without_doorbell", reason)))

    def _observe(self, name: str, app: str, amount: float) -> None:
        self._tally.add((name, app, bisect_left(self._bounds[name], amount)))
        self._tally.add((name, app), amount)

    # -- the metrics, in the tally's thread ---------------------------------------------------------

    def _apply(self, sums: Mapping[Key, float]) -> None:
        for key, amount in sums.items():
            name = str(key[0])
            if name in self._histograms:
                histogram = self._child(self._histograms[name], key[:2])
                if len(key) == 3:
                    histogram.add(key[2], amount)
                else:
                    histogram.add_sum(amount)
            else:
                self._child(self._counters[name], key).inc(amount)

    def _child(self, metric: Any, key: Key) -> Any:
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*key[1:])
        return child


#: The one of this process. Made by the import, which takes place once even if several threads ask for it.
OBSERVER: Final = PrometheusObserver()

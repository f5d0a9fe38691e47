"""``/metrics`` of a relay: what it has stored, and the rows of its table. Needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Final

from ..config.settings import Settings
from ..errors import JournalUnavailable
from ..metrics.scrape import Cached
from ..redaction import package_logger
from ..telemetry.choose import switch_on
from ..telemetry.names import PREFIX
from ..wiring.http_endpoints import EndpointAnswer, EndpointRequest, Handler
from .figures import OutboxFigures, ReadFigures

__all__ = ["begin_metrics", "metrics_handler"]

logger = package_logger("sockudo_publisher.outbox")

#: Seconds for which rows that were counted are shown again: a database counts a large table row by row.
FRESH_S: Final = 5.0

_MISSING: Final = b"prometheus_client is not installed: pip install 'sockudo-publisher[metrics]'\n"


def begin_metrics() -> None:
    """Count from now on, before an app is used."""
    if find_spec("prometheus_client") is not None:
        switch_on("prometheus")


def metrics_handler(settings: Settings, tables: Sequence[ReadFigures]) -> Handler:
    """Answers ``GET /metrics``. ``tables``: of the relays of this process; may grow."""
    if find_spec("prometheus_client") is None:
        return lambda _: EndpointAnswer(501, _MISSING)
    from ..telemetry.exposition import MetricsPage

    page = MetricsPage([_OutboxCollector(tuple(settings.app_urls()), tables)])

    def answer(request: EndpointRequest) -> EndpointAnswer:
        content_type, body = page.render(request.headers.get("accept", ""))
        return EndpointAnswer(200, body, content_type)

    return answer


class _OutboxCollector:
    """The gauges of the outbox; none while the database does not answer."""

    def __init__(self, apps: Sequence[str], tables: Sequence[ReadFigures]) -> None:
        self._apps = apps
        self._tables = tables
        self._figures = Cached(self._read, fresh_s=FRESH_S)

    def _read(self) -> dict[str, OutboxFigures]:
        found = {app: OutboxFigures(app) for app in self._apps}
        for read in tuple(self._tables):
            try:
                rows = read()
            except Exception as error:  # noqa: BLE001 -- of any database; its text may hold a payload
                raise JournalUnavailable(f"the database failed ({type(error).__name__})", stored=False) from None
            for one in rows:
                if one.app in found:  # the settings bound the number of series, not the table
                    before = found[one.app]
                    found[one.app] = OutboxFigures(
                        one.app,
                        before.waiting + one.waiting,
                        max(before.oldest_age_s, one.oldest_age_s),
                        before.parked + one.parked,
                    )
        return found

    def collect(self) -> Iterator[Any]:
        """The gauges."""
        from prometheus_client.core import GaugeMetricFamily

        figures = self._figures.get()
        if figures is None:
            return
        for name, text, place in (
            ("outbox_rows", "Rows that wait in the outbox", 1),
            ("outbox_oldest_row_age_seconds", "Seconds that the oldest row has waited, 0: none waits", 2),
            ("outbox_parked_rows", "Rows that no relay tries again, for a person", 3),
        ):
            family = GaugeMetricFamily(PREFIX + name, text, labels=("app",))
            for app, one in figures.items():
                family.add_metric((app,), float(one[place]))
            yield family

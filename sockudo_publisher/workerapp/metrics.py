"""``/metrics`` of a worker: what it has counted, with its pool's children, and the journal's figures.

Served on ``SOCKUDO_METRICS_PORT`` if the extra ``metrics`` is installed.
"""

from __future__ import annotations

from importlib.util import find_spec

from ..telemetry.choose import switch_on
from ..telemetry.prefork import count_in_children
from ..wiring.http_endpoints import EndpointAnswer, EndpointRequest, Handler

__all__ = ["begin_metrics", "metrics_handler"]

_MISSING = b"prometheus_client is not installed: pip install 'sockudo-publisher[metrics]'\n"


def begin_metrics(*, is_prefork: bool) -> None:
    """Count from now on; before the pool forks, and before an app is used."""
    if find_spec("prometheus_client") is None:
        return
    if is_prefork:
        count_in_children()
    switch_on("prometheus")


def metrics_handler() -> Handler:
    """Answers ``GET /metrics``."""
    if find_spec("prometheus_client") is None:
        return lambda _: EndpointAnswer(501, _MISSING)
    from ..metrics.collector import JournalCollector
    from ..telemetry.exposition import MetricsPage

    page = MetricsPage([JournalCollector()])

    def answer(request: EndpointRequest) -> EndpointAnswer:
        content_type, body = page.render(request.headers.get("accept", ""))
        return EndpointAnswer(200, body, content_type)

    return answer

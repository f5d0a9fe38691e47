"""The worker's HTTP port (``SOCKUDO_METRICS_PORT``): ``/healthz``, ``/readyz`` and ``/metrics``, in the worker's
main process.

The port is taken before the pool forks, so that a worker whose port is in use ends at once with one line: without its
probes it would run unwatched, or be restarted without a reason. Children of a prefork pool close their copy. Other
rooms add their routes with ``wiring.http_endpoints.add_route``.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from ...config.settings import get_settings
from ...errors import ConfigurationError
from ...journal.redis.link import RedisLink
from ...wiring.health import answer_health
from ...wiring.http_endpoints import EndpointAnswer, EndpointRequest, EndpointServer, add_route
from ...wiring.private_celery import queue_name
from .. import health
from ..broker_probe import broker_probe
from ..check_settings import refuse
from ..metrics import metrics_handler
from .sweep import Sweep

__all__ = ["HttpEndpoints"]


class HttpEndpoints(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker, left out without a port. It starts after the pool, which must not fork a running server."""

    requires = {"celery.worker.components:Pool", "sockudo_publisher.workerapp.steps.sweep:Sweep"}

    def __init__(self, parent: Any, **_: Any) -> None:
        settings = get_settings()
        self.enabled = bool(settings.metrics_port)
        if not self.enabled:
            return
        self._worker = parent
        self._link = RedisLink(settings.redis_url, timeout_s=health.PROBE_TIMEOUT_S, namespace=settings.namespace)
        try:
            self._server = EndpointServer(settings.metrics_host, settings.metrics_port)
        except ConfigurationError as error:
            refuse(error)

    def start(self, _parent: Any) -> None:
        """Serve."""
        add_route("/healthz", self._answer_healthz)
        add_route("/readyz", self._answer_readyz)
        add_route("/metrics", metrics_handler())
        self._server.start()

    def stop(self, _parent: Any) -> None:
        """Free the port."""
        self._server.stop()

    terminate = stop

    def _answer_healthz(self, _: EndpointRequest) -> EndpointAnswer:
        sweeps = [step for step in self._worker.steps if isinstance(step, Sweep)]
        is_alive = any(step.is_alive for step in sweeps) or health.is_stopping()  # a stop ends the sweep first
        return answer_health(health.judge_liveness(is_sweep_alive=is_alive))

    def _answer_readyz(self, _: EndpointRequest) -> EndpointAnswer:
        redis_problem = health.find_redis_problem(self._link)
        return answer_health(
            health.judge_readiness(
                is_consuming=health.reads_queue(self._worker),
                is_ending=health.is_stopping(),
                queue=queue_name(),
                redis_problem=redis_problem,
                settings_problem=health.find_settings_problem(),
                # One wait in a probe's second: without the journal the worker is unready, whatever its broker does.
                broker_problem=None if redis_problem else broker_probe.find_problem(),
            )
        )

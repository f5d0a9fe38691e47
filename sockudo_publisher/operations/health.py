"""Whether one worker is healthy, seen from outside of its process: for probes that run a command.

Each worker announces itself in Redis every two seconds, from its sweep, and says whether its consumer reads the queue
of doorbells. So one round trip per app answers, without Celery and without the broker.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

from ..config.settings import DEFAULT_APP, Settings
from ..errors import ConfigurationError, JournalUnavailable
from ..journal.app.workers import TTL_MS, LiveWorker, WorkerRegistry
from ..journal.redis.link import RedisLink
from ..redaction import printable
from ..redaction.frame_locals import without_locals
from ..wiring.app import check_app
from ..wiring.health import HealthCheck

__all__ = ["default_node", "judge_worker", "worker_health"]

#: Seconds to connect to Redis, and to wait for its answer: a probe has a few seconds in all.
TIMEOUT_S = 1.0


def default_node(environ: Mapping[str, str] | None = None) -> str:
    """The name of this host's worker: ``CELERY_NODENAME``, else Celery's default name."""
    return (os.environ if environ is None else environ).get("CELERY_NODENAME") or f"celery@{socket.gethostname()}"


def judge_worker(node: str, app: str, workers: Sequence[LiveWorker], queue: str) -> HealthCheck:
    """The check of one app: is a live worker of this name there, and does it read the queue? Pure.

    Of several with one name (a restarted one beside its dead predecessor), one that reads is enough.
    """
    mine = [one for one in workers if one.node == node]
    name = f"worker app={printable(app)}"
    if not mine:
        return HealthCheck(name, f"no announcement of {printable(node)} within {TTL_MS // 1000} s")
    if all(one.is_consuming is False for one in mine):
        return HealthCheck(name, f"{printable(node)} does not read the queue {queue}")
    return HealthCheck(name)


@without_locals
def worker_health(settings: Settings, node: str | None = None) -> list[HealthCheck]:
    """The checks of the worker ``node`` (default: :func:`default_node`): settings, Redis, and the worker per app.

    Raises nothing for what it finds: a problem is in the check's ``problem``. Checks behind a failed one are left out.
    """
    node = node or default_node()
    try:
        for name in settings.app_urls() or (DEFAULT_APP,):
            check_app(settings, name)  # without the HTTP client
    except ConfigurationError as error:
        return [HealthCheck("settings", printable(str(error)))]
    link = RedisLink(settings.redis_url, timeout_s=TIMEOUT_S, namespace=settings.namespace)
    checks = [HealthCheck("settings")]
    try:
        found = {app: WorkerRegistry(link, app).alive() for app in settings.app_urls()}
    except JournalUnavailable as error:
        return [*checks, HealthCheck("redis", printable(str(error)))]
    checks.append(HealthCheck("redis"))
    return checks + [judge_worker(node, app, workers, settings.queue) for app, workers in found.items()]

"""Whether a worker is alive, and whether it is ready: the facts of this process, judged by pure functions.

*Alive*: a restart would not help. *Ready*: it receives doorbells and can deliver. A Redis that is away makes a worker
unready and not dead: it goes on by itself when Redis is back.
"""

from __future__ import annotations

from typing import Any

from ..config.settings import Settings, get_settings
from ..errors import ConfigurationError, JournalUnavailable
from ..journal.redis.link import RedisLink
from ..redaction import printable
from ..wiring import stop
from ..wiring.app import check_apps
from ..wiring.health import HealthCheck
from ..wiring.private_celery import queue_name

__all__ = [
    "PROBE_TIMEOUT_S",
    "find_redis_problem",
    "find_settings_problem",
    "is_stopping",
    "judge_liveness",
    "judge_readiness",
    "reads_queue",
]

#: Seconds to connect, and to wait for an answer of Redis, in a probe: together less than the second that
#: Kubernetes gives a probe by default.
PROBE_TIMEOUT_S = 0.4
assert 2 * PROBE_TIMEOUT_S < 1.0


def judge_liveness(*, is_sweep_alive: bool) -> list[HealthCheck]:
    """The checks of ``/healthz``. Without its sweep a worker finds no lost doorbell, and only a restart helps."""
    return [HealthCheck("sweep", "" if is_sweep_alive else "its thread has ended")]


def judge_readiness(
    *,
    is_consuming: bool,
    is_ending: bool,
    queue: str,
    redis_problem: str,
    settings_problem: str,
    broker_problem: str | None = None,
) -> list[HealthCheck]:
    """The checks of ``/readyz``. ``broker_problem``: ``None`` if the broker was not asked, then it has no line."""
    return [
        HealthCheck("settings", settings_problem),
        HealthCheck("redis", redis_problem),
        *([] if broker_problem is None else [HealthCheck("broker", broker_problem)]),
        HealthCheck("consumer", "" if is_consuming else f"does not read the queue {queue}"),
        HealthCheck("worker", "shuts down" if is_ending else ""),
    ]


# -- the facts ----------------------------------------------------------------------------------------


def reads_queue(worker: Any) -> bool:
    """Whether the consumer of this Celery worker is attached to the queue of doorbells.

    It is not while the broker is away, before the worker is ready, and after ``celery control cancel_consumer``.
    """
    consumer = getattr(getattr(worker, "consumer", None), "task_consumer", None)
    return consumer is not None and bool(consumer.consuming_from(queue_name()))


def find_redis_problem(link: RedisLink) -> str:
    """Why the journal's Redis does not answer, or ``""``; within a second if ``link`` has :data:`PROBE_TIMEOUT_S`."""
    try:
        link.call("PING")
    except JournalUnavailable as error:
        return printable(str(error))
    return ""


def find_settings_problem(settings: Settings | None = None) -> str:
    """Why a worker with these settings (default: of this process) could never deliver, or ``""``."""
    try:
        check_apps(settings or get_settings())
    except ConfigurationError as error:
        return printable(str(error))
    return ""


def is_stopping() -> bool:
    """Whether this worker shuts down."""
    return stop.flag.is_set()

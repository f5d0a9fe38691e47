"""The private Celery app: doorbells and `publish` messages go through it, whatever app is current.

``celery -A worker worker`` with no further option is the right production setting because of what
is configured here; each choice says why.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from celery import Celery
from celery.signals import celeryd_init

from ..config.settings import Settings, get_settings, on_configure
from ..errors import ConfigurationError
from .celery_isolation import PrivateApp, end_with_usage, is_chosen, refuse_other_app

__all__ = ["add_own_task", "celery_app", "configuration", "queue_name"]

#: Slots beside one per lane: for `publish` messages and held channels.
SPARE_SLOTS = 4

#: Seconds after which an unacknowledged message (a step of a canvas whose worker was killed) is delivered to
#: another worker. Kombu's default is an hour; a redelivered message appends nothing new (ledger).
VISIBILITY_TIMEOUT_S = 600

#: Seconds between two looks of a worker for such messages. Kombu's own throttle makes every tenth look
#: count, so that a message would come up to 100 s after its time.
RESTORE_INTERVAL_S = 10

#: Seconds without traffic after which the consumer's connection counts as dead.
BROKER_TIMEOUT_S = 10.0


def configuration(settings: Settings) -> dict[str, Any]:
    """The part of the Celery configuration that depends on the settings; :data:`_FIXED` is the rest."""
    lanes = settings.lanes * max(1, len(settings.app_urls()))
    options: dict[str, Any] = {}
    if settings.broker_url.startswith(("redis", "rediss", "sentinel", "valkey")):
        options = {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": RESTORE_INTERVAL_S,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": BROKER_TIMEOUT_S,
            "socket_timeout": BROKER_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 5,
        }
    return {
        "broker_url": settings.broker_url,
        "broker_transport_options": options,
        # The message id of an event in a canvas is its result; chords need a backend too.
        "result_backend": settings.redis_address.backend_url(),
        "redis_backend_use_ssl": settings.redis_address.tls or None,
        "task_default_queue": settings.queue,
        # Drains wait for answers: threads cost nothing while they do. A slot per lane, so that every
        # lane can be watched, and some to spare.
        "worker_concurrency": lanes + SPARE_SLOTS,
    }


#: The names of `configuration`.
_FOLLOWING = frozenset(
    {
        "broker_url",
        "broker_transport_options",
        "result_backend",
        "redis_backend_use_ssl",
        "task_default_queue",
        "worker_concurrency",
    }
)

_FIXED: Mapping[str, Any] = {
    "broker_connection_retry_on_startup": True,
    # A restarted broker may be away for minutes; the sweep drains meanwhile.
    "broker_connection_max_retries": None,
    # An error that the broker answers (UNBLOCKED after a failover, MISCONF, PRECONDITION_FAILED, ...) is mended
    # there, while this worker runs: it connects again, and the sweep drains meanwhile.
    "broker_channel_error_retry": True,
    "worker_consumer": "sockudo_publisher.workerapp.consumer:Consumer",
    "result_expires": 3600,
    "redis_socket_connect_timeout": BROKER_TIMEOUT_S,
    "redis_socket_timeout": BROKER_TIMEOUT_S,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "worker_pool": "threads",
    # A doorbell must not wait behind a running drain in a worker that has no free slot.
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": True,
    # A rate limit set by remote control would let doorbells wait, not events.
    "worker_disable_rate_limits": True,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    # On a lost connection Celery would cancel unacknowledged tasks; this package's tasks must not be cancelled.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}


def queue_name() -> str:
    """The one queue of this deployment: ``sockudo``, or ``sockudo.NAMESPACE``."""
    return get_settings().queue


class _Configuration(Mapping[str, Any]):
    """The app's Celery configuration, which follows the settings: none are read before an address is asked for.

    Celery asks for other names when a task is registered, which is when this package is imported.
    """

    def __init__(self) -> None:
        self._made: tuple[Settings | None, Mapping[str, Any]] = (None, {})

    def __getitem__(self, name: str) -> Any:
        if name in _FIXED:
            return _FIXED[name]
        if name not in _FOLLOWING:
            raise KeyError(name)
        settings = _settings()
        made_of, made = self._made
        if made_of is not settings:
            made = configuration(settings)
            self._made = (settings, made)
        return made[name]

    def __contains__(self, name: object) -> bool:
        return name in _FIXED or name in _FOLLOWING

    def __iter__(self) -> Iterator[str]:
        yield from _FIXED
        yield from _FOLLOWING

    def __len__(self) -> int:
        return len(_FIXED) + len(_FOLLOWING)


def _settings() -> Settings:
    try:
        return get_settings()
    except ConfigurationError as error:
        if is_chosen(celery_app):
            end_with_usage(str(error))
        raise


class _App(PrivateApp):
    """Its worker is ``workerapp``'s, whichever module names the app for the ``celery`` command."""

    worker_class = "sockudo_publisher.workerapp.program:WorkerProgram"
    task_module = "sockudo_publisher.tasks.publish"


celery_app: Celery = _App("sockudo_publisher")
celery_app.add_defaults(_Configuration)
celeryd_init.connect(
    partial(refuse_other_app, celery_app), weak=False, dispatch_uid="sockudo_publisher.refuse_other_app"
)
# By name: the backend's module is loaded when a result is first wanted.
celery_app.loader.override_backends = {
    "redis": "sockudo_publisher.wiring.result_backend:RedisResults",
    "rediss": "sockudo_publisher.wiring.result_backend:RedisResults",
    "sentinel": "sockudo_publisher.wiring.result_backend:SentinelResults",
}


_OwnTask = TypeVar("_OwnTask", bound=Any)


def add_own_task(task: _OwnTask) -> _OwnTask:
    """Register a task with the app. Returns it.

    Not by ``celery_app.register_task``, which finalizes the app: in a publisher's process that would load Celery's own
    tasks and the result backends, and run what the application has for all apps (``shared_task``).
    """
    celery_app._tasks.register(task)
    task.bind(celery_app)
    return task


def _forget() -> None:
    """Drop the objects that Celery made from earlier addresses: queues, pools, the backend of each thread."""
    for name in ("amqp", "control", "events"):
        celery_app.__dict__.pop(name, None)
    celery_app._pool = celery_app._backend_cache = None
    celery_app._local = threading.local()


on_configure(_forget)

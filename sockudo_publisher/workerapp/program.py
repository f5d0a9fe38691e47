"""The worker program: Celery's, with this package's options and a shutdown that stops drains first.

Celery makes it for every command that starts a worker of our app, whatever module names the app.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click
from celery import platforms
from celery.apps import worker as celery_worker
from celery.concurrency.base import BasePool
from celery.exceptions import ImproperlyConfigured
from celery.platforms import EX_FAILURE, EX_OK
from celery.utils.text import str_to_list
from kombu.utils.compat import detect_environment

from ..config.settings import get_settings
from ..errors import ConfigurationError
from ..redaction import package_logger
from ..wiring import stop
from ..wiring.celery_isolation import end_with_usage
from ..wiring.private_celery import queue_name
from . import assembly as _assembly  # noqa: F401 -- this process becomes a worker's, whatever module named the app
from .logs import begin_summary, log_ready, log_start
from .metrics import begin_metrics
from .options import check_queues, ineffective_options, own_options
from .pool_name import asks_for_prefork

__all__ = ["WorkerProgram"]

logger = package_logger("sockudo_publisher.worker")

#: Pools that work only in a process whose sockets and threads were replaced before anything used them.
_GREEN = ("gevent", "eventlet")


class WorkerProgram(celery_worker.Worker):  # type: ignore[misc]
    """Refuses, with one line and exit code 2, options that would deliver nothing or lose messages."""

    def __init__(self, app: Any = None, hostname: str | None = None, **options: Any) -> None:
        context = click.get_current_context(silent=True)
        extra = context.args if context is not None and context.info_name == "worker" else ()
        self._ineffective = ineffective_options(options)
        try:
            own = own_options(options, extra, asks_for_prefork=asks_for_prefork(sys.argv))
            queues, excluded = str_to_list(options.get("queues")), str_to_list(options.get("exclude_queues"))
            self._further_queues = check_queues(queues or (), excluded or (), queue_name())
            _check_prepared(own.get("pool") or own.get("pool_cls"))
            begin_summary(get_settings())
            if get_settings().metrics_port:
                begin_metrics(is_prefork=own.get("pool") == "prefork")
            super().__init__(app, hostname, **own)
        except (ConfigurationError, ImproperlyConfigured) as error:
            end_with_usage(" ".join(str(error).split()))

    def on_start(self) -> None:
        """Celery's; the log is open by now."""
        super().on_start()
        log_start(get_settings())
        for option in self._ineffective:
            logger.warning("option without effect, as drains end by themselves option=%s", option)
        for queue in self._further_queues:
            logger.warning("worker discards foreign tasks of a further queue queue=%s", queue)

    def on_consumer_ready(self, consumer: Any) -> None:
        """Celery's, called once: not again after a lost connection."""
        super().on_consumer_ready(consumer)
        log_ready(get_settings(), is_quiet=bool(self.quiet))

    def terminate(self, in_sighandler: bool = False) -> None:
        """Celery's; children may be ended now."""
        stop.flag.set_cold()
        super().terminate(in_sighandler)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Celery's signal handlers, after which drains stop first.

        SIGQUIT, and SIGTERM where REMAP_SIGTERM makes one of it, would cancel drains in the middle of a request, or
        wait for them without a stop: the first one is a warm shutdown instead, the second a cold one.
        """
        super().install_platform_tweaks(worker)
        warm = {"SIGINT": EX_FAILURE, "SIGQUIT": EX_FAILURE}
        if celery_worker.REMAP_SIGTERM == "SIGQUIT":
            warm["SIGTERM"] = EX_OK
        for name, code in warm.items():
            celery_worker.install_worker_int_handler(worker, sig=name, exitcode=code, callback=_cold_next(name))
        for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"):
            handler = signal.getsignal(getattr(signal, name))
            if callable(handler):
                platforms.signals[name] = _drains_first(handler)


def _check_prepared(pool: Any) -> None:
    module = pool if isinstance(pool, str) else getattr(pool, "__module__", "")
    for name in _GREEN:
        if name in module and detect_environment() != name:  # type: ignore[no-untyped-call]
            raise ConfigurationError(f"--pool: this process is not prepared for {name}; write -P {name}")


def _cold_next(name: str) -> Callable[[Any], None]:
    def install(worker: Any) -> None:
        celery_worker.safe_say(f"worker: {name} again ends running drains, whose lanes then wait", sys.__stdout__)
        celery_worker.install_worker_term_hard_handler(worker, sig=name, callback=_shut_down_cold)

    return install


def _shut_down_cold(worker: Any) -> None:
    stop.flag.set_cold()
    pool = worker.consumer.pool
    if type(pool).terminate_job is not BasePool.terminate_job:
        celery_worker.on_cold_shutdown(worker)
        return
    # Celery's would fail where a pool cannot end its tasks, and Python waits for a pool's threads: an answer of the
    # server may take SOCKUDO_DELIVERY_TIMEOUT. The journal takes this end for a killed worker's.
    celery_worker.safe_say("worker: Cold shutdown (MainProcess)", sys.__stdout__)
    if worker.pidlock:
        worker.pidlock.release()
    os._exit(EX_FAILURE)


def _drains_first(handler: Callable[..., Any]) -> Callable[..., Any]:
    def handle(*args: Any) -> None:
        stop.flag.set()
        handler(*args)

    return handle

"""The worker's log: a line at its start and when it is ready, one summary line a minute, no line per drain, and JSON
with ``SOCKUDO_LOG=json``.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, Final

from celery.signals import after_setup_logger, after_setup_task_logger

from .. import __version__
from ..config.settings import Settings, get_settings
from ..errors import ConfigurationError
from ..redaction import package_logger, printable, without_credentials
from ..telemetry.choose import switch_on
from ..telemetry.json_logs import JsonFormatter
from ..telemetry.summary import Summary
from ..wiring.redis_ring import DRAIN_TASK

__all__ = ["begin_summary", "log_ready", "log_start", "quiet_drains", "set_format_with_worker", "write_summary"]

logger = package_logger("sockudo_publisher.worker")

#: Celery's loggers with a line or two for each task.
_PER_TASK: Final = ("celery.worker.strategy", "celery.app.trace")

_summary: list[Summary] = []


def begin_summary(settings: Settings) -> None:
    """Count for the summary line; before the pool forks, and before an app is used."""
    if not _summary:
        _summary.append(Summary(sorted(settings.app_urls())))
        switch_on("summary", _summary[0])


def write_summary(*, is_last: bool = False) -> None:
    """Write the line if it is due."""
    for summary in _summary:
        summary.write_if_due(is_last=is_last)


def log_start(settings: Settings) -> None:
    """Write the start line."""
    apps = ",".join(sorted(settings.app_urls()))
    logger.info(
        "worker started version=%s queue=%s lanes=%d apps=%s", __version__, settings.queue, settings.lanes, apps
    )


def log_ready(settings: Settings, *, is_quiet: bool) -> None:
    """Say what this worker delivers, once it reads its queue; never a password.

    At INFO a log line. Celery's default level hides it, so it is printed below Celery's banner then; not with
    ``--quiet``, which hides the banner, and not where the log is JSON.
    """
    message = "worker ready queue=%s apps=%s redis=%s"
    fields = settings.queue, ",".join(sorted(settings.app_urls())), without_credentials(settings.redis_url)
    if logger.isEnabledFor(logging.INFO):
        logger.info(message, *fields)
    elif not is_quiet and settings.log != "json":
        with suppress(OSError, ValueError):  # its reader has gone away; the worker delivers all the same
            print(printable(message % fields), file=sys.__stdout__, flush=True)


class _WithoutDrains(logging.Filter):
    """Drops Celery's lines at INFO about single drains: at full rate there are hundreds a second."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for such a line."""
        args = record.args
        return not (record.levelno <= logging.INFO and isinstance(args, dict) and args.get("name") == DRAIN_TASK)


def quiet_drains() -> None:
    """Install the filter in this process; children that are forked later have it too."""
    for name in _PER_TASK:
        of_celery = logging.getLogger(name)
        if not any(isinstance(one, _WithoutDrains) for one in of_celery.filters):
            of_celery.addFilter(_WithoutDrains())


def set_format_with_worker() -> None:
    """Write JSON where the settings want it, once Celery has set its handlers up."""
    for signal in (after_setup_logger, after_setup_task_logger):
        signal.connect(_set_format, weak=False, dispatch_uid="sockudo_publisher.log_format")


def _set_format(logger: logging.Logger | None = None, **_: Any) -> None:
    try:
        is_json = get_settings().log == "json"
    except ConfigurationError:
        return  # the worker refuses to start, with one line
    if is_json and logger is not None:
        for handler in logger.handlers:
            handler.setFormatter(JsonFormatter())

"""Take control characters out of what Celery's log lines quote.

Task ids are message ids, which applications choose, and names of tasks come with a message. The package's own loggers
have their filter (``redaction.package_logger``).
"""

from __future__ import annotations

import logging

from ..redaction import printable_arguments

__all__ = ["make_names_printable"]

#: The loggers of Celery and kombu that log ids, names and errors of messages.
_LOGGERS = (
    *("celery.app.base", "celery.app.trace", "celery.bootsteps", "celery.pool", "celery.utils.log", "celery.worker"),
    *("celery.concurrency.asynpool", "celery.concurrency.base", "celery.worker.autoscale", "celery.worker.components"),
    *("celery.worker.consumer.connection", "celery.worker.consumer.consumer", "celery.worker.consumer.gossip"),
    *("celery.worker.consumer.mingle", "celery.worker.control", "celery.worker.pidbox", "celery.worker.request"),
    *("celery.worker.state", "celery.worker.strategy", "kombu", "kombu.asynchronous.hub", "kombu.common"),
    "kombu.connection",
)


def make_names_printable() -> None:
    """Install the filter in this process; children that are forked later have it too."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(printable_arguments)

"""Remove message contents from the log lines of Celery's worker about messages that it cannot use, and local variables
from the tracebacks of its log records.

Celery logs the whole body and the headers of a message that it does not know, cannot decode or finds malformed; in this
package's queue they contain payloads. The replacement names the kind of trouble and the type of the error.

The frames of a lost broker connection, or of a failed task, hold passwords and payloads. A log file does not show them;
handlers that report to error trackers do.
"""

from __future__ import annotations

import logging

from ..redaction.frame_locals import clear_locals

__all__ = ["WithoutLocals", "WithoutPayloads", "hide_payloads"]

#: Celery's loggers that log single messages before any task runs.
_LOGGERS = ("celery.worker.consumer.consumer", "celery.worker.strategy")

#: Its loggers, and kombu's, that log errors with their tracebacks.
_WITH_TRACEBACKS = (
    "celery.app.trace",
    "celery.concurrency.base",
    "celery.worker",
    "celery.worker.consumer.consumer",
    "celery.worker.consumer.mingle",
    "celery.worker.control",
    "celery.worker.pidbox",
    "celery.worker.request",
    "celery.worker.strategy",
    "kombu.asynchronous.hub",
    "kombu.connection",
)

#: The beginnings of their texts that quote the message (celery/worker/consumer/consumer.py, strategy.py), and the
#: replacements.
_TEXTS = {
    "Received and deleted unknown message": "Received and deleted a message that is no task's.",
    "Received unregistered task": "Received and discarded a message of an unregistered task.",
    "Received invalid task message": "Received and discarded an invalid task message.",
    "Can't decode message body": "Received and discarded a message whose body cannot be decoded.",
    "Couldn't convert ETA": "Received and discarded a task message whose ETA cannot be read.",
}

#: Parts of any other text that quotes a message, in case Celery's wording changes.
_GIVEAWAYS = ("contents of the message", "message body", "body:")


class WithoutPayloads(logging.Filter):
    """Rewrite such records; drop none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        text = str(record.msg)
        instead = next((replacement for start, replacement in _TEXTS.items() if text.startswith(start)), None)
        if instead is None and any(word in text for word in _GIVEAWAYS):
            instead = "Received a message that cannot be used."
        if instead is not None:
            # The error's text and the traceback's last line may quote the message too.
            kind = record.exc_info[0] if record.exc_info else None
            record.msg = f"{instead} ({kind.__name__})" if kind is not None else instead
            record.args = None
            record.exc_info = record.exc_text = record.stack_info = None
        return True


class WithoutLocals(logging.Filter):
    """Clear the local variables of a record's traceback; drop no record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            clear_locals(error)
        return True


def hide_payloads() -> None:
    """Install the filters in this process; children that are forked later have them too."""
    for kind, names in ((WithoutPayloads, _LOGGERS), (WithoutLocals, _WITH_TRACEBACKS)):
        for name in names:
            logger = logging.getLogger(name)
            if not any(isinstance(one, kind) for one in logger.filters):
                logger.addFilter(kind())

"""Remove message contents from the log lines of Celery's worker about messages that it cannot use.

Celery logs the whole body and the headers of a message that it does not know, cannot decode or finds malformed; in this
package's queue they contain payloads. The replacement names the kind of trouble and the type of the error.
"""

from __future__ import annotations

import logging

__all__ = ["WithoutPayloads", "hide_payloads"]

#: Celery's loggers that log single messages before any task runs.
_LOGGERS = ("celery.worker.consumer.consumer", "celery.worker.strategy")

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


def hide_payloads() -> None:
    """Install the filter in this process; children that are forked later have it too."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, WithoutPayloads) for one in logger.filters):
            logger.addFilter(WithoutPayloads())

"""``SOCKUDO_ON_UNAVAILABLE=log``: a caller goes on without its event. The loss is counted and logged, never hidden.

For calls of one event, whose caller has other work to finish. Jobs that can be repeated raise: ``publish_many``, the
outbox's relay, and a canvas, whose next tasks would wait for ever.
"""

from __future__ import annotations

from ..config.settings import get_settings
from ..errors import BacklogFull, JournalUnavailable
from ..publishing.prepare import Prepared
from ..publishing.unstored import count_unstored
from ..redaction import package_logger, printable
from ..wiring.app import app_named
from .result import UnstoredResult

__all__ = ["UNAVAILABLE", "goes_on", "without_event"]

logger = package_logger("sockudo_publisher.tasks")

#: The errors of a journal that takes no event now; bad input is none of them.
UNAVAILABLE = (JournalUnavailable, BacklogFull)

#: Channels of one event that a log line names; further ones are counted.
MAX_NAMED = 3


def goes_on() -> bool:
    """Whether callers go on without an event that cannot be stored."""
    return get_settings().on_unavailable == "log"


def without_event(app: str, event: str, prepared: Prepared, error: Exception) -> UnstoredResult:
    """Count and log that an event is not stored. Returns the call's result."""
    done = error.stored_channels if isinstance(error, JournalUnavailable) else ()
    stored = error.stored if isinstance(error, JournalUnavailable) else False
    channels = [item.channel for item in prepared.items if item.channel not in done]
    count_unstored(app, len(channels), is_unknown=stored is None)
    app_named(app).observer.unstored(app, "unknown" if stored is None else "lost", len(channels))
    more = f",+{len(channels) - MAX_NAMED}" if len(channels) > MAX_NAMED else ""
    fields = {
        "app": app,
        "channel": ",".join(channels[:MAX_NAMED]) + more,
        "event": printable(event),
        "message_id": printable(prepared.message_id),
        "stored": "unknown" if stored is None else "no",
        "error": type(error).__name__,
    }
    logger.error(
        "event not stored, the caller goes on app=%s channel=%s event=%s message_id=%s stored=%s error=%s: %s",
        *(*fields.values(), error),
        extra=fields,
    )
    return UnstoredResult(prepared.message_id, error, stored=stored)

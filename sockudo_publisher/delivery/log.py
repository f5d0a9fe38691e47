"""Log lines of the delivery: what happened, then ``key=value`` fields, which are on the record too (``extra=``)."""

from __future__ import annotations

import json
from typing import Any, Final

from ..journal.pack import Item
from ..redaction import package_logger, printable

__all__ = ["item_fields", "log"]

#: Characters of a name in a log line.
MAX_NAME: Final = 200

_logger = package_logger("sockudo_publisher.delivery")


def log(level: int, event: str, detail: str = "", /, **fields: Any) -> None:
    """Write one line. ``event``: what happened, the same text each time; ``detail``: text of the server."""
    if not _logger.isEnabledFor(level):
        return
    template = " ".join((event, *(f"{name}=%s" for name in fields)))
    values = tuple("-" if value is None else value for value in fields.values())
    if detail:
        template, values = f"{template}: %s", (*values, detail)
    _logger.log(level, template, *values, extra=fields, stacklevel=2)


def item_fields(item: Item) -> dict[str, str]:
    """The fields by which a person finds an event: never its payload."""
    try:
        event = json.loads(item.body)
    except (ValueError, RecursionError):
        event = None
    known = event if isinstance(event, dict) else {}
    return {
        "channel": _shown(item.channel),
        "event": _shown(known.get("name")),
        "message_id": _shown(known.get("message_id")),
    }


def _shown(value: object) -> str:
    """A name on one line, and not too long: items of other writers were not checked."""
    return printable(value[:MAX_NAME]) if isinstance(value, str) else "-"

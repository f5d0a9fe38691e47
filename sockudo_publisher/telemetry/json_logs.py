"""Log records as JSON, one object a line."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

from ..redaction import printable_json
from ..redaction.log_fields import FIELDS, HEAD

__all__ = ["JsonFormatter"]

#: Names in an object that no field may take; such a field gets an underscore behind.
_OWN = ("time", "level", "logger", "message", "process", "thread", "exception")


class JsonFormatter(logging.Formatter):
    """Objects with ``time`` (UTC), ``level``, ``logger``, ``message``, ``process`` and the fields of the line.

    ``message`` is what happened, the same text each time; what differs is in the fields.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        known = record.__dict__
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": known.get(HEAD) or record.getMessage(),
            "process": record.process,
        }
        for name in known.get(FIELDS, ()):
            line[f"{name}_" if name in _OWN else name] = known.get(name)
        if record.exc_info or record.exc_text:
            line["exception"] = record.exc_text or self.formatException(record.exc_info)  # type: ignore[arg-type]
        return printable_json(json.dumps(line, ensure_ascii=False, default=str))

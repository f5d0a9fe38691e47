"""Texts of events as the admin shows them. Pure."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone

from ....redaction import printable

__all__ = ["MAX_PAYLOAD_CHARACTERS", "shown_payload", "shown_time"]

#: Characters of a payload that a page shows.
MAX_PAYLOAD_CHARACTERS = 100_000


def shown_payload(data: object) -> str:
    """The data of an event, indented if it is JSON; cut at :data:`MAX_PAYLOAD_CHARACTERS`."""
    if isinstance(data, str):
        with contextlib.suppress(ValueError, RecursionError):
            data = json.loads(data)
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, indent=2)
    text = "\n".join(printable(line) for line in text.splitlines())
    if len(text) <= MAX_PAYLOAD_CHARACTERS:
        return text
    return f"{text[:MAX_PAYLOAD_CHARACTERS]}\n… ({len(text):,} characters)"


def shown_time(ms: int) -> datetime | None:
    """Redis' milliseconds as a time; ``None`` for 0 and for times that no calendar has."""
    try:
        return datetime.fromtimestamp(ms / 1000, tz=timezone.utc) if ms else None
    except (ValueError, OverflowError, OSError):
        return None

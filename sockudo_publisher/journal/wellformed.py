"""Whether an item is what it has to be: the JSON of exactly one event, of its channel, with an id. Pure.

Sockudo answers every event of a batch, also two that stand in one item, and without an id it cannot tell a resend. So
items are checked where they come from outside (a Celery message), and where an answer does not fit what was sent.
"""

from __future__ import annotations

import json
from typing import Any, Final

from .pack import Item

__all__ = ["MAX_ID_BYTES", "fault_of"]

#: Bytes of a ``message_id``: the server's ``max_key_length``.
MAX_ID_BYTES: Final = 128


def fault_of(item: Item, message_id: str | None = None) -> str:
    """What is wrong with an item, without its payload; ``""``: nothing. ``message_id``: the one that it must have."""
    try:
        event = json.loads(item.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return "not exactly one JSON object"
    if not isinstance(event, dict):
        return f"a JSON {type(event).__name__}, expected one object"
    if event.get("channel") != item.channel or "channels" in event:
        return "channel: another one than the item's"
    if not isinstance(event.get("name"), str) or not event["name"]:
        return "name: missing"
    if not isinstance(event.get("data"), str):
        return "data: no text"
    found = event.get("message_id")
    if not isinstance(found, str) or not 1 <= len(found.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES:
        return f"message_id: missing, or not of 1 to {MAX_ID_BYTES} bytes"
    if message_id is not None and found != message_id:
        return "message_id: another one than the event's"
    return ""


def _refuse(_constant: str) -> Any:
    """NaN and Infinity are no JSON, and Python takes them."""
    raise ValueError("no JSON")

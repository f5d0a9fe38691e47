"""One scheduled event as a value, read from the answers of the scripts. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..pack import Item, KeyedItem, Pack, UnreadableEntry
from ..unreadable import MAX_NUMBER, as_count

__all__ = ["ScheduledItem", "channel_in", "read_due", "read_listed", "read_score"]


@dataclass(frozen=True)
class ScheduledItem:
    """An event of one channel that waits in a bucket. ``due_ms``: Redis' time at which it is appended.

    ``name``: its member in ``times``; ``message_id``: also the key of its append. ``fingerprint`` is of its payload,
    and empty in a list. ``is_claimed``: a worker is appending it. ``is_parked``: it could not be appended, because its
    key was used for another event, and waits for a person. ``item``: ``None`` if its record cannot be read.
    """

    name: str
    message_id: str
    due_ms: int
    item: Item | None
    fingerprint: str = ""
    is_claimed: bool = False
    is_parked: bool = False

    @property
    def keyed_item(self) -> KeyedItem:
        """What is appended. Only of an event whose record can be read."""
        assert self.item is not None
        return KeyedItem(self.item, self.message_id, self.fingerprint)


def channel_in(meta: bytes) -> str:
    """The channel of an entry, by its meta alone; ``""`` if it cannot be read."""
    try:
        return str(json.loads(meta)["c"][0])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""


def read_score(head: Sequence[Any]) -> int | None:
    """The due time of the one member of an answer, ``None`` if it is parked. RESP2 answers a flat list, RESP3 pairs."""
    pair = head[0] if isinstance(head[0], list | tuple) else head
    score = float(pair[1])
    return None if score == math.inf else int(max(0.0, min(score, MAX_NUMBER)))


def _read_name(name: bytes) -> tuple[str, str]:
    """The member of ``times``, and the message id in it."""
    text = name.decode(errors="replace")
    return text, text.partition(" ")[2]


def _read_item(meta: bytes, body: bytes) -> Item | None:
    """The item of an entry; ``None`` if its meta does not fit it."""
    try:
        item = Pack(b"", 1, meta, body, 0, 1).item(0)
    except UnreadableEntry:
        return None
    lists = json.loads(meta)  # it fits: `item` has read it
    return item._replace(collapse=_text_in(lists, "k"), trace=_text_in(lists, "r"))


def _text_in(lists: dict[str, Any], name: str) -> str:
    """The value of the one item in a list that not every entry has: its event goes without what cannot be read."""
    values = lists.get(name)
    return values[0] if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str) else ""


def read_due(name: bytes, due: bytes, fingerprint: bytes, meta: bytes, body: bytes) -> ScheduledItem:
    """One event of the answer of ``due.lua``."""
    text, message_id = _read_name(name)
    item = _read_item(meta, body) if meta else None
    return ScheduledItem(
        text, message_id, as_count(due) or 0, item, fingerprint.decode(errors="replace"), is_claimed=True
    )


def read_listed(name: bytes, score: bytes, claimed: int, due: bytes, meta: bytes, body: bytes) -> ScheduledItem:
    """One event of the answer of ``scheduled.lua``."""
    text, message_id = _read_name(name)
    item = _read_item(meta, body) if meta else None
    is_parked = score.lower().lstrip(b"+") == b"inf"
    return ScheduledItem(text, message_id, as_count(due) or 0, item, "", bool(claimed), is_parked)

"""Look up in a channel's history whether the server has recorded an event.

Used if the server keeps history, for uncertain events that its dedup memory no longer has. A recorded event was
accepted, but perhaps not delivered: the server writes history before it sends to subscribers, and a request cut in
between leaves an event that no connected subscriber has received (reproduced: docs/reliability.md). Subscribers that
read history find it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..client.wire.paths import segment
from ..errors import SockudoError, ValidationError
from ..journal.pack import Item

__all__ = ["Query", "look_up_history"]

#: ``query(path, parameters)``: the status and body of one GET. Raises :class:`SockudoError`.
Query = Callable[[str, Mapping[str, str]], tuple[int, bytes]]

#: Pages of one channel, newest first, and events of a page (the server's own bound): 2,000 events, 40 ms.
MAX_PAGES: Final = 20
PAGE: Final = 100

#: Milliseconds that the server's clock may be behind Redis': far less than a key is remembered.
CLOCKS_MS: Final = 600_000

#: Seconds for all channels of one batch: the batch and the events behind it wait meanwhile.
MAX_S: Final = 10.0


def look_up_history(
    items: Sequence[Item], query: Query, since_ms: int = 0, monotonic: Callable[[], float] = time.monotonic
) -> list[bool]:
    """For each item whether its message id is in its channel's history; ``False`` too if that cannot be read.

    ``since_ms`` (Redis' time): the time of the first attempt. An event recorded long before is another one, whose key
    was used again.
    """
    until = monotonic() + MAX_S
    wanted: dict[str, set[str]] = {}
    ids = [_message_id(item.body) for item in items]
    for item, message_id in zip(items, ids, strict=True):
        wanted.setdefault(item.channel, set()).add(message_id)
    found: dict[str, set[str]] = {}
    for channel, message_ids in wanted.items():
        if monotonic() >= until:
            break
        found[channel] = _find_ids(channel, message_ids, query, since_ms, lambda: monotonic() < until)
    return [
        bool(message_id) and message_id in found.get(item.channel, ())
        for item, message_id in zip(items, ids, strict=True)
    ]


def _message_id(body: bytes) -> str:
    """The message id of an item; ``""``, which is no event's id, if it has none."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(event.get("message_id") or "") if isinstance(event, dict) else ""


def _find_ids(channel: str, wanted: set[str], query: Query, since_ms: int, in_time: Callable[[], bool]) -> set[str]:
    """Those of the ids that the newest pages of a channel contain."""
    try:
        path = f"/channels/{segment(channel, field='channel')}/history"
    except (ValidationError, UnicodeEncodeError):  # "." is a channel, and no part of a path
        return set()
    start_ms = max(0, since_ms - CLOCKS_MS)
    parameters = {"limit": str(PAGE), "direction": "newest_first", "start_time_ms": str(start_ms)}
    found: set[str] = set()
    for _ in range(MAX_PAGES):
        page = _page(query, path, parameters)
        items = page.get("items")
        found |= wanted & {
            str(one.get("message_id")) for one in (items if isinstance(items, list) else ()) if isinstance(one, dict)
        }
        cursor = page.get("next_cursor")
        if found == wanted or not cursor or not in_time():
            break
        parameters = {**parameters, "cursor": str(cursor)}
    return found


def _page(query: Query, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """One page; empty without history (422), on a server error, or on an answer that is no page."""
    try:
        status, body = query(path, parameters)
        page = json.loads(body) if status == 200 else {}
    except (SockudoError, ValueError, RecursionError):
        return {}
    return page if isinstance(page, dict) else {}

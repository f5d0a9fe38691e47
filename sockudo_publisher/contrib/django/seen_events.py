"""Remember in Django's cache which events of webhooks were handled, so that a repeated webhook changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from enum import Enum

from django.core.cache import caches

from ...client.api.webhook import Webhook, WebhookEvent

__all__ = ["EventClaim", "SeenEvents", "events_with_ids"]

#: Seconds for which an event counts as being handled; then another request may handle it. If a process dies in a
#: receiver, the server's next repetition after this time is handled.
HANDLING_S = 60
_HANDLING, _HANDLED = "handling", "handled"


class EventClaim(Enum):
    """The answer of :meth:`SeenEvents.claim`."""

    OURS = "ours"
    HANDLED = "handled"
    #: Another request handles it at this time.
    BUSY = "busy"


def events_with_ids(app: str, webhook: Webhook) -> Iterator[tuple[str, WebhookEvent]]:
    """Each event with an id that is the same in every repetition of the webhook.

    Equal events of one webhook are different events: they are numbered. Pure.
    """
    count: Counter[str] = Counter()
    for event in webhook.events:
        text = json.dumps([app, webhook.time_ms, event.raw], sort_keys=True, separators=(",", ":"))
        count[text] += 1
        # The text holds the payload of a client event; a digest goes into the cache's keys.
        yield hashlib.sha256(f"{count[text]}:{text}".encode()).hexdigest(), event


class SeenEvents:
    """The memory of one cache; ``remembered_s``: for how long a handled event is known.

    Processes that receive webhooks have to share the cache: Redis, Memcached or a database, not local memory.
    """

    def __init__(self, alias: str, remembered_s: float) -> None:
        self._cache = caches[alias]
        self._remembered_s = int(remembered_s) + 1

    def claim(self, event_id: str) -> EventClaim:
        """Take an event for this request, unless it was handled or another request has it."""
        key = _key(event_id)
        if self._cache.add(key, _HANDLING, HANDLING_S):
            return EventClaim.OURS
        return EventClaim.HANDLED if self._cache.get(key) == _HANDLED else EventClaim.BUSY

    def settle(self, event_id: str) -> None:
        """All receivers have handled it."""
        self._cache.set(_key(event_id), _HANDLED, self._remembered_s)

    def give_back(self, event_id: str) -> None:
        """A receiver failed: the next repetition is handled again."""
        self._cache.delete(_key(event_id))


def _key(event_id: str) -> str:
    return f"sockudo_publisher.webhook.{event_id}"

"""Signals for the events of webhooks.

Each event is sent as :data:`webhook_event`, and as the signal of its kind. Receivers get ``event``
(:class:`~sockudo_publisher.client.api.webhook.WebhookEvent`), ``webhook`` (the whole message), and ``app`` (the name in
``SOCKUDO_APPS``, or ``"default"``); ``sender`` is the class ``WebhookEvent``.

A receiver that raises makes the server send the webhook again: all receivers of that event run again then, those of
other events do not. So a receiver has to be safe to repeat.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "SIGNALS",
    "cache_miss",
    "channel_occupied",
    "channel_vacated",
    "client_event",
    "member_added",
    "member_removed",
    "subscription_count",
    "webhook_event",
]

#: Every event, also of kinds that a newer server adds.
webhook_event = Signal()

#: The first subscriber of a channel has come.
channel_occupied = Signal()
#: The last subscriber of a channel has left.
channel_vacated = Signal()
#: A user has joined a presence channel, ``event.user_id``.
member_added = Signal()
#: A user has left a presence channel, ``event.user_id``.
member_removed = Signal()
#: A subscriber has sent ``event.event`` with ``event.data``, which any subscriber may have written.
client_event = Signal()
#: A cache channel had no event for a new subscriber.
cache_miss = Signal()
#: The number of subscribers has changed: ``event.raw["subscription_count"]``.
subscription_count = Signal()

#: The signal of each kind, by the name of the event.
SIGNALS = {
    "cache_miss": cache_miss,
    "channel_occupied": channel_occupied,
    "channel_vacated": channel_vacated,
    "client_event": client_event,
    "member_added": member_added,
    "member_removed": member_removed,
    "subscription_count": subscription_count,
}

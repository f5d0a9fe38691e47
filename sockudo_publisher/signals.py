"""Signals of the workers, for code of the application. Imports Celery's class of signals.

.. code-block:: python

    from sockudo_publisher.signals import event_dead

    @event_dead.connect
    def on_dead(sender, letter, **kwargs):
        alert(f"{letter.channel}: {letter.name} {letter.message_id} {letter.reason}")

A worker has a receiver if it loads its module: ``sockudo-publisher worker --include shop.receivers``.
"""

from __future__ import annotations

from celery.utils.dispatch import Signal

from .dead_event import DeadEvent

__all__ = ["DeadEvent", "event_dead"]

#: Sent in a worker for each dead letter, after it is stored: ``receiver(sender, letter, **kwargs)``, where ``sender``
#: is the app's name and ``letter`` a :class:`DeadEvent`. At least once; ``connect(receiver, sender="eu")`` for one app.
event_dead = Signal(name="event_dead", providing_args={"letter"})

"""From finished items to stored ones: append, then ring the doorbell. One way for every caller.

Once the append has succeeded nothing raises any more: the event is stored, and the sweep finds it without a ring.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import BacklogFull, JournalUnavailable
from ..faultpoint import crash_point
from ..journal.appended import Appended, OnRefusal, Refusal
from ..journal.pack import Item, KeyedItem
from ..wiring.app import App
from ..wiring.doorbell import doorbell
from .prepare import Prepared

__all__ = ["schedule_event", "store", "store_event"]


def store(app: App, items: Sequence[Item] | Sequence[KeyedItem], *, on_refusal: OnRefusal = OnRefusal.STOP) -> Appended:
    """Append items and ring for them. What became of each is in the answer, by its index.

    Raises what :meth:`.Producer.append` raises: :class:`JournalUnavailable`, or :class:`BacklogFull` where Redis is
    nearly full.
    """
    appended = app.producer.append(items, on_refusal=on_refusal)
    crash_point("appended")
    if appended.ring:
        doorbell.ring(app.name, appended.ring)
    crash_point("rung")
    return appended


def store_event(app: App, prepared: Prepared, *, once_key: str | None = None) -> None:
    """Store one event on all its channels.

    ``once_key``: remember the append under this id if the caller gave no key (a redelivered Celery message appends
    nothing new). Raises :class:`BacklogFull`, :class:`IdempotencyConflict` or :class:`JournalUnavailable` with the
    message id and the channels that are stored.
    """
    key = prepared.key or once_key
    try:
        appended = store(app, prepared.items if key is None else prepared.keyed_items(key))
    except JournalUnavailable as error:
        error.message_id = prepared.message_id
        raise
    if (failure := appended.failure) is not None:
        stored = [item.channel for index, item in enumerate(prepared.items) if index not in appended.refused]
        raise _error_of_event(failure, prepared, tuple(stored))


def schedule_event(app: App, prepared: Prepared) -> bool:
    """Before a countdown message is sent: remember its key's payload.

    ``False``: the event is stored already, nothing has to be sent. Raises :class:`IdempotencyConflict`.
    """
    if prepared.key is None:
        return True
    try:
        return app.producer.schedule_once(prepared.keyed_items(prepared.key))
    except JournalUnavailable as error:
        error.message_id, error.stored = prepared.message_id, False
        raise


def _error_of_event(failure: Refusal, prepared: Prepared, stored: tuple[str, ...]) -> Exception:
    """What some channels were refused with, as the error of the event, which names the channels that are ``stored``."""
    if isinstance(failure, JournalUnavailable):
        failure.message_id, failure.stored_channels = prepared.message_id, stored
        if stored:  # of the event as a whole it is not true that nothing is stored
            failure.stored = None
        return failure
    if isinstance(failure, BacklogFull) and stored:
        return JournalUnavailable(
            f"stored on {len(stored)} of {len(prepared.items)} channels: {failure}",
            stored=None,
            message_id=prepared.message_id,
            stored_channels=stored,
        )
    return failure

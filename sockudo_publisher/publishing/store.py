"""Store finished items: append, then ring the doorbell. Every caller uses this module.

After a successful append nothing raises: the event is stored, and the sweep finds it even without a ring.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import BacklogFull, JournalUnavailable
from ..faultpoint import crash_point
from ..journal.appended import Appended, OnRefusal, Refusal
from ..journal.pack import Item, KeyedItem
from ..journal.producer import Begun
from ..wiring.app import App
from ..wiring.doorbell import doorbell
from .prepare import Prepared

__all__ = ["append_items", "check_event_stored", "remember_event", "schedule_event", "store", "store_event"]


def store(app: App, items: Sequence[Item] | Sequence[KeyedItem], *, on_refusal: OnRefusal = OnRefusal.STOP) -> Appended:
    """Append items and ring their lanes. Returns the result of each item by its index.

    Raises the errors of :meth:`.Producer.append`: :class:`JournalUnavailable`, and :class:`BacklogFull` if Redis is
    nearly full.
    """
    appended = append_items(app, items, on_refusal=on_refusal)
    if appended.ring:
        doorbell.ring(app.name, appended.ring)
    crash_point("rung")
    return appended


def append_items(
    app: App, items: Sequence[Item] | Sequence[KeyedItem], *, on_refusal: OnRefusal, begun: Begun | None = None
) -> Appended:
    """Append items without a ring: the caller rings ``Appended.ring``. ``begun``: as in :meth:`.Producer.append`."""
    try:
        appended = app.producer.append(items, on_refusal=on_refusal, begun=begun)
    except JournalUnavailable:
        app.observer.redis_error(app.name, "append")
        raise
    if appended.count:
        app.observer.appended(app.name, appended.count)
    if appended.refused and any(isinstance(error, JournalUnavailable) for error in appended.refused.values()):
        app.observer.redis_error(app.name, "append")  # one lane's node failed, or its keys cannot be read
    crash_point("appended")
    return appended


def store_event(app: App, prepared: Prepared, *, once_key: str | None = None) -> None:
    """Store one event on all its channels.

    ``once_key``: remember the append under this id if the caller gave no key (a redelivered Celery message appends
    nothing new). Raises :class:`BacklogFull`, :class:`IdempotencyConflict` or :class:`JournalUnavailable` with the
    message id and the channels that are stored.
    """
    if not app.observer.traces_calls:
        _store_event(app, prepared, once_key)
        return
    with app.observer.publishing(app.name, prepared.channels, prepared.message_id) as trace:
        _store_event(app, prepared.with_trace(trace), once_key)


def _store_event(app: App, prepared: Prepared, once_key: str | None) -> None:
    key = prepared.key or once_key
    try:
        appended = store(app, prepared.items if key is None else prepared.keyed_items(key))
    except JournalUnavailable as error:
        error.message_id = prepared.message_id
        raise
    check_event_stored(prepared, appended)


def check_event_stored(prepared: Prepared, appended: Appended) -> None:
    """Raise the error of an event that is not stored on all its channels."""
    if (failure := appended.failure) is not None:
        stored = [item.channel for index, item in enumerate(prepared.items) if index not in appended.refused]
        raise _error_of_event(failure, prepared, tuple(stored))


def remember_event(app: App, prepared: Prepared) -> bool:
    """Record the key and the payload of an event before its message is sent.

    ``False``: the event is already stored, and no message is needed. Raises :class:`IdempotencyConflict`.
    """
    return prepared.key is None or bool(_remember_keys(app, prepared, prepared.keyed_items(prepared.key)))


def schedule_event(app: App, prepared: Prepared, due_ms: int, *, now_ms: int) -> None:
    """Keep one event in the journal until ``due_ms``; ``now_ms``: Redis' time.

    Raises :class:`BacklogFull`, :class:`IdempotencyConflict` or :class:`JournalUnavailable` with the message id and
    the channels on which it is scheduled.
    """
    if not app.observer.traces_calls:
        _schedule_event(app, prepared, due_ms, now_ms)
        return
    with app.observer.publishing(app.name, prepared.channels, prepared.message_id) as trace:
        _schedule_event(app, prepared.with_trace(trace), due_ms, now_ms)


def _schedule_event(app: App, prepared: Prepared, due_ms: int, now_ms: int) -> None:
    items = prepared.keyed_items(prepared.message_id)
    if prepared.key is not None:
        # Its key is remembered first: a call with another payload is refused from now on, until long after it is due.
        kept_ms = max(0, due_ms - now_ms) + app.producer.key_ttl_ms
        items = _remember_keys(app, prepared, items, due_ms=due_ms, kept_ms=kept_ms)
    if not items:
        return  # it is stored already
    try:
        scheduled = app.schedule.add(items, due_ms)
    except JournalUnavailable as error:
        app.observer.redis_error(app.name, "schedule")
        error.message_id = prepared.message_id
        raise
    if scheduled.count:
        app.observer.scheduled(app.name, scheduled.count)
    crash_point("scheduled")
    check_event_stored(prepared._replace(items=tuple([one.item for one in items])), scheduled)


def _remember_keys(app: App, prepared: Prepared, items: Sequence[KeyedItem], **times_ms: int) -> list[KeyedItem]:
    try:
        return app.producer.remember_keys(items, **times_ms)
    except JournalUnavailable as error:
        app.observer.redis_error(app.name, "schedule")
        error.message_id, error.stored = prepared.message_id, False
        raise


def _error_of_event(failure: Refusal, prepared: Prepared, stored: tuple[str, ...]) -> Exception:
    """The error of an event that some channels refused; names the channels that are ``stored``."""
    if isinstance(failure, JournalUnavailable):
        failure.message_id, failure.stored_channels = prepared.message_id, stored
        if stored:  # "nothing is stored" is false for the event as a whole
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

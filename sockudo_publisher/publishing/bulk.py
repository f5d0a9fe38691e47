"""``publish_many``: any number of events, lazily, in few round trips."""

from __future__ import annotations

from collections.abc import Iterable

from ..client.wire.event import EventLike
from ..errors import BacklogFull, BulkError, IdempotencyConflict, JournalUnavailable, ValidationError
from ..redaction.frame_locals import without_locals
from ..wiring.app import App
from ..wiring.doorbell import load_client
from .bulk_run import Storing, begin_bulk
from .progress import Progress
from .receipts import BulkReceipt
from .store import store

__all__ = ["publish_many"]

load_client()


@without_locals
def publish_many(
    events: Iterable[EventLike],
    *,
    app: str | None = None,
    key_prefix: str | None = None,
    progress: Progress | None = None,
    total: int | None = None,
) -> BulkReceipt:
    """Store many events, in the iterable's order per channel; workers deliver them.

    ``events``: :class:`Event` objects, ``(channel, name, data)`` tuples or dicts with Event's fields,
    taken lazily. ``key_prefix`` gives each event the key ``prefix:index``, so that a repeat stores
    nothing twice. ``progress(stored)`` is called after a flush, at most ten times a second. If it has a parameter
    named ``total``, or a second one without a default, it is called as ``progress(stored, total)``: the ``total`` of
    the call, else ``len(events)``, else ``None``. ``total`` is a number for the progress alone, not a limit.

    Raises :class:`TypeError` when ``progress`` cannot be called or ``total`` is no whole number,
    :class:`ValidationError` when it is negative, before anything is stored;
    :class:`ValidationError` or :class:`IdempotencyConflict` with ``.index`` and ``.stored`` (all
    before a bad event are stored first), and :class:`BulkError` when Redis fails or is full: all before
    its ``.index`` are stored, some after may be.
    """
    bulk = begin_bulk(app, key_prefix, progress, total=total, events=events)
    add = bulk.add
    try:
        for event in events:
            add(event)
            if bulk.is_due:
                _store(bulk.app, bulk.flush_due())
    except ValidationError as error:
        _store(bulk.app, bulk.flush())
        error.index, error.stored = bulk.count, bulk.stored
        raise
    except (BulkError, IdempotencyConflict):
        raise
    except BaseException:
        # The iterable failed: the events before are stored, as in a loop over delay().
        _store(bulk.app, bulk.flush())
        raise
    _store(bulk.app, bulk.flush())
    return bulk.receipt()


def _store(app: App, storing: Storing) -> None:
    """Append what a bulk job has to store, flush by flush. Raises its errors."""
    try:
        items = next(storing)
        while True:
            try:
                appended = store(app, items)
            except (JournalUnavailable, BacklogFull) as error:
                items = storing.throw(error)
            else:
                items = storing.send(appended)
    except StopIteration:
        return

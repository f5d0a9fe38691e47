"""``publish_many``: any number of events, lazily, in few round trips."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from ..client.wire.event import Event, EventLike, as_event
from ..client.wire.limits import check_channel, check_id
from ..errors import BacklogFull, BulkError, IdempotencyConflict, JournalUnavailable, ValidationError
from ..journal.pack import MAX_BYTES, Item, KeyedItem
from ..redaction.frame_locals import without_locals
from ..wiring.app import App, app_named
from .call import PublishCall
from .prepare import prepare, refuse_direct_options
from .receipts import BulkReceipt
from .store import store

__all__ = ["publish_many"]

#: Events and bytes of one flush: large enough that round trips cost little, small enough that one flush keeps Redis
#: busy for a few milliseconds only.
FLUSH_EVENTS = 2000
FLUSH_BYTES = 2 * 1024 * 1024

assert FLUSH_BYTES > MAX_BYTES, "a flush holds at least one entry"

#: Seconds between two calls of `progress`.
PROGRESS_EVERY_S = 0.1


@without_locals
def publish_many(
    events: Iterable[EventLike],
    *,
    app: str | None = None,
    key_prefix: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> BulkReceipt:
    """Store many events, in the iterable's order per channel; workers deliver them.

    ``events``: :class:`Event` objects, ``(channel, name, data)`` tuples or dicts with Event's fields,
    taken lazily. ``key_prefix`` gives each event the key ``prefix:index``, so that a repeat stores
    nothing twice. ``progress(stored)`` is called after a flush, at most ten times a second.

    Raises :class:`TypeError` when ``progress`` cannot be called, before anything is stored;
    :class:`ValidationError` or :class:`IdempotencyConflict` with ``.index`` and ``.stored`` (all
    before a bad event are stored first), and :class:`BulkError` when Redis fails or is full: all before
    its ``.index`` are stored, some after may be.
    """
    if key_prefix is not None:
        check_id(key_prefix, field="key_prefix")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: a {type(progress).__name__}, expected a callable that takes a number")
    bulk = _Bulk(app_named(app), progress)
    add = bulk.add
    index = 0
    try:
        for event in events:
            add(event, index, key_prefix)
            index += 1
            if bulk.is_full():
                bulk.flush()
    except ValidationError as error:
        bulk.flush()
        error.index, error.stored = index, bulk.stored
        raise
    except (BulkError, IdempotencyConflict):
        raise
    except BaseException:
        # The iterable failed: the events before are stored, as in a loop over delay().
        bulk.flush()
        raise
    bulk.flush()
    bulk.report(final=True)
    return BulkReceipt(bulk.stored, bulk.already_stored)


class _Bulk:
    """The events since the last flush, and the results of the flushes.

    Different scripts store events with and without a key, so each flush has one kind: that keeps their order.
    """

    def __init__(self, app: App, progress: Callable[[int], object] | None) -> None:
        self.app = app
        self.stored = 0
        self.already_stored = 0
        self._progress = progress
        self._reported_at = float("-inf")
        # An id is one random number per call and the event's index: a random id per event would cost 1.5 of 10 us.
        self._id_prefix = uuid.uuid4().hex
        self._plain: list[Item] = []
        self._keyed: list[KeyedItem] = []
        self._bytes = 0
        self._first = 0

    def is_full(self) -> bool:
        return len(self._plain) + len(self._keyed) >= FLUSH_EVENTS or self._bytes >= FLUSH_BYTES

    def add(self, given: EventLike, index: int, key_prefix: str | None) -> None:
        """Validate and encode one event. Raises :class:`ValidationError`."""
        if type(given) is tuple and len(given) == 3:
            if key_prefix is None:
                self._add_plain(*given, index)
                return
            call = PublishCall(*given)
        else:
            call = _call_of(as_event(given))
        if not isinstance(call.channel, str):
            check_channel(cast(str, call.channel))  # raises: an event of a bulk has one channel
        if call.key is None and key_prefix is not None:
            call.key = f"{key_prefix}:{index}"
        if call.key is None and call.socket_id is None and call.tags is None and call.extras is None:
            self._add_plain(cast(str, call.channel), call.event, call.data, index)
            return
        prepared = prepare(self.app, call, message_id=f"{self._id_prefix}-{index:x}")
        item, key = prepared.items[0], prepared.key
        self._begin(index, is_keyed=key is not None)
        if key is None:
            self._plain.append(item)
        else:
            self._keyed.append(KeyedItem(item, key, prepared.fingerprint))
        self._bytes += len(item.body)

    def _add_plain(self, channel: str, name: str, data: Any, index: int) -> None:
        """Add an event without options, the usual case."""
        encoder = self.app.encoder
        body = encoder.plain_item(channel, name, encoder.payload(data), f"{self._id_prefix}-{index:x}")
        self._begin(index, is_keyed=False)
        self._plain.append(Item(channel, body))
        self._bytes += len(body)

    def _begin(self, index: int, *, is_keyed: bool) -> None:
        """Store the events of the other kind first; remember where the flush begins."""
        if self._plain if is_keyed else self._keyed:
            self.flush()
        if not self._plain and not self._keyed:
            self._first = index

    def flush(self) -> None:
        """Append the collected events. Raises :class:`BulkError` or :class:`IdempotencyConflict`."""
        items: Sequence[Item] | Sequence[KeyedItem] = self._plain or self._keyed
        self._plain, self._keyed, self._bytes = [], [], 0
        conflict: IdempotencyConflict | None = None
        # A conflict stores nothing of a flush: the next round stores only the events before the conflict. It may find
        # an earlier conflict, so there are at most as many rounds as events. Another process can make the conflict
        # after the lookup of all lanes: events that a round has stored then are counted by the next one.
        stored_before = self.stored
        while items:
            failure = self._store(items)
            if not isinstance(failure, IdempotencyConflict):
                break
            conflict, items, self.stored = failure, items[: failure.index], stored_before
        if conflict is not None:
            at = self._first + (conflict.index or 0)
            raise IdempotencyConflict(str(conflict), index=at, stored=self.stored)

    def _store(self, items: Sequence[Item] | Sequence[KeyedItem]) -> IdempotencyConflict | None:
        """Store the items. With a conflict store none and return it. Raises :class:`BulkError`."""
        try:
            appended = store(self.app, items)
        except (JournalUnavailable, BacklogFull) as error:
            raise BulkError(self._first, self.stored, error) from error
        already_stored = len(appended.already_stored)
        self.stored += appended.count + already_stored
        self.already_stored += already_stored
        failure = appended.failure
        if isinstance(failure, (JournalUnavailable, BacklogFull)):
            raise BulkError(self._first, self.stored, failure) from failure
        self.report()
        return failure

    def report(self, *, final: bool = False) -> None:
        """Call ``progress`` with the number of stored events, at most every :data:`PROGRESS_EVERY_S`."""
        now = time.monotonic()
        if self._progress is not None and (final or now - self._reported_at >= PROGRESS_EVERY_S):
            self._reported_at = now
            self._progress(self.stored)


def _call_of(event: Event) -> PublishCall:
    """One event of the iterable. Raises :class:`ValidationError` for options that only a direct call can have."""
    refuse_direct_options(event)
    return PublishCall(event.channel, event.name, event.data, event.key, event.socket_id, event.tags, event.extras)

"""``publish_many``: any number of events, lazily, in few round trips."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ..client.wire.event import EventLike, as_event
from ..client.wire.limits import check_id, check_queue_extras, check_tags
from ..errors import BacklogFull, BulkError, IdempotencyConflict, JournalUnavailable, ValidationError
from ..faultpoint import crash_point
from ..journal.layout.layout import Span
from ..journal.pack import Item
from ..journal.producer import Appended, KeyedItem
from ..wiring.app import App, app_named
from ..wiring.doorbell import doorbell
from . import prepare as enqueue
from .receipts import BulkReceipt

__all__ = ["publish_many"]

#: Events and bytes of one flush: large enough that the round trip is nothing, small enough that a
#: flush keeps Redis busy for a few milliseconds only.
FLUSH_EVENTS = 2000
FLUSH_BYTES = 2 * 1024 * 1024

#: Seconds between two calls of `progress`.
PROGRESS_EVERY_S = 0.1


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
        raise TypeError(f"progress: a {type(progress).__name__}, expected what can be called with a number")
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
        # The iterable's own failure: what it gave before is the caller's, as with any loop over delay().
        bulk.flush()
        raise
    bulk.flush()
    bulk.report(final=True)
    return BulkReceipt(bulk.stored, bulk.already_stored)


class _Bulk:
    """The events since the last flush, by lane, and what the flushes have done."""

    def __init__(self, app: App, progress: Callable[[int], object] | None) -> None:
        self.app = app
        self.stored = 0
        self.already_stored = 0
        self._progress = progress
        self._reported_at = float("-inf")
        self._span = Span(0, 1)
        # One random number a call, and the place in it: an id of its own costs 1.5 us of 10.
        self._id_prefix = uuid.uuid4().hex
        self._plain: dict[int, list[Item]] = {}
        self._keyed: dict[int, list[tuple[int, KeyedItem]]] = {}
        self._count = 0
        self._bytes = 0
        self._first = 0

    def is_full(self) -> bool:
        return self._count >= FLUSH_EVENTS or self._bytes >= FLUSH_BYTES

    def add(self, given: EventLike, index: int, key_prefix: str | None) -> None:
        """Validate and encode one event. Raises :class:`ValidationError`."""
        if type(given) is tuple and len(given) == 3:
            channel, name, data = given
            key = socket_id = tags = extras = None
        else:
            event = as_event(given)
            enqueue.refuse_direct_options(event)
            channel, name, data, key = event.channel, event.name, event.data, event.key
            socket_id, tags, extras = event.socket_id, event.tags, event.extras
            if extras is not None:
                check_queue_extras(extras)
            if tags is not None:
                check_tags(tags)
        if key is None and key_prefix is not None:
            key = f"{key_prefix}:{index}"
        if key is not None:
            check_id(key, field="key")
        encoder = self.app.encoder
        payload = encoder.payload(data)
        message_id = key or f"{self._id_prefix}-{index:x}"
        if key is None and socket_id is None and tags is None and extras is None:
            body = encoder.plain_item(channel, name, payload, message_id)
        else:
            body = encoder.item(
                channel, name, payload, message_id=message_id, socket_id=socket_id, tags=tags, extras=extras
            )
        if not self._count:
            self._begin(index)
        lane = self._span.lane_of(channel)
        item = Item(channel, body)
        self._switch(keyed=key is not None, index=index)
        if key is None:
            self._plain.setdefault(lane, []).append(item)
        else:
            told_by = enqueue.fingerprint(self.app, name, payload, socket_id, tags, extras)
            self._keyed.setdefault(lane, []).append((index, KeyedItem(item, key, told_by)))
        self._count += 1
        self._bytes += len(body)

    def _begin(self, index: int) -> None:
        self._first = index
        try:
            self._span = self.app.producer.layout().appending
        except JournalUnavailable as error:
            raise BulkError(index, self.stored, error) from error

    def _switch(self, *, keyed: bool, index: int) -> None:
        """Events with and without a key go by different scripts: one kind a flush keeps their order."""
        if self._plain if keyed else self._keyed:
            self.flush()
            self._begin(index)

    def flush(self) -> None:
        """Append what was collected. Raises :class:`BulkError` or :class:`IdempotencyConflict`."""
        if not self._count:
            return
        plain, keyed = self._plain, self._keyed
        self._plain, self._keyed, self._count, self._bytes = {}, {}, 0, 0
        if not keyed:
            self._store(partial(self.app.producer.append, plain))
            return
        conflict_at, text = None, ""
        while keyed:
            items = {lane: [item for _, item in indexed] for lane, indexed in keyed.items()}
            appended = self._store(partial(self.app.producer.append_once, items))
            if appended.failed_lane is None:
                break
            # A flush with a conflict appends nothing: what comes before the conflict is stored alone,
            # until none is left in it (each round cuts a lane, so there are no more rounds than events).
            assert isinstance(appended.failure, IdempotencyConflict)
            conflict_at, text = keyed[appended.failed_lane][appended.failure.index or 0][0], str(appended.failure)
            keyed = _before(conflict_at, keyed)
        if conflict_at is not None:
            raise IdempotencyConflict(text, index=conflict_at, stored=self.stored)

    def _store(self, append: Callable[[], Appended]) -> Appended:
        try:
            appended = append()
        except (JournalUnavailable, BacklogFull) as error:
            raise BulkError(self._first, self.stored, error) from error
        crash_point("appended")
        if appended.ring:
            doorbell.ring(self.app.name, appended.ring)
        crash_point("rung")
        self.stored += appended.count + appended.already_stored
        self.already_stored += appended.already_stored
        if appended.failure is not None and not isinstance(appended.failure, IdempotencyConflict):
            raise BulkError(self._first, self.stored, appended.failure) from appended.failure
        self.report()
        return appended

    def report(self, *, final: bool = False) -> None:
        """Tell the caller how many are stored, not too often."""
        now = time.monotonic()
        if self._progress is not None and (final or now - self._reported_at >= PROGRESS_EVERY_S):
            self._reported_at = now
            self._progress(self.stored)


def _before(limit: int, keyed: Mapping[int, list[tuple[int, KeyedItem]]]) -> dict[int, list[tuple[int, KeyedItem]]]:
    """Only the items whose index in the caller's iterable is below ``limit``."""
    left = {lane: [(index, item) for index, item in indexed if index < limit] for lane, indexed in keyed.items()}
    return {lane: indexed for lane, indexed in left.items() if indexed}

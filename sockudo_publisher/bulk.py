"""``publish_many``: any number of events, lazily, in few round trips."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from . import enqueue
from .apps import App, app_named
from .client.event import Event
from .client.limits import check_id, check_queue_extras
from .doorbell import doorbell
from .errors import BacklogFull, BulkError, IdempotencyConflict, JournalUnavailable, ValidationError
from .faultpoint import at
from .journal.layout import Span
from .journal.pack import Item
from .journal.producer import Appended, KeyedItem
from .receipts import BulkReceipt

__all__ = ["EventLike", "publish_many"]

#: An event as `publish_many` takes it.
EventLike: TypeAlias = "Event | tuple[str, str, Any] | Mapping[str, Any]"

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

    Raises :class:`ValidationError` or :class:`IdempotencyConflict` with ``.index`` and ``.stored`` (all
    before a bad event are stored first), and :class:`BulkError` when Redis fails or is full: all before
    its ``.index`` are stored, some after may be.
    """
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
        self._keyed: dict[int, list[KeyedItem]] = {}
        self._keyed_indexes: dict[int, list[int]] = {}
        self._count = 0
        self._bytes = 0
        self._first = 0

    def is_full(self) -> bool:
        return self._count >= FLUSH_EVENTS or self._bytes >= FLUSH_BYTES

    def add(self, given: EventLike, index: int, key_prefix: str | None) -> None:
        """Validate and encode one event. Raises :class:`ValidationError`."""
        if type(given) is tuple and len(given) == 3:
            channel, name, data = given
            event = None
            key = None
        else:
            event = _event(given)
            channel, name, data, key = event.channel, event.name, event.data, event.key
            if event.extras is not None:
                check_queue_extras(event.extras)
            enqueue.refuse_direct_options(event)
        if key is None and key_prefix is not None:
            key = f"{key_prefix}:{index}"
        if key is not None:
            check_id(key, field="key")
        encoder = self.app.encoder
        payload = encoder.payload(data)
        message_id = key or f"{self._id_prefix}-{index:x}"
        if event is None and key is None:
            body = encoder.plain_item(channel, name, payload, message_id)
        else:
            body = encoder.item(
                channel,
                name,
                payload,
                message_id=message_id,
                socket_id=event.socket_id if event else None,
                tags=event.tags if event else None,
                extras=event.extras if event else None,
            )
        if not self._count:
            self._begin(index)
        lane = self._span.lane_of(channel)
        item = Item(channel, body)
        if key is None:
            self._switch(keyed=False, index=index)
            self._plain.setdefault(lane, []).append(item)
        else:
            self._switch(keyed=True, index=index)
            print_of = enqueue.fingerprint(
                self.app,
                name,
                payload,
                event.socket_id if event else None,
                event.tags if event else None,
                event.extras if event else None,
            )
            self._keyed.setdefault(lane, []).append(KeyedItem(item, key, print_of))
            self._keyed_indexes.setdefault(lane, []).append(index)
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
        plain, keyed, indexes = self._plain, self._keyed, self._keyed_indexes
        self._plain, self._keyed, self._keyed_indexes, self._count, self._bytes = {}, {}, {}, 0, 0
        if not keyed:
            self._store(partial(self.app.producer.append, plain))
            return
        conflict_at, text = None, ""
        while keyed:
            appended = self._store(partial(self.app.producer.append_once, keyed))
            if appended.failed_lane is None:
                break
            # A flush with a conflict appends nothing: what comes before the conflict is stored alone,
            # until none is left in it (each round cuts a lane, so there are no more rounds than events).
            assert isinstance(appended.failure, IdempotencyConflict)
            conflict_at, text = indexes[appended.failed_lane][appended.failure.index or 0], str(appended.failure)
            keyed, indexes = _before(conflict_at, keyed, indexes)
        if conflict_at is not None:
            raise IdempotencyConflict(text, index=conflict_at, stored=self.stored)

    def _store(self, append: Callable[[], Appended]) -> Appended:
        try:
            appended = append()
        except (JournalUnavailable, BacklogFull) as error:
            raise BulkError(self._first, self.stored, error) from error
        at("appended")
        if appended.ring:
            doorbell.ring(self.app.name, appended.ring)
        at("rung")
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


def _before(
    limit: int, keyed: Mapping[int, list[KeyedItem]], indexes: Mapping[int, list[int]]
) -> tuple[dict[int, list[KeyedItem]], dict[int, list[int]]]:
    """Only the items whose index in the caller's iterable is below ``limit``."""
    left: dict[int, list[KeyedItem]] = {}
    left_indexes: dict[int, list[int]] = {}
    for lane, items in keyed.items():
        count = bisect_left(indexes[lane], limit)
        if count:
            left[lane], left_indexes[lane] = items[:count], indexes[lane][:count]
    return left, left_indexes


_EVENT_FIELDS = frozenset(Event.__slots__)


def _event(given: EventLike) -> Event:
    if isinstance(given, Event):
        return given
    if isinstance(given, Mapping):
        unknown = [str(name) for name in given if name not in _EVENT_FIELDS]
        if unknown:
            raise ValidationError(
                f"event: unknown field {unknown[0][:50]!r}, expected {', '.join(sorted(_EVENT_FIELDS))}"
            )
        missing = [name for name in ("channel", "name", "data") if name not in given]
        if missing:
            raise ValidationError(f"event: {missing[0]} is missing")
        return Event(**given)
    if isinstance(given, tuple):
        if len(given) == 3:  # a named one
            return Event(*given)
        raise ValidationError(f"event: a tuple of {len(given)} values, expected (channel, name, data)")
    raise ValidationError(f"event: expected an Event, a tuple or a dict, got {type(given).__name__}")

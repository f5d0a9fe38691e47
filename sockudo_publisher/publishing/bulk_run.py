"""A bulk job without its input and output: events go in, chunks to be stored come out, results go back in.

``publish_many`` and ``apublish_many`` store the chunks, each in its own way.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, cast

from ..client.wire.event import Event, EventLike, as_event
from ..client.wire.limits import check_channel, check_id
from ..errors import BacklogFull, BulkError, IdempotencyConflict, JournalUnavailable
from ..journal.appended import Appended
from ..journal.pack import MAX_BYTES, Item, KeyedItem
from ..wiring.app import App, app_named
from .call import PublishCall, has_options
from .prepare import prepare, refuse_direct_options
from .progress import Progress, progress_with_total
from .receipts import BulkReceipt

__all__ = ["BulkRun", "Items", "Storing", "begin_bulk"]

#: Events and bytes of one flush: large enough that round trips cost little, small enough that one flush keeps Redis
#: busy for a few milliseconds only.
FLUSH_EVENTS = 2000
FLUSH_BYTES = 2 * 1024 * 1024

assert FLUSH_BYTES > MAX_BYTES, "a flush holds at least one entry"

#: Seconds between two calls of `progress`.
PROGRESS_EVERY_S = 0.1

Items: TypeAlias = "Sequence[Item] | Sequence[KeyedItem]"

#: Yields items to be appended; is sent what the append did, or gets its error thrown in.
Storing: TypeAlias = Generator[Items, Appended, None]


def begin_bulk(
    app: str | None,
    key_prefix: str | None,
    progress: Progress | None = None,
    *,
    total: int | None = None,
    events: object = None,
) -> BulkRun:
    """Check the arguments of a bulk job. Raises before anything is stored."""
    if key_prefix is not None:
        check_id(key_prefix, field="key_prefix")
    return BulkRun(app_named(app), key_prefix, progress_with_total(progress, total, events))


class BulkRun:
    """The events that are not stored yet, and the results of the flushes.

    Different scripts store events with and without a key, so each flush has one kind: that keeps their order.
    ``is_due``: something has to be stored, by :meth:`flush_due`, before more is added. ``count``: the events added.
    """

    def __init__(self, app: App, key_prefix: str | None, progress: Callable[[int], object] | None) -> None:
        self.app = app
        self.is_due = False
        self.count = 0
        self.stored = 0
        self.already_stored = 0
        self._key_prefix = key_prefix
        self._progress = progress
        self._reported_at = float("-inf")
        # An id is one random number per call and the event's index: a random id per event would cost 1.5 of 10 us.
        self._id_prefix = uuid.uuid4().hex
        self._plain: list[Item] = []
        self._keyed: list[KeyedItem] = []
        self._bytes = 0
        self._first = 0
        self._due: list[tuple[int, Items]] = []

    def add(self, given: EventLike) -> None:
        """Validate and encode one event. Raises :class:`ValidationError`."""
        if type(given) is tuple and len(given) == 3 and self._key_prefix is None:
            self._add_plain(*given)
        else:
            self._add(given)
        self.count += 1
        if len(self._plain) + len(self._keyed) >= FLUSH_EVENTS or self._bytes >= FLUSH_BYTES:
            self._end_flush()

    def _add(self, given: EventLike) -> None:
        call = PublishCall(*given) if type(given) is tuple and len(given) == 3 else _call_of(as_event(given))
        if not isinstance(call.channel, str) and call.user_id is None:
            check_channel(cast(str, call.channel))  # raises: an event of a bulk has one channel
        if call.key is None and self._key_prefix is not None:
            call.key = f"{self._key_prefix}:{self.count}"
        if not has_options(call):
            self._add_plain(cast(str, call.channel), call.event, call.data)
            return
        prepared = prepare(self.app, call, message_id=f"{self._id_prefix}-{self.count:x}")
        item, key = prepared.items[0], prepared.key
        self._begin(is_keyed=key is not None)
        if key is None:
            self._plain.append(item)
        else:
            self._keyed.append(KeyedItem(item, key, prepared.fingerprint))
        self._bytes += len(item.body)

    def _add_plain(self, channel: str, name: str, data: Any) -> None:
        """Add an event without options, the usual case."""
        encoder = self.app.encoder
        body = encoder.plain_item(channel, name, encoder.payload(data), f"{self._id_prefix}-{self.count:x}")
        self._begin(is_keyed=False)
        self._plain.append(Item(channel, body))
        self._bytes += len(body)

    def _begin(self, *, is_keyed: bool) -> None:
        """End the flush of the other kind; remember where this flush begins."""
        if self._plain if is_keyed else self._keyed:
            self._end_flush()
        if not self._plain and not self._keyed:
            self._first = self.count

    def _end_flush(self) -> None:
        items: Items = self._plain or self._keyed
        if items:
            self._due.append((self._first, items))
            self.is_due = True
        self._plain, self._keyed, self._bytes = [], [], 0

    def drop(self) -> None:
        """Forget the events that were added and not stored, for a run that only checks them."""
        self._end_flush()
        self._due, self.is_due = [], False

    def flush(self) -> Storing:
        """Append all events that were added. Raises as :meth:`flush_due`."""
        self._end_flush()
        return self.flush_due()

    def flush_due(self) -> Storing:
        """Append the flushes that are complete. Raises :class:`BulkError` or :class:`IdempotencyConflict`."""
        due, self._due, self.is_due = self._due, [], False
        for first, items in due:
            yield from self._flush(first, items)

    def _flush(self, first: int, items: Items) -> Storing:
        conflict: IdempotencyConflict | None = None
        # A conflict stores nothing of a flush: the next round stores only the events before the conflict. It may find
        # an earlier conflict, so there are at most as many rounds as events. Another process can make the conflict
        # after the lookup of all lanes: events that a round has stored then are counted by the next one.
        stored_before = self.stored
        while items:
            try:
                appended = yield items
            except (JournalUnavailable, BacklogFull) as error:
                raise BulkError(first, self.stored, error) from error
            failure = self._add_up(first, appended)
            if not isinstance(failure, IdempotencyConflict):
                break
            conflict, items, self.stored = failure, items[: failure.index], stored_before
        if conflict is not None:
            at = first + (conflict.index or 0)
            raise IdempotencyConflict(str(conflict), index=at, stored=self.stored)

    def _add_up(self, first: int, appended: Appended) -> IdempotencyConflict | None:
        """Count what an append did. With a conflict it did nothing: return it. Raises :class:`BulkError`."""
        already_stored = len(appended.already_stored)
        self.stored += appended.count + already_stored
        self.already_stored += already_stored
        failure = appended.failure
        if isinstance(failure, (JournalUnavailable, BacklogFull)):
            raise BulkError(first, self.stored, failure) from failure
        self._report()
        return failure

    def receipt(self) -> BulkReceipt:
        """The result of the whole job; calls ``progress`` for the last time."""
        self._report(final=True)
        return BulkReceipt(self.stored, self.already_stored)

    def _report(self, *, final: bool = False) -> None:
        """Call ``progress`` with the number of stored events, at most every :data:`PROGRESS_EVERY_S`."""
        now = time.monotonic()
        if self._progress is not None and (final or now - self._reported_at >= PROGRESS_EVERY_S):
            self._reported_at = now
            self._progress(self.stored)


def _call_of(event: Event) -> PublishCall:
    """One event of the iterable. Raises :class:`ValidationError` for options that only a direct call can have."""
    refuse_direct_options(event)
    return PublishCall(
        event.channel,
        event.name,
        event.data,
        event.key,
        event.socket_id,
        event.tags,
        event.extras,
        delta=event.delta,
        user_id=event.user_id,
        collapse=event.collapse,
    )

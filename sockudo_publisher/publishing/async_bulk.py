"""``apublish_many``: ``publish_many`` for coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

from ..client.wire.event import EventLike
from ..errors import BacklogFull, BulkError, IdempotencyConflict, JournalUnavailable, ValidationError
from ..redaction.frame_locals import without_locals
from ..wiring.app import App
from .async_store import astore, running_loop
from .bulk_run import Storing, begin_bulk
from .receipts import BulkReceipt

__all__ = ["apublish_many"]

#: Events that are encoded in one step of the loop: half a millisecond.
STEP_EVENTS = 32


@without_locals
async def apublish_many(
    events: Iterable[EventLike] | AsyncIterable[EventLike],
    *,
    key_prefix: str | None = None,
    progress: Callable[[int], object] | None = None,
    app: str | None = None,
) -> BulkReceipt:
    """As ``publish_many``, from a coroutine; ``events`` may be an asynchronous iterable too.

    The events are taken and encoded in the running loop, which gets its turn after every 32 of them, and stored with
    group commit; ``progress`` is called in the loop and must not be a coroutine function. If the task is cancelled,
    the events of earlier flushes are stored, and those of the last one may be.

    Raises what ``publish_many`` raises, and :class:`RuntimeError` without a running asyncio loop.
    """
    loop = running_loop("apublish_many")
    if inspect.iscoroutinefunction(progress):
        raise TypeError("progress: a coroutine function, expected a plain function that takes a number")
    each = _each(events)
    bulk = begin_bulk(app, key_prefix, progress)
    try:
        async for event in each:
            bulk.add(event)
            if bulk.is_due:
                await _store(bulk.app, bulk.flush_due(), loop)
            elif bulk.count % STEP_EVENTS == 0:
                await asyncio.sleep(0)
    except ValidationError as error:
        await _store(bulk.app, bulk.flush(), loop)
        error.index, error.stored = bulk.count, bulk.stored
        raise
    except (BulkError, IdempotencyConflict):
        raise
    except Exception:
        # The iterable failed: the events before are stored, as in a loop over adelay(). Not if the task is cancelled.
        await _store(bulk.app, bulk.flush(), loop)
        raise
    await _store(bulk.app, bulk.flush(), loop)
    return bulk.receipt()


def _each(events: Iterable[EventLike] | AsyncIterable[EventLike]) -> AsyncIterator[EventLike]:
    """Iterate over either kind. Raises :class:`TypeError` for what is neither."""
    if isinstance(events, AsyncIterable):
        return events.__aiter__()
    return _each_of(iter(events))


async def _each_of(events: Iterable[EventLike]) -> AsyncIterator[EventLike]:
    for event in events:
        yield event


async def _store(app: App, storing: Storing, loop: asyncio.AbstractEventLoop) -> None:
    """Append what a bulk job has to store, flush by flush. Raises its errors."""
    try:
        items = next(storing)
        while True:
            try:
                appended = await astore(app, items, loop, is_alone=True)
            except (JournalUnavailable, BacklogFull) as error:
                items = storing.throw(error)
            else:
                items = storing.send(appended)
    except StopIteration:
        return

"""Store from a coroutine: let the items wait for the next flush of group commit, and await its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..errors import JournalUnavailable
from ..journal.appended import Appended
from ..journal.pack import Item, KeyedItem
from ..wiring.app import App
from .group_commit import enter
from .prepare import Prepared
from .store import check_event_stored
from .waiting_call import WaitingCall

__all__ = ["astore", "astore_event", "running_loop"]


def running_loop(name: str) -> asyncio.AbstractEventLoop:
    """The loop of the running coroutine. Raises :class:`RuntimeError` that says what to call without one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{name} needs a running asyncio loop in this thread; elsewhere call it without its leading 'a'"
        ) from None


async def astore(
    app: App,
    items: Sequence[Item] | Sequence[KeyedItem],
    loop: asyncio.AbstractEventLoop,
    *,
    is_alone: bool,
    message_id: str | None = None,
) -> Appended:
    """Append items, of one kind, with the next flush. Raises the errors of :func:`.store.store`.

    Cancelled before that flush, it takes the items out of the queue: nothing is stored. Later they are stored.
    """
    call = WaitingCall(items, loop, is_alone=is_alone, message_id=message_id)
    withdraw = enter(app, call)
    try:
        outcome = await call.future
    except BaseException:
        withdraw(call)
        raise
    finally:
        if call.early is not None:
            call.early.end_watch()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def astore_event(app: App, prepared: Prepared, loop: asyncio.AbstractEventLoop) -> None:
    """Store one event on all its channels. Raises the errors of :func:`.store.store_event`."""
    if not app.observer.traces_calls:
        await _astore_event(app, prepared, loop)
        return
    with app.observer.publishing(app.name, prepared.channels, prepared.message_id) as trace:
        await _astore_event(app, prepared.with_trace(trace), loop)


async def _astore_event(app: App, prepared: Prepared, loop: asyncio.AbstractEventLoop) -> None:
    key, message_id = prepared.key, prepared.message_id
    items = prepared.items if key is None else prepared.keyed_items(key)
    # With a key, a conflict on one channel refuses the event on all of them.
    is_alone = key is not None and len(items) > 1
    try:
        appended = await astore(app, items, loop, is_alone=is_alone, message_id=message_id)
    except JournalUnavailable as error:
        error.message_id = message_id
        raise
    check_event_stored(prepared, appended)

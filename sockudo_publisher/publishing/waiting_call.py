"""A call that waits for its flush: the items of one event, or of one flush of ``apublish_many``. A value."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum

from ..journal.appended import Appended, OnRefusal
from ..journal.pack import Item, KeyedItem
from .early_append import EarlyAppend

__all__ = ["CallState", "Outcome", "WaitingCall"]

#: What a call ends with: the result of each item, by its index in the call, or the error of all of them.
Outcome = Appended | Exception


class CallState(Enum):
    """How far a call is."""

    WAITING = 1
    #: In a flush: from now on it may be stored.
    TAKEN = 2
    #: Cancelled before its flush: nothing of it is stored.
    WITHDRAWN = 3


class WaitingCall:
    """One call, with the loop and the future that get its outcome.

    ``is_alone``: it takes a flush of its own, because nothing of it may be stored when a part of it is refused.
    ``early``: its append, if its loop has sent it.
    """

    __slots__ = (
        *("early", "event_count", "future", "is_alone", "is_keyed", "items"),
        *("loop", "message_id", "size", "state"),
    )

    def __init__(
        self,
        items: Sequence[Item] | Sequence[KeyedItem],
        loop: asyncio.AbstractEventLoop,
        *,
        is_alone: bool = False,
        message_id: str | None = None,
    ) -> None:
        first = items[0]
        self.items = items
        self.is_keyed = isinstance(first, KeyedItem)
        self.is_alone = is_alone
        self.message_id = message_id
        self.event_count = len(items)
        if len(items) == 1:  # the usual call
            self.size = len(first.item.body if isinstance(first, KeyedItem) else first.body)
        else:
            self.size = sum([len(one.item.body if isinstance(one, KeyedItem) else one.body) for one in items])
        self.state = CallState.WAITING
        self.early: EarlyAppend | None = None
        self.loop = loop
        self.future: asyncio.Future[Outcome] = loop.create_future()

    @property
    def on_refusal(self) -> OnRefusal:
        """What becomes of the other items of its append when one is refused."""
        return OnRefusal.STOP if self.is_alone else OnRefusal.SKIP

    def __repr__(self) -> str:
        return f"<WaitingCall events={self.event_count} {self.state.name}>"

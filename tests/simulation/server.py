"""The server in virtual time: requests that run beside each other, go on without their client, or are cut.

What it does with an item is Sockudo 5.2.0's: its id is claimed, published, committed; a committed id is replayed; a
pending one is waited for, then answered "in progress". tests/integration/simulation compares exchanges with the real
one. tests/unit/delivery/model.py, which answers one request at a time, has the answers and the records of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sockudo_publisher.delivery.outcome import NoReply, Reply
from tests.simulation.lane import ModelItem
from tests.unit.delivery import model
from tests.unit.delivery.model import CLAIM_WAIT_S, Record

__all__ = ["Request", "SimulatedServer"]

LOST = NoReply(sent=True, message="reset")


@lru_cache(maxsize=1024)
def receipts(count: int) -> Reply:
    """A batch that was accepted whole."""
    return model.receipts([str(n) for n in range(count)])


@lru_cache(maxsize=1024)
def batch_too_large(count: int, limit: int) -> Reply:
    """More items than the app may send at once."""
    return model.batch_too_large(count, limit)


@dataclass
class SimulatedServer:
    """One node and its dedup memory.

    ``at(when, what)`` and ``now`` are the scheduler's. ``capacity``: the number of ids that are remembered; above
    it, no new one is. ``on_delivered(item, request)``: subscribers see it. ``forgot``: ids that it has forgotten
    before their time.
    """

    now: Callable[[], float]
    at: Callable[[float, Callable[[], None]], None]
    on_delivered: Callable[[ModelItem, Request], None]
    ttl_s: float = 120.0
    max_items: int | None = None
    capacity: int | None = None
    poison: frozenset[int] = frozenset()
    foreign: frozenset[int] = frozenset()
    #: Items above which every request dies without an answer, until then.
    dies_above: int | None = None
    memory: dict[int, Record] = field(default_factory=dict)
    forgot: set[int] = field(default_factory=set)
    #: Those of them that found no room.
    never_known: set[int] = field(default_factory=set)
    #: Asked of each item that found no room: whether it is answered "in progress" though it is out.
    lies: Callable[[], bool] = lambda: False
    #: Items that were said to be in progress.
    stuck: set[int] = field(default_factory=set)
    forgot_at: float = float("-inf")
    running: dict[Request, None] = field(default_factory=dict)

    def claim(self, number: int) -> None:
        """Leave a pending claim, as a cut request of another client did."""
        self.memory[number] = Record(is_pending=True, until=self.now() + self.ttl_s)

    def restart(self, *, remembers: bool) -> None:
        """Running requests are cut off; the dedup memory is gone, unless it is kept elsewhere."""
        for request in list(self.running):
            request.cancel()
            request.finish(LOST)
        if not remembers:
            self.forget()

    def forget(self) -> None:
        """The memory is empty."""
        self.forgot.update(self.memory)
        self.forgot_at = self.now()
        self.memory.clear()

    def record_of(self, number: int) -> Record | None:
        """What is remembered of an id now."""
        record = self.memory.get(number)
        if record is not None and record.until <= self.now():
            del self.memory[number]
            return None
        return record

    def remember(self, number: int, *, is_pending: bool) -> Record:
        record = Record(is_pending, self.now() + self.ttl_s)
        if self.capacity is not None and number not in self.memory and len(self.memory) >= self.capacity:
            self.forgot.add(number)
            self.never_known.add(number)
        else:
            self.memory[number] = record
        return record

    @property
    def is_full(self) -> bool:
        """Whether no new id is remembered."""
        return self.capacity is not None and len(self.memory) >= self.capacity


class Request:
    """One batch on its way through the server.

    ``pace_s``: what an item takes; 0, and the batch is done in one step. ``cut_at``: the client goes away when the
    server stands at that item; ``is_ghost``: it was published all the same. ``on_end`` is called once, when
    there is an answer.
    """

    __slots__ = (
        *("age_s", "arrives_late", "at", "cut_at", "is_ghost", "is_over", "items", "on_end", "pace_s", "pending"),
        *("reply", "sent_at", "server", "waited"),
    )

    def __init__(
        self,
        server: SimulatedServer,
        items: Sequence[ModelItem],
        *,
        pace_s: float = 0.0,
        cut_at: int | None = None,
        is_ghost: bool = False,
        sent_at: float = 0.0,
        age_s: float = 0.0,
    ) -> None:
        self.server = server
        self.items = items
        self.pace_s = pace_s
        self.cut_at = cut_at
        self.is_ghost = is_ghost
        self.sent_at = sent_at
        self.age_s = age_s  # of the batch when it was sent
        self.at = 0
        self.pending: Record | None = None
        self.arrives_late = False
        self.waited = False
        self.is_over = False
        self.reply: Reply | NoReply | None = None
        self.on_end: Callable[[], None] | None = None

    def cancel(self) -> None:
        """The client is gone and the server stops where it stands: a claim it holds stays."""
        self.is_over = True
        self.server.running.pop(self, None)

    def finish(self, reply: Reply | NoReply) -> None:
        """Answer."""
        self.is_over = True
        self.server.running.pop(self, None)
        if self.reply is None:
            self.reply = reply
            if self.on_end is not None:
                self.on_end()

    def arrive(self) -> None:
        """The whole request is there."""
        server = self.server
        if self.is_over:
            return
        server.running[self] = None
        if server.max_items is not None and len(self.items) > server.max_items:
            self.finish(batch_too_large(len(self.items), server.max_items))
        elif server.dies_above is not None and len(self.items) > server.dies_above:
            self.finish(LOST)
        else:
            self.go_on()

    def go_on(self) -> None:
        """From where it stands, until it is over or has to wait."""
        server, items = self.server, self.items
        if self.is_over:
            return
        if self.pending is not None:  # its own claim: the item it stood at is published
            record, self.pending = self.pending, None
            self.publish(record)
        while self.at < len(items) and not self.is_over:
            number = items[self.at].number
            if number in server.poison:
                self.finish(model.REFUSED)
                return
            if number in server.foreign:
                self.finish(model.CONFLICT)
                return
            known = server.record_of(number)
            if known is not None and known.is_pending:
                if self.waited:
                    server.stuck.add(number)
                    self.finish(model.STUCK)
                    return
                self.waited = True
                server.at(server.now() + CLAIM_WAIT_S, self.go_on)
                return
            if self.at == self.cut_at:
                if known is None:
                    server.remember(number, is_pending=True)
                    if self.is_ghost:
                        server.on_delivered(items[self.at], self)
                self.cancel()
                self.finish(LOST)
                return
            if known is None:
                record = server.remember(number, is_pending=self.pace_s > 0)
                if self.pace_s > 0:
                    self.pending = record
                    server.at(server.now() + self.pace_s, self.go_on)
                    return
                self.publish(record)
            else:
                self.at += 1
        if not self.is_over:
            self.finish(receipts(len(items)))

    def publish(self, record: Record) -> None:
        """Subscribers see the item it stands at, and its time begins."""
        server, number = self.server, self.items[self.at].number
        server.on_delivered(self.items[self.at], self)
        record.is_pending = False
        record.until = server.now() + server.ttl_s
        self.waited = False
        self.at += 1
        if number not in server.memory and server.lies():  # its claim was dropped meanwhile
            server.stuck.add(number)
            self.finish(model.STUCK)

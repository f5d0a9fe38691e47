"""What has to be true of a journal, whatever happens to it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import redis

from sockudo_publisher.journal.batch import Batch
from sockudo_publisher.journal.holder import Holder, Journal
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.producer import Producer
from tests.integration.journal.raw import Lane, Queue

APP = "an app/with:{odd} names"
LANES = 2
#: Three in one lane, two in the other.
CHANNELS = ("a", "b", "d", "private-x=@,.;y", '#server-to-user-"q\\{é}:%')
PAST = 1
FUTURE = 4_000_000_000_000


@dataclass(frozen=True)
class Parts:
    """What lives longer than one example."""

    client: redis.Redis
    producers: tuple[Producer, ...]
    journals: tuple[Journal, ...]


class Run:
    """One drain: its process' journal, its holder, and the batch in its hands."""

    def __init__(self, journal: Journal, holder: Holder) -> None:
        self.journal = journal
        self.holder = holder
        self.crashed = False
        self.batch: Batch | None = None

    def __repr__(self) -> str:  # what a failing example prints
        return f"<Run {self.place} {self.holder.lease.token[:6]}>"

    @property
    def place(self) -> tuple[int, str | None]:
        return self.holder.keys.lane, self.holder.channel


@dataclass
class Model:
    """What has to be true. Bodies are unique, so they name the items."""

    order: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    left: dict[bytes, str] = field(default_factory=dict)
    expires_ms: dict[bytes, int] = field(default_factory=dict)
    collapse: dict[bytes, str] = field(default_factory=dict)
    ledger: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def append(self, item: Item) -> None:
        assert item.body not in self.expires_ms, "bodies are unique"
        self.order[item.channel].append(item.body)
        self.expires_ms[item.body] = item.expires_ms
        self.collapse[item.body] = item.collapse

    def waiting(self, channel: str) -> list[bytes]:
        return [body for body in self.order[channel] if body not in self.left]

    def leave(self, channel: str, body: bytes, how: str) -> None:
        assert body not in self.left, "an item leaves once"
        if how == "settled":
            assert self.waiting(channel)[0] == body, "a channel's items are settled in their order"
        self.left[body] = how

    def replayed(self, channel: str, body: bytes) -> None:
        del self.left[body]
        self.order[channel].remove(body)
        self.order[channel].append(body)
        self.expires_ms[body] = 0
        self.collapse[body] = ""

    def is_replaced(self, channel: str, body: bytes) -> bool:
        """Whether a later item of its channel and collapse key was appended."""
        key, order = self.collapse[body], self.order[channel]
        return bool(key) and any(self.collapse[later] == key for later in order[order.index(body) + 1 :])


def without(lane: Lane, channel: str | None, bodies: set[bytes]) -> Lane:
    """The lane after these items were settled, as the take that follows in the same round trip finds it."""
    holds = {name: _settled(queue, bodies if name == channel else set()) for name, queue in lane.holds.items()}
    holds = {name: queue for name, queue in holds.items() if queue.entries and (queue.items or name != channel)}
    queue = lane.queue if channel is not None else _settled(lane.queue, bodies)
    return Lane(queue, holds, lane.dead, lane.counts, lane.armed)


def _settled(queue: Queue, bodies: set[bytes]) -> Queue:
    items = tuple(item for item in queue.items if item.body not in bodies)
    return Queue(items, len(items), queue.marker, queue.lease, queue.entries, queue.gone)

"""What the journal in memory consists of: items, queues, lanes, and the batches that a drain takes.

Flat where Redis has packs: a queue is a list of items with a growing position each, the marker names the last position
that may have been sent. What packs add (parts of entries, ``head``, ``gone``) is invisible to a holder, and
tests/integration/simulation drives this and the real journal side by side to show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sockudo_publisher.journal.holder import DeadLetterFields

__all__ = ["Body", "Broken", "Entry", "Lane", "Marker", "ModelBatch", "ModelItem", "Queue"]


class Broken(AssertionError):
    """Something that must never be was seen."""


class ModelItem(NamedTuple):
    """An event in the journal; ``number`` names it."""

    channel: str
    body: bytes
    expires_ms: int = 0
    number: int = 0
    collapse: str = ""


class Entry(NamedTuple):
    """An item at its place; ``clock``: since when it may have been sent, if it was held; ``turn``: its number."""

    position: int
    item: ModelItem
    clock: int | None = None
    turn: int = 0


class Marker(NamedTuple):
    """Every item up to ``end`` may have been sent since ``first_ms``; ``moves``: how often some have left."""

    first_ms: int
    end: int
    moves: int = 0

    def moved(self) -> Marker:
        """After some have left."""
        return self._replace(moves=self.moves + 1)


@dataclass
class Queue:
    """A lane, or the held items of a channel."""

    entries: list[Entry] = field(default_factory=list)
    depth: int = 0
    marker: Marker | None = None
    token: str = ""
    leased_until_ms: float = -1.0
    fence: int = 0
    is_armed: bool = False
    rung_ms: int = 0
    unanswered: int = 0  # rings of the sweep since the lane's last lease; a lane's only
    unheard_ms: int = 0


@dataclass
class Lane:
    """A lane with what it holds back and has given up."""

    queue: Queue = field(default_factory=Queue)
    held: dict[str, Queue] = field(default_factory=dict)
    due_ms: dict[str, int] = field(default_factory=dict)  # held channels
    #: A hold's state goes with its last item, its lease runs on.
    leases: dict[str, tuple[str, float]] = field(default_factory=dict)
    letters: list[tuple[ModelItem, DeadLetterFields]] = field(default_factory=list)
    was_held: list[ModelItem] = field(default_factory=list)
    given_up: list[ModelItem] = field(default_factory=list)  # with a letter or without
    counts: dict[str, int] = field(default_factory=dict)
    turns: int = 0
    latest: dict[tuple[str, str], int] = field(default_factory=dict)  # channel and collapse key -> turn
    obsolete: list[ModelItem] = field(default_factory=list)

    def count(self, reason: str, number: int = 1) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + number

    def die(self, item: ModelItem, letter: DeadLetterFields, most: int) -> None:
        """A dead letter comes; the oldest leave until there are at most ``most`` (0: any number)."""
        self.letters.append((item, letter))
        while most and len(self.letters) > most:
            _, oldest = self.letters.pop(0)
            self.count(f"dead_dropped_{oldest.reason}")


class Body:
    """What would be the bytes of a request."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[ModelItem]) -> None:
        self.items = items

    def __len__(self) -> int:
        return sum(len(item.body) + 1 for item in self.items) + 11


class ModelBatch:
    """As ``journal.batch.Batch``."""

    __slots__ = ("count", "depth", "entries", "first_ms", "marker", "now_ms", "resent")

    def __init__(self, entries: Sequence[Entry], marker: Marker, now_ms: int, resent: bool, depth: int) -> None:
        self.entries = entries
        self.count = len(entries)
        self.marker = marker
        self.first_ms = marker.first_ms
        self.now_ms = now_ms
        self.resent = resent
        self.depth = depth

    @property
    def body(self) -> Body:
        return Body([entry.item for entry in self.entries])

    @property
    def first_item(self) -> ModelItem:
        return self.entries[0].item

    def items(self) -> Iterator[ModelItem]:
        return (entry.item for entry in self.entries)

    def head(self, count: int) -> ModelBatch:
        if count >= self.count:
            return self
        return ModelBatch(self.entries[:count], self.marker, self.now_ms, self.resent, self.depth)

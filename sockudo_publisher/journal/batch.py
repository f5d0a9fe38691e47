"""What a take answered: the marked batch, and its prefixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .pack import Item, Pack
from .unreadable import as_count

__all__ = ["Batch", "Position"]


@dataclass(frozen=True)
class Position:
    """The place behind an item: ``index`` counts within the entry, ``is_end`` says it is the last."""

    entry_id: bytes
    index: int
    is_end: bool


@dataclass(frozen=True)
class Batch:
    """Items at the head of a queue that the marker says may have been sent since ``first_ms``.

    ``resent``: an earlier attempt carried them already, here or in another process.
    ``now_ms`` is Redis' time of the take, ``depth`` the items of the queue including these.
    """

    packs: tuple[Pack, ...]
    count: int
    marker: bytes
    first_ms: int
    now_ms: int
    resent: bool
    depth: int

    @property
    def body(self) -> bytes:
        """The request body of ``/batch_events``."""
        return b'{"batch":[' + b",".join([pack.joined() for pack in self.packs]) + b"]}"

    @property
    def end(self) -> Position:
        """The place behind the last item."""
        last = self.packs[-1]
        return Position(last.entry_id, last.stop, last.stop == last.size)

    @property
    def first_item(self) -> Item:
        """The first item."""
        first = self.packs[0]
        return first.item(first.indexes()[0])

    @property
    def first_meta(self) -> str:
        """The meta of the first item alone (:mod:`.pack`)."""
        first = self.packs[0]
        return first.meta_of(first.indexes()[0])

    def items(self) -> Iterator[Item]:
        """Every item, in order."""
        for pack in self.packs:
            for index in pack.indexes():
                yield pack.item(index)

    def traces(self) -> list[str]:
        """The trace contexts of its items, in order; items without one are left out."""
        return [trace for pack in self.packs for trace in pack.traces()]

    def head(self, count: int) -> Batch:
        """The prefix of ``count`` items, under the same marker; never more than there are."""
        if count >= self.count:
            return self
        kept: list[Pack] = []
        left = count
        for pack in self.packs:
            if left <= 0:
                break
            kept.append(pack.first(left))
            left -= kept[-1].count
        return Batch(tuple(kept), count, self.marker, self.first_ms, self.now_ms, self.resent, self.depth)


def read_batch(answer: Sequence[Any]) -> Batch:
    """A batch from the answer of ``take.lua`` (its header names the parts)."""
    now_ms, first_ms, marker, resent, depth = answer[1:6]
    packs = []
    for at in range(7, len(answer), 7):
        entry_id, size, meta, body, start, stop, skipped = answer[at : at + 7]
        indexes = frozenset(map(int, skipped.split(b","))) if skipped else frozenset()
        packs.append(Pack(entry_id, int(size), meta, body, int(start), int(stop), indexes))
    return Batch(
        packs=tuple(packs),
        count=sum(pack.count for pack in packs),
        marker=marker,
        first_ms=int(first_ms),
        now_ms=int(now_ms),
        resent=resent == b"1",
        depth=as_count(depth or 0, low=-(10**14)) or 0,
    )

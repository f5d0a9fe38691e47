"""Whether subscribers saw what was published: all of it, nothing twice, in order, unaltered. Pure.

A message's ``seq`` counts per channel, so a loss, a repeat and a swap can be told apart; a sum of hashes
over channel and content tells whether what came is what was sent.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass

__all__ = ["ChannelOrder", "Tally", "Verdict"]

#: Numbers skipped and not seen since, remembered per channel. Beyond it a stream is broken beyond doubt.
MAX_MISSING = 1_000_000


class ChannelOrder:
    """The numbers of one channel, as they arrive."""

    def __init__(self) -> None:
        self.next = 1
        self.count = 0
        self.duplicates = 0
        self.out_of_order = 0
        self._missing: set[int] = set()

    def see(self, seq: int) -> bool:
        """Take in a number; ``False`` if it was here before."""
        self.count += 1
        if seq == self.next:
            self.next += 1
        elif seq > self.next:
            self._missing.update(range(self.next, min(seq, self.next + MAX_MISSING)))
            self.next = seq + 1
        elif seq in self._missing:
            self._missing.remove(seq)
            self.out_of_order += 1
        else:
            self.duplicates += 1
            return False
        return True


@dataclass(frozen=True)
class Verdict:
    """The outcome. ``altered``: every event came, but some not as it was published."""

    published: int
    seen: int
    channels: int
    lost: int
    duplicates: int
    out_of_order: int
    altered: bool

    @property
    def ok(self) -> bool:
        """Each event was seen once, in its channel's order, as it was published."""
        return not (self.lost or self.duplicates or self.out_of_order or self.altered)


class Tally:
    """Counts both sides. One thread publishes, another sees; each writes its own half alone."""

    def __init__(self) -> None:
        self.published = 0
        self.seen = 0
        self._published_by: dict[str, int] = defaultdict(int)
        self._seen_by: dict[str, ChannelOrder] = defaultdict(ChannelOrder)
        self._published_sum = 0
        self._seen_sum = 0

    def note_published(self, channel: str, text: str) -> None:
        """``text`` was handed to the publisher for ``channel``."""
        self._published_by[channel] += 1
        self._published_sum += _digest(channel, text)
        self.published += 1

    def note_seen(self, channel: str, text: str) -> None:
        """``text`` arrived on ``channel``."""
        if self._seen_by[channel].see(json.loads(text)["seq"]):
            self._seen_sum += _digest(channel, text)
        self.seen += 1

    def verdict(self) -> Verdict:
        """Compare both halves; to be asked when both threads are done."""
        orders = self._seen_by.values()
        duplicates = sum(order.duplicates for order in orders)
        first_seen = {channel: order.count - order.duplicates for channel, order in self._seen_by.items()}
        lost = sum(max(0, count - first_seen.get(channel, 0)) for channel, count in self._published_by.items())
        return Verdict(
            published=self.published,
            seen=self.seen,
            channels=len(self._published_by),
            lost=lost,
            duplicates=duplicates,
            out_of_order=sum(order.out_of_order for order in orders),
            altered=lost == 0 and self._seen_sum != self._published_sum,
        )


def _digest(channel: str, text: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{channel}\0{text}".encode(), digest_size=8).digest(), "big")

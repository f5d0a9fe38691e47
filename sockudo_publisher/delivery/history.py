"""What a channel's history has of uncertain events: looked up once, until they are sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..journal.batch import Batch
from ..journal.pack import Item

__all__ = ["HistoryAnswers", "HistoryLookup"]

#: Says of each item, whose first attempt began at that time (Redis', ms), whether the server has recorded it in
#: history since; ``False`` where this cannot be known.
HistoryLookup: TypeAlias = Callable[[Sequence[Item], int], Sequence[bool]]


class HistoryAnswers:
    """The answers of one run. Without a ``lookup`` history has nothing."""

    def __init__(self, lookup: HistoryLookup | None) -> None:
        self._lookup = lookup
        self._answers: dict[Item, bool] = {}

    def look_up(self, batch: Batch) -> Sequence[bool]:
        """Say of each item of the batch whether history has it; asks only about items that are new."""
        if self._lookup is None:
            return [False] * batch.count
        items = list(batch.items())
        new = [item for item in items if item not in self._answers]
        if new:
            self._answers.update(zip(new, self._lookup(new, batch.first_ms), strict=True))
        return [self._answers[item] for item in items]

    def forget(self, batch: Batch) -> None:
        """The batch is sent now, so what history said of it is out of date."""
        if self._answers:
            for item in batch.items():
                self._answers.pop(item, None)

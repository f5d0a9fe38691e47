"""What one append did, by the index of the item in the call. Values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias

from ..errors import BacklogFull, IdempotencyConflict, JournalUnavailable

__all__ = ["Appended", "Appending", "OnRefusal", "Refusal"]

#: Why an item is not stored, or, where ``JournalUnavailable.stored`` is ``None``, perhaps not stored.
Refusal: TypeAlias = BacklogFull | JournalUnavailable | IdempotencyConflict


class OnRefusal(Enum):
    """What becomes of the other items of a call when one is refused."""

    #: A conflict refuses the whole call; a full lane refuses all items of that lane. So nothing is stored behind
    #: a refused item of the same channel.
    STOP = "stop"
    #: They are stored: each item is a call of its own.
    SKIP = "skip"


class Appended(NamedTuple):
    """What one append did.

    ``count``: the items that it stored. ``already_stored``: the indexes of items that their keys had stored before.
    ``refused``: by index, why an item is not stored. ``ring``: what the doorbell has to be rung for.
    """

    count: int  # type: ignore[assignment]  # tuple's own `count` is not used
    ring: tuple[int, ...]
    already_stored: Sequence[int]
    refused: Mapping[int, Refusal]

    @property
    def failure(self) -> Refusal | None:
        """The error of the call as a whole: one that leaves open what is stored, else the first; or none."""
        first = None
        for error in self.refused.values():
            if is_uncertain(error):
                return error
            first = first or error
        return first


class Appending:
    """The same while it is being found out, lane by lane. ``moved``: indexes whose lanes were closed meanwhile."""

    __slots__ = ("already_stored", "count", "moved", "refused", "ring")

    def __init__(self) -> None:
        self.count = 0
        self.ring: list[int] = []
        self.already_stored: list[int] = []
        self.refused: dict[int, Refusal] = {}
        self.moved: list[int] = []

    def refuse(self, indexes: Iterable[int], error: Refusal) -> None:
        """Items that are not stored."""
        self.refused.update(dict.fromkeys(indexes, error))

    def may_have_stored(self) -> bool:
        """Whether something is stored, or may be."""
        return bool(self.count or self.already_stored) or any(map(is_uncertain, self.refused.values()))

    def result(self) -> Appended:
        """What it came to."""
        return Appended(self.count, tuple(self.ring), self.already_stored, self.refused)


def is_uncertain(error: Refusal) -> bool:
    """Whether an item that was refused so may be stored."""
    return isinstance(error, JournalUnavailable) and error.stored is None

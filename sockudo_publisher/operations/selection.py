"""The dead letters that one bulk action means: ids, a filter, or all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..errors import ValidationError
from ..journal.dead_letters import DeadLetters, Letter
from .letter_filter import LetterFilter
from .letters import as_dead_letter, parse_ids

__all__ = ["Selection", "filtered"]

#: Ids that the text of a selection names; further ones are counted.
MAX_NAMED = 5


@dataclass(frozen=True)
class Selection:
    """``places``: (lane, entry id) of ids, in their order; without ``names_ids``: what fits ``filter``."""

    names_ids: bool
    places: tuple[tuple[int, str], ...] = ()
    filter: LetterFilter = field(default_factory=LetterFilter)

    @classmethod
    def of(cls, ids: Sequence[str] | None, filter: LetterFilter, *, all: bool) -> Selection:
        """Raises :class:`ValidationError` unless exactly one of ids, a filter and ``all`` is given, well formed."""
        if isinstance(ids, str):
            raise ValidationError("ids: expected a list of ids, got one text")
        ways = {"ids": ids is not None, "filter": not filter.is_empty, "all": bool(all)}
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) != 1:
            what = " and ".join(given) or "nothing"
            raise ValidationError(f"ids: expected either ids, a filter or all=True, got {what}")
        if ids is None:
            return cls(False, filter=filter)
        return cls(True, tuple(parse_ids(ids)))

    @property
    def is_all(self) -> bool:
        """Whether every letter is meant."""
        return not self.names_ids and self.filter.is_empty

    def letters(self, app: str, letters: DeadLetters, absent: list[str]) -> Iterator[Letter]:
        """The letters; ids of those that are not there are appended to ``absent``."""
        if not self.names_ids:
            yield from filtered(app, letters, self.filter)
            return
        for lane, entry_id in self.places:
            letter = letters.find(lane, entry_id)
            if letter is None:
                absent.append(f"{lane}-{entry_id}")
            else:
                yield letter

    def __str__(self) -> str:
        if not self.names_ids:
            return str(self.filter)
        named = [f"{lane}-{entry_id}" for lane, entry_id in self.places[:MAX_NAMED]]
        more = [f"and {len(self.places) - len(named)} more"] if len(self.places) > len(named) else []
        return f"ids={','.join(named)}" + "".join(f" {text}" for text in more)


def filtered(app: str, letters: DeadLetters, filter: LetterFilter) -> Iterator[Letter]:
    """The letters that there are now and that fit, oldest first: those that come meanwhile are not read."""
    now_ms = letters.now_ms() if filter.older_than_s is not None else 0
    for letter in islice(letters.each(), letters.count()):
        if filter.is_empty or filter.fits(as_dead_letter(app, letter), now_ms):
            yield letter

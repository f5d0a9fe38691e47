"""Which dead letters an operator means. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..errors import ValidationError
from .connection import check_name
from .letters import DeadLetter

__all__ = ["REASONS", "LetterFilter"]

#: Every reason of a dead letter.
REASONS = ("refused", "too_large", "conflict", "uncertain", "expired", "miscounted", "unreadable")


@dataclass(frozen=True)
class LetterFilter:
    """Letters that fit each criterion that is given. ``channel`` and ``event``: the exact names.

    ``older_than_s``: dead for at least that many seconds. Raises :class:`ValidationError` for a value of another kind.
    """

    reason: str | None = None
    channel: str | None = None
    event: str | None = None
    older_than_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("reason", "channel", "event"):
            check_name(getattr(self, name), name)
        if self.reason is not None and self.reason not in REASONS:
            raise ValidationError(f"reason: must be one of {', '.join(REASONS)}")
        age = self.older_than_s
        if age is None:
            return
        if isinstance(age, bool) or not isinstance(age, int | float):
            raise ValidationError(f"older_than_s: expected seconds, got {type(age).__name__}")
        if not (math.isfinite(age) and age >= 0):
            raise ValidationError("older_than_s: expected a number of seconds, 0 or more")

    @property
    def is_empty(self) -> bool:
        """Whether it lets every letter through."""
        return all(getattr(self, one.name) is None for one in fields(self))

    def fits(self, letter: DeadLetter, now_ms: int) -> bool:
        """Whether the letter is meant; ``now_ms``: Redis' time."""
        return (
            self.reason in (None, letter.reason)
            and self.channel in (None, letter.channel)
            and self.event in (None, letter.name)
            and (self.older_than_s is None or now_ms - letter.dead_ms >= self.older_than_s * 1000)
        )

    def __str__(self) -> str:
        given = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return " ".join(f"{name}={value}" for name, value in given if value is not None) or "all"

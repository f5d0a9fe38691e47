"""Dead letters with filters."""

from __future__ import annotations

from itertools import islice

from ..config.settings import Settings
from ..errors import ValidationError
from ..redaction.frame_locals import without_locals
from .connection import open_app
from .letter_filter import LetterFilter
from .letters import DeadLetter, as_dead_letter, letters_of
from .selection import filtered

__all__ = ["dead_letters"]

#: Letters of one answer: they are held in memory with their items.
MAX_LIMIT = 100_000


@without_locals
def dead_letters(
    app: str | None = None,
    *,
    reason: str | None = None,
    channel: str | None = None,
    event: str | None = None,
    older_than_s: float | None = None,
    limit: int = 1000,
    settings: Settings | None = None,
) -> list[DeadLetter]:
    """At most ``limit`` (1 to 100,000) dead letters of an app (default: that of ``SOCKUDO_URL``), oldest first.

    ``reason``, ``channel``, ``event``: exactly these; ``older_than_s``: dead for at least that many seconds. Raises
    :class:`ValidationError` for a malformed filter, and :class:`JournalUnavailable`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise ValidationError(f"limit: expected 1 to {MAX_LIMIT}")
    wanted = LetterFilter(reason, channel, event, older_than_s)
    opened = open_app(app, settings)
    found = filtered(opened.app, letters_of(opened), wanted)
    return [as_dead_letter(opened.app, letter) for letter in islice(found, limit)]

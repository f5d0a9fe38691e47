"""Dead letters: list and show them. ``replaying`` moves and deletes them.

The journal never parses items; this module does, for the event's name and message id. Each function opens its own
connection to ``settings.redis_url`` and raises :class:`JournalUnavailable` when Redis fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..config.settings import Settings
from ..dead_event import DeadEvent, read_fields
from ..errors import ValidationError
from ..journal.dead_letters import UNREADABLE, DeadLetters, Letter
from ..journal.pack import Item
from ..journal.status import layout_in_force
from ..journal.wellformed import fault_of
from ..redaction.frame_locals import without_locals
from .connection import OpenApp, connect

__all__ = [
    "DeadLetter",
    "as_dead_letter",
    "dead_find",
    "dead_list",
    "dead_show",
    "letters_of",
    "open_letters",
    "parse_ids",
]

#: A dead letter's id as it is shown: "lane-entryid".
_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,20}-[0-9]{1,20})")


@dataclass(frozen=True)
class DeadLetter(DeadEvent):
    """An event that could not be delivered, as an operator sees it: with ``raw_entry``.

    That is the whole entry of the journal if it could not be read (each name and value as ``LENGTH:BYTES,``); else
    ``""``.
    """

    raw_entry: str = ""

    @property
    def is_replayable(self) -> bool:
        """Whether the dead letter holds exactly one event, which can be sent again."""
        return not (self.reason == UNREADABLE or self.raw_entry or fault_of(Item(self.channel, self.item)))

    @property
    def data(self) -> Any:
        """The event's data; if ``item`` is not an event, the whole item as text."""
        event = read_fields(self.item)
        return self.item.decode(errors="replace") if event is None else event.get("data")


@without_locals
def dead_list(settings: Settings, app: str, limit: int) -> list[DeadLetter]:
    """At most ``limit`` dead letters of an app, oldest first."""
    return [as_dead_letter(app, letter) for letter in open_letters(settings, app).oldest(limit)]


@without_locals
def dead_find(settings: Settings, app: str, id: str) -> DeadLetter | None:
    """The dead letter with this id, or ``None``. Raises :class:`ValidationError` for a malformed id."""
    letter = open_letters(settings, app).find(*_parse_id(id))
    return None if letter is None else as_dead_letter(app, letter)


@without_locals
def dead_show(settings: Settings, app: str, id: str) -> DeadLetter:
    """The dead letter with this id. Raises :class:`ValidationError` if there is none."""
    letter = dead_find(settings, app, id)
    if letter is None:
        raise ValidationError(f"id: no dead letter {id} of app {app}")
    return letter


def open_letters(settings: Settings, app: str) -> DeadLetters:
    """The dead letters of an app, over a connection of their own."""
    return letters_of(OpenApp(settings, app, connect(settings)))


def letters_of(opened: OpenApp) -> DeadLetters:
    """The dead letters of an app that was opened."""
    layout = layout_in_force(opened.link, opened.app, opened.settings.lanes)
    return DeadLetters(opened.link, opened.app, layout.lanes)


def _parse_id(id: str) -> tuple[int, str]:
    match = _ID.fullmatch(id)
    if match is None or any(int(part) >= 2**64 for part in match[2].split("-")):
        raise ValidationError("id: not the id of a dead letter, expected lane-milliseconds-sequence")
    return int(match[1]), match[2]


def parse_ids(ids: Iterable[str]) -> list[tuple[int, str]]:
    """The lane and entry id of each; duplicates name one dead letter. Raises :class:`ValidationError`."""
    return [_parse_id(id) for id in dict.fromkeys(ids)]


def as_dead_letter(app: str, letter: Letter) -> DeadLetter:
    """The letter as it is shown, with its event's name and message id."""
    return replace(DeadLetter.of(app, letter), raw_entry=letter.raw_entry)

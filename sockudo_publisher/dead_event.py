"""A dead letter as a value, for receivers of the signal and for operators. Imports nothing of the package."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from typing_extensions import Self

__all__ = ["DeadEvent", "StoredLetter", "read_fields"]


class StoredLetter(Protocol):
    """A dead letter as the journal keeps it (``journal.dead_letters.Letter``), which parses no item."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def attempts(self) -> int: ...  # noqa: D102
    @property
    def first_ms(self) -> int: ...  # noqa: D102
    @property
    def dead_ms(self) -> int: ...  # noqa: D102
    @property
    def maybe_delivered(self) -> bool: ...  # noqa: D102
    @property
    def item(self) -> bytes: ...  # noqa: D102


@dataclass(frozen=True)
class DeadEvent:
    """A dead letter, as the receivers of ``signals.event_dead`` get it. Times are Redis', in ms; ``size`` is in bytes.

    ``id``: as in ``sockudo-publisher dead show ID``. ``reason``: ``refused``, ``too_large``, ``conflict``,
    ``uncertain``, ``expired``, ``miscounted`` or ``unreadable``; ``message``: the server's error text.
    ``maybe_delivered``: the outcome of an attempt is unknown. ``first_ms``: the start of its first attempt; 0: never
    sent. ``name`` and ``message_id`` are empty if the event cannot be read. ``item`` contains the payload and is in no
    ``repr``.
    """

    id: str
    app: str
    channel: str
    name: str
    message_id: str
    reason: str
    message: str
    attempts: int
    first_ms: int
    dead_ms: int
    size: int
    maybe_delivered: bool
    item: bytes = field(repr=False)

    @classmethod
    def of(cls, app: str, letter: StoredLetter) -> Self:
        """The letter of an app, with its event's name and message id."""
        event = read_fields(letter.item) or {}
        return cls(
            id=letter.id,
            app=app,
            channel=letter.channel,
            name=str(event.get("name", "")),
            message_id=str(event.get("message_id", "")),
            reason=letter.reason,
            message=letter.message,
            attempts=letter.attempts,
            first_ms=letter.first_ms,
            dead_ms=letter.dead_ms,
            size=len(letter.item),
            maybe_delivered=letter.maybe_delivered,
            item=letter.item,
        )

    @property
    def data(self) -> Any:
        """The event's ``data`` as it would have been sent: text, encrypted if its channel is. ``None``: unreadable."""
        event = read_fields(self.item)
        return None if event is None else event.get("data")


def read_fields(item: bytes) -> dict[str, Any] | None:
    """The fields of an item; ``None`` if it is no event."""
    try:
        event = json.loads(item)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None

"""The outbox in numbers, for ``/metrics`` of its relay. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["OutboxFigures", "ReadFigures", "add_table", "known_tables"]


class OutboxFigures(NamedTuple):
    """The rows of one app. ``waiting``: to be moved; ``oldest_age_s``: of the oldest of them, 0 if none waits;
    ``parked``: for a person.
    """

    app: str
    waiting: int = 0
    oldest_age_s: float = 0.0
    parked: int = 0


#: Reads the figures of all apps that have rows. Any error means that they are not known.
ReadFigures: TypeAlias = Callable[[], Sequence[OutboxFigures]]

_tables: list[ReadFigures] = []


def add_table(read: ReadFigures) -> None:
    """Let the dashboard and ``status`` of this process count a table: ``manage.py sockudo`` adds Django's."""
    _tables.append(read)


def known_tables() -> tuple[ReadFigures, ...]:
    """The tables that were added."""
    return tuple(_tables)

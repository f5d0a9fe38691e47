"""One look: the status of every app, its held channels, and the rows of an outbox, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .. import operations
from ..config.settings import get_settings
from ..metrics.scrape import Cached
from ..outbox.figures import OutboxFigures, ReadFigures
from .views import show_app

__all__ = ["MAX_HELD", "LookReader"]

#: Held channels of an app that are shown.
MAX_HELD: Final = 100

#: Seconds for which rows of an outbox that were counted are shown again: a database counts a large table row by row.
OUTBOX_FRESH_S: Final = 5.0


class LookReader:
    """Reads looks; ``tables``: of the outboxes, none if no database is known."""

    def __init__(self, tables: Sequence[ReadFigures] = ()) -> None:
        self._tables = tuple(tables)
        self._rows = Cached(self._read_rows, fresh_s=OUTBOX_FRESH_S)

    def read(self) -> dict[str, Any]:
        """The values of one moment. Raises :class:`JournalUnavailable`, and :class:`ConfigurationError`."""
        settings = get_settings()
        found = operations.status(settings=settings)
        shown = []
        for app in found:
            is_held = any(lane.held for lane in app.lanes)
            held = operations.held_channels(app.app, limit=MAX_HELD, settings=settings) if is_held else ()
            shown.append(show_app(app, held))
        return {"namespace": settings.namespace, "apps": shown, "outbox": self._outbox()}

    def _outbox(self) -> dict[str, Any] | None:
        """``None``: no table is known. ``rows`` is ``None`` while the database does not answer."""
        if not self._tables:
            return None
        rows = self._rows.get()
        return {"rows": None if rows is None else [one._asdict() for one in rows]}

    def _read_rows(self) -> list[OutboxFigures]:
        return [one for read in self._tables for one in read()]

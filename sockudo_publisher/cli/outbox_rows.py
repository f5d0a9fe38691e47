"""The rows of an outbox for ``status``, where this process knows its table: ``manage.py sockudo status``.

``sockudo-publisher status`` knows no database. A database that is away or frozen hides nothing of the journal: its rows
are *not known* then.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..redaction.frame_locals import clear_locals
from ..terminal import plain

if TYPE_CHECKING:
    from ..outbox.figures import OutboxFigures, ReadFigures

__all__ = ["OutboxLook", "RowCounter", "outbox_lines"]

#: Seconds to wait for the database.
MAX_WAIT_S: Final = 5.0


class OutboxLook(NamedTuple):
    """``rows``: of each app that has some; ``failure``: why they are not known, the kind of the error."""

    rows: Sequence[OutboxFigures] = ()
    failure: str = ""

    @property
    def parked(self) -> int:
        """Rows that no relay tries again."""
        return sum(one.parked for one in self.rows)

    @property
    def oldest_age_s(self) -> float:
        """Seconds that the oldest waiting row has waited, 0: none waits."""
        return max((one.oldest_age_s for one in self.rows), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": None if self.failure else [one._asdict() for one in self.rows],
            "parked": None if self.failure else self.parked,
            "failure": self.failure,
        }


class RowCounter:
    """Counts the rows of all ``tables``, in one thread at most: a frozen database holds one, however often it is asked.

    ``app``: only its rows. A client may wait for its database longer than a person does, so :meth:`look` gives up.
    """

    def __init__(self, tables: Sequence[ReadFigures], app: str | None = None) -> None:
        self._tables = tuple(tables)
        self._app = app
        self._thread: threading.Thread | None = None
        self._found = OutboxLook()

    def look(self, wait_s: float = MAX_WAIT_S) -> OutboxLook | None:
        """The rows now; ``None``: no table is known. Waits at most ``wait_s``."""
        if not self._tables:
            return None
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name="sockudo-outbox", daemon=True)
            self._thread.start()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            return OutboxLook(failure=f"no answer within {wait_s:g} s")
        self._thread = None
        return self._found

    def _read(self) -> None:
        try:
            rows = [one for read in self._tables for one in read() if self._app in (None, one.app)]
        except Exception as error:  # noqa: BLE001 -- of any database; its text may hold a row
            clear_locals(error)
            self._found = OutboxLook(failure=type(error).__name__)
        else:
            self._found = OutboxLook(rows)


def outbox_lines(look: OutboxLook) -> list[str]:
    """The lines for a person."""
    if look.failure:
        return [f"[yellow]outbox[/]: not known, the database failed ({plain(look.failure)})"]
    if not look.rows:
        return ["[dim]outbox: no rows[/]"]
    return [_line(one) for one in look.rows]


def _line(one: OutboxFigures) -> str:
    text = f"outbox [bold]{plain(one.app)}[/]: {one.waiting:,} rows wait"
    if one.waiting:
        text += f", the oldest for {one.oldest_age_s:.1f} s"
    if one.parked:
        text += f", [bold red]{one.parked:,} parked[/]: no relay tries them again, release or delete them"
    return text

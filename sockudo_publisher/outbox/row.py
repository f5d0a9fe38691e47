"""A row of the outbox: one finished item, stored by the caller's transaction.

All is decided before the insert: the event is valid, its bytes are final (encrypted if its channel is), its message id
is fixed. So a relay refuses no row and needs nothing from the application. Needs no Redis and imports no framework.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..client.wire.limits import MAX_CHANNEL_BYTES, MAX_ID_BYTES
from ..journal.pack import Item, KeyedItem, describe_body
from ..publishing.call import PublishCall
from ..publishing.prepare import FINGERPRINT_BYTES, prepare
from ..wiring.app import app_named

__all__ = [
    "CHANNEL_CHARACTERS",
    "COLLAPSE_CHARACTERS",
    "COLUMNS",
    "FINGERPRINT_CHARACTERS",
    "MESSAGE_ID_CHARACTERS",
    "EventRow",
    "build_rows",
]

#: Widths of the table's columns: the client's limits (client/wire/limits.py), and a digest of 16 bytes in hex.
CHANNEL_CHARACTERS = 200
MESSAGE_ID_CHARACTERS = 128
FINGERPRINT_CHARACTERS = 32
COLLAPSE_CHARACTERS = 128

# The migrations contain these widths: a larger limit needs a new migration.
assert CHANNEL_CHARACTERS >= MAX_CHANNEL_BYTES
assert MESSAGE_ID_CHARACTERS >= MAX_ID_BYTES
assert COLLAPSE_CHARACTERS >= MAX_ID_BYTES
assert FINGERPRINT_CHARACTERS == 2 * FINGERPRINT_BYTES, "in hexadecimal"

#: The columns that a relay reads, in the order of :meth:`EventRow.from_columns`.
COLUMNS = ("app", "channel", "message_id", "fingerprint", "body", "id", "collapse")


@dataclass(frozen=True)
class EventRow:
    """One item for one channel of one app; ``id`` is 0 until the row is inserted.

    ``message_id`` is also the key of the append; ``fingerprint`` distinguishes the event from another one with that
    key. A call with several channels makes one row per channel, all with the same message id. ``collapse``: the event's
    collapse key, "" for none.
    """

    app: str
    channel: str
    message_id: str
    fingerprint: str
    body: bytes
    id: int = 0
    collapse: str = ""

    def __repr__(self) -> str:
        return f"EventRow(app={self.app!r}, channel={self.channel!r}, {describe_body(self.body)}, id={self.id})"

    @classmethod
    def from_columns(cls, columns: Sequence[Any]) -> EventRow:
        """Make a row from the values of :data:`COLUMNS`; the body may be a ``memoryview``, as of some drivers."""
        app, channel, message_id, fingerprint, body, row_id, collapse = columns
        return cls(app, channel, message_id, fingerprint, bytes(body), row_id, collapse)

    def columns(self) -> dict[str, Any]:
        """The columns to insert; the database assigns the id."""
        columns = asdict(self)
        del columns["id"]
        return columns

    def keyed_item(self) -> KeyedItem:
        """The item with its key: the journal stores it once, even if it is appended several times."""
        return KeyedItem(Item(self.channel, self.body, collapse=self.collapse), self.message_id, self.fingerprint)


def build_rows(call: PublishCall) -> list[EventRow]:
    """Validate, encode and encrypt one event, a row per channel. Raises :class:`ValidationError`."""
    app = app_named(call.app)
    if call.key is None:
        # Every row needs a key: the ledger makes the relay's append safe to repeat.
        call.key = os.urandom(16).hex()
    prepared = prepare(app, call)
    return [
        EventRow(app.name, item.channel, prepared.message_id, prepared.fingerprint, item.body, collapse=item.collapse)
        for item in prepared.items
    ]

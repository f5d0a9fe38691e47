"""A row of the outbox: one finished item, as the caller's transaction keeps it.

Everything is decided before the insert: the event is valid, its bytes are final (and encrypted where
its channel is), its message id is fixed. So a relay has nothing to refuse, and nothing to ask the
application for. Needs no Redis. Imports the core, no framework.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..client.wire.limits import MAX_CHANNEL_BYTES, MAX_ID_BYTES
from ..journal.pack import Item, KeyedItem
from ..publishing.call import PublishCall
from ..publishing.prepare import FINGERPRINT_BYTES, prepare
from ..wiring.app import app_named

__all__ = ["CHANNEL_CHARACTERS", "COLUMNS", "FINGERPRINT_CHARACTERS", "MESSAGE_ID_CHARACTERS", "EventRow", "build_rows"]

#: Widths of the table's columns: what the client's limits allow (client/limits.py), and a digest of 16 bytes in hex.
CHANNEL_CHARACTERS = 200
MESSAGE_ID_CHARACTERS = 128
FINGERPRINT_CHARACTERS = 32

# Migrations have these widths: a limit that rises above one needs a new migration.
assert CHANNEL_CHARACTERS >= MAX_CHANNEL_BYTES
assert MESSAGE_ID_CHARACTERS >= MAX_ID_BYTES
assert FINGERPRINT_CHARACTERS == 2 * FINGERPRINT_BYTES, "in hexadecimal"

#: What is read of a row, in the order of :meth:`EventRow.read`.
COLUMNS = ("app", "channel", "message_id", "fingerprint", "body", "id")


@dataclass(frozen=True)
class EventRow:
    """One item for one channel of one app; ``id`` is 0 until it is inserted.

    ``message_id`` is also the key under which it is appended, ``fingerprint`` what tells it from another
    event under that key. A call with several channels makes as many rows, all with one message id.
    """

    app: str
    channel: str
    message_id: str
    fingerprint: str
    body: bytes
    id: int = 0

    @classmethod
    def read(cls, columns: Sequence[Any]) -> EventRow:
        """From the values of :data:`COLUMNS`; some drivers give a ``memoryview`` for the body."""
        app, channel, message_id, fingerprint, body, row_id = columns
        return cls(app, channel, message_id, fingerprint, bytes(body), row_id)

    def columns(self) -> dict[str, Any]:
        """The columns to insert; the database gives the id."""
        columns = asdict(self)
        del columns["id"]
        return columns

    def keyed(self) -> KeyedItem:
        """As the journal appends it: however often, once."""
        return KeyedItem(Item(self.channel, self.body), self.message_id, self.fingerprint)


def build_rows(call: PublishCall) -> list[EventRow]:
    """Validate, encode and encrypt one event, a row per channel. Raises :class:`ValidationError`."""
    app = app_named(call.app)
    if call.key is None:
        # A key in any case: the ledger is what makes the relay's append safe to repeat.
        call.key = os.urandom(16).hex()
    prepared = prepare(app, call)
    return [
        EventRow(app.name, item.channel, prepared.message_id, prepared.fingerprint, item.body)
        for item in prepared.items
    ]

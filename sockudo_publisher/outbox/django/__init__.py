"""The outbox for Django: put ``"sockudo_publisher.outbox.django"`` into ``INSTALLED_APPS`` and migrate.

``add`` inserts an event in the current transaction; ``manage.py sockudo_relay`` moves the committed rows.
``on_commit`` (``publish.delay_on_commit``) needs neither the table nor the relay. Only this package imports Django, and
only in its functions: models need Django's app registry first.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ...client.wire.extras import ExtrasLike
from ...publishing.call import PublishCall
from ...redaction.frame_locals import without_locals
from ..relay import MAX_ROWS, ParkedRow, Relayed
from ..row import EventRow, build_rows

__all__ = ["add", "parked", "relay", "release"]


@without_locals
def add(
    channel: str | Sequence[str] | None,
    event: str,
    data: Any,
    *,
    key: str | None = None,
    collapse: str | None = None,
    socket_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    extras: ExtrasLike | None = None,
    app: str | None = None,
    delta: bool | None = None,
    user_id: str | None = None,
    using: str | None = None,
) -> str:
    """Insert an event in the current transaction: it is published if that commits. Returns its message id.

    The arguments are those of ``publish.delay``; ``using`` names the database (default: the one to which
    the router writes the model). Raises :class:`ValidationError` before anything is inserted.
    """
    rows = build_rows(PublishCall(channel, event, data, key, socket_id, tags, extras, app, delta, user_id, collapse))
    _insert(rows, using)
    return rows[0].message_id


def _insert(rows: Sequence[EventRow], using: str | None) -> None:
    """Insert rows in the current transaction. A recorder sees them here."""
    from .models import OutboxRow
    from .setting import is_relay_notified
    from .table import notify_relay

    is_notified = is_relay_notified()  # it may raise, before anything is inserted
    OutboxRow.objects.using(using).bulk_create([OutboxRow(**row.columns()) for row in rows])
    if is_notified:
        notify_relay(using)


def relay(*, using: str | None = None, batch: int = MAX_ROWS, stop: threading.Event | None = None) -> Relayed:
    """Move the committed rows to the journal, in batches, and return. ``manage.py sockudo_relay`` repeats this.

    Raises the errors of the database: no event is lost then, and none is stored twice.
    """
    from .table import relay as relay_table

    return relay_table(using, batch=batch, stop=stop)


def parked(*, using: str | None = None, limit: int = 100) -> list[ParkedRow]:
    """The first ``limit`` rows by id that can never be appended, with their reasons. No relay tries them again."""
    from .models import OutboxRow

    rows = OutboxRow.objects.using(using).filter(parked__isnull=False).order_by("id")[:limit]
    return [ParkedRow(*columns) for columns in rows.values_list("id", "app", "channel", "message_id", "parked")]


def release(ids: Sequence[int] | None = None, *, using: str | None = None) -> int:
    """Let relays try parked rows again: those of ``ids``, or all. Returns their number.

    A row whose cause remains (a key that was used with another payload) is parked again.
    """
    from .models import OutboxRow

    rows = OutboxRow.objects.using(using).filter(parked__isnull=False)
    released: int = (rows if ids is None else rows.filter(id__in=ids)).update(parked=None)
    return released

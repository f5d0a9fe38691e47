"""Move one batch of the outbox's table in a Django transaction."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, router, transaction
from django.db.models import Count, Min, Q
from django.utils import timezone

from ..figures import OutboxFigures
from ..listen import LISTEN, NOTIFY, Listener
from ..relay import Moved, Relayed, append, rows_before_gap
from ..relay import relay as relay_by
from ..row import COLUMNS, EventRow
from .models import OutboxRow

__all__ = ["FAILURES", "has_notifications", "notify_relay", "open_listener", "read_figures", "relay"]

#: The errors of a database that is away.
FAILURES = (DatabaseError, InterfaceError)


def relay(using: str | None, *, batch: int, stop: threading.Event | None = None) -> Relayed:
    """Move the committed rows of one database to the journal."""
    alias = using or router.db_for_write(OutboxRow)
    # After an error, or when the connection's time is over. Django does this between requests; a relay has none.
    connections[alias].close_if_unusable_or_obsolete()
    return relay_by(partial(_move, alias), max_rows=batch, stop=stop)


def read_figures(alias: str) -> list[OutboxFigures]:
    """Count the rows of each app, in a thread that has no other use for its connection."""
    is_waiting = Q(parked__isnull=True)
    try:
        counted = (
            OutboxRow.objects.using(alias)
            .values("app")
            .annotate(
                waiting=Count("id", filter=is_waiting),
                oldest=Min("created_at", filter=is_waiting),
                left=Count("id", filter=~is_waiting),
            )
        )
        rows = counted.order_by().values_list("app", "waiting", "oldest", "left")
        now = timezone.now()
        return [
            OutboxFigures(app, waiting, max(0.0, (now - oldest).total_seconds()) if oldest else 0.0, parked)
            for app, waiting, oldest, parked in rows
        ]
    finally:
        connections[alias].close()


def _move(alias: str, max_rows: int, without: frozenset[str]) -> Moved:
    """One batch (:data:`..relay.Move`)."""
    features = connections[alias].features
    if not features.has_select_for_update:
        # SQLite locks the whole database: keep no transaction open during the append to Redis.
        moved = append(_read_rows(_select_head(alias, max_rows, without)))
        with transaction.atomic(using=alias) if moved.read else nullcontext():
            _settle_rows(alias, moved)
        return moved
    with transaction.atomic(using=alias):
        head = list(_select_head(alias, max_rows, without).values_list("id", flat=True))
        rows: Sequence[EventRow] = ()
        if head:
            these = OutboxRow.objects.using(alias).filter(id__in=head).order_by("id")
            locked = these.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
            rows = rows_before_gap(head, _read_rows(locked))
        moved = append(rows)
        _settle_rows(alias, moved)
    return moved


def _select_head(alias: str, max_rows: int, without: frozenset[str]) -> Any:
    query = OutboxRow.objects.using(alias).filter(parked__isnull=True)
    if without:
        query = query.exclude(app__in=sorted(without))
    return query.order_by("id")[:max_rows]


def _read_rows(query: Any) -> list[EventRow]:
    return [EventRow.from_columns(columns) for columns in query.values_list(*COLUMNS)]


def _settle_rows(alias: str, moved: Moved) -> None:
    rows = OutboxRow.objects.using(alias)
    if moved.stored:
        rows.filter(id__in=moved.stored).delete()
    for row_id, why in moved.parked.items():
        rows.filter(id=row_id).update(parked=why)


def has_notifications(alias: str) -> bool:
    """Whether the database is PostgreSQL, the only one with LISTEN and NOTIFY."""
    return bool(connections[alias].vendor == "postgresql")


def notify_relay(using: str | None) -> None:
    """Wake a relay that listens, when the current transaction commits. Nothing on other databases than PostgreSQL."""
    alias = using or router.db_for_write(OutboxRow)
    if has_notifications(alias):
        with connections[alias].cursor() as cursor:
            cursor.execute(NOTIFY)


def open_listener(alias: str, stop: threading.Event) -> Listener:
    """A listener with a connection of its own, which is opened at the first wait."""

    def connect() -> Any:
        connection = connections[alias].copy()
        try:
            connection.set_autocommit(True)
            with connection.cursor() as cursor:
                cursor.execute(LISTEN)
        except FAILURES:
            connection.close()
            raise
        return connection.connection

    return Listener(connect, failures=FAILURES, stop=stop)

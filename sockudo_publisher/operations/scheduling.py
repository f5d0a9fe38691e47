"""Scheduled events: list and cancel them.

The journal never parses items; this module does, for the event's name. Each function opens its own connection to the
settings' Redis and raises :class:`JournalUnavailable` when Redis fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice

from ..client.wire.limits import check_id
from ..config.settings import Settings
from ..dead_event import read_fields
from ..errors import JournalUnreadable, ValidationError
from ..journal.schedule.book import ScheduleBook
from ..journal.schedule.event import ScheduledItem
from ..redaction.frame_locals import without_locals
from .audit_trail import begin_action, checked_actor, end_action
from .connection import check_name, connect, open_app

__all__ = ["Cancelled", "ScheduledEvent", "cancel", "open_book", "scheduled"]


@dataclass(frozen=True)
class ScheduledEvent:
    """An event that is due later, on one channel of it. ``due_ms``: Redis' time in ms; ``size``: bytes as sent.

    ``is_being_stored``: a worker has claimed it, and it can no longer be cancelled. ``is_parked``: it was due and could
    not be stored, because its ``key`` was used for another event meanwhile; it stays until it is cancelled. ``event``
    and ``channel`` are empty if its record cannot be read.
    """

    id: str
    channel: str
    event: str
    due_ms: int
    app: str
    size: int
    is_being_stored: bool = False
    is_parked: bool = False

    @property
    def due(self) -> datetime:
        """``due_ms`` as a time in UTC."""
        return datetime.fromtimestamp(self.due_ms / 1000, tz=timezone.utc)


@dataclass(frozen=True)
class Cancelled:
    """The answer to a cancellation, by channel.

    ``channels``: taken back now, no subscriber of these gets the event. ``already``: taken back before. ``too_late``: a
    worker is storing it there. All empty: nothing of this message id is scheduled; it was stored, or never here.
    """

    message_id: str
    app: str
    channels: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    too_late: tuple[str, ...] = ()

    @property
    def is_cancelled(self) -> bool:
        """Whether the event was taken back, now or before, on every channel on which it was still scheduled."""
        return bool(self.channels or self.already) and not self.too_late


@without_locals
def scheduled(
    app: str | None = None,
    *,
    channel: str | None = None,
    event: str | None = None,
    due_before: datetime | None = None,
    parked: bool = False,
    limit: int = 1000,
) -> list[ScheduledEvent]:
    """At most ``limit`` scheduled events of an app, the earliest first, parked ones last.

    ``app``: its name in ``SOCKUDO_APPS``, by default the app of ``SOCKUDO_URL``. ``channel``, ``event``: only of this
    channel, only of this name. ``due_before``: only what is due before that time (UTC if it has no zone).
    ``parked``: only events that could not be stored and wait for a person. Events that come or leave during the call
    may be left out. Raises :class:`ValidationError` for a limit below 1 and for what is
    no name, and :class:`ConfigurationError` for an app that neither the settings nor Redis know.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValidationError(f"limit: {limit!r:.40}, expected a number from 1")
    channel, event = check_name(channel, "channel"), check_name(event, "event")
    until_ms = None if due_before is None else _ms_of(due_before)
    opened = open_app(app)
    events = open_book(opened.settings, opened.app).events(channel, only_parked=parked)
    found = _matching(events, opened.app, event, until_ms)
    return list(islice(found, limit))


@without_locals
def cancel(message_id: str, *, app: str | None = None, actor: str | None = None) -> Cancelled:
    """Take a scheduled event back, on all channels where no worker is storing it, and free its ``key``.

    ``message_id``: the ``id`` of its result; ``actor``: who does it, default ``user@host``, for :func:`audit`. A call
    that was interrupted is repeated safely. Raises
    :class:`ValidationError` for an id that no event can have, :class:`ConfigurationError` for an app that neither the
    settings nor Redis know, and :class:`JournalUnreadable` for a record that could not be read: it is deleted.
    """
    message_id = check_id(message_id, field="message_id")
    by, opened = checked_actor(actor), open_app(app)
    action = begin_action(opened, "cancel", by, message_id)
    try:
        found = open_book(opened.settings, opened.app).cancel(message_id)
    except JournalUnreadable:
        end_action(opened, action, unreadable=1)
        raise
    end_action(opened, action, cancelled=len(found.taken), already=len(found.before), too_late=len(found.late))
    return Cancelled(message_id, opened.app, found.taken, found.before, found.late)


def open_book(settings: Settings, app: str) -> ScheduleBook:
    """The schedule of an app, over a connection of its own."""
    return ScheduleBook(connect(settings), app, lanes=settings.lanes, key_ttl_ms=int(settings.key_ttl * 1000))


def _matching(
    items: Iterator[ScheduledItem], app: str, event: str | None, until_ms: int | None
) -> Iterator[ScheduledEvent]:
    for item in items:
        # The order is by due time, parked events last.
        if until_ms is not None and item.due_ms >= until_ms:
            if item.is_parked:
                continue
            return
        shown = _as_scheduled_event(item, app)
        if event is None or shown.event == event:
            yield shown


def _as_scheduled_event(item: ScheduledItem, app: str) -> ScheduledEvent:
    channel, name, size = "", "", 0
    if item.item is not None:
        channel, name, size = (
            item.item.channel,
            str((read_fields(item.item.body) or {}).get("name", "")),
            len(item.item.body),
        )
    return ScheduledEvent(
        item.message_id, channel, name, item.due_ms, app, size, item.is_claimed and not item.is_parked, item.is_parked
    )


def _ms_of(time: datetime) -> int:
    if not isinstance(time, datetime):
        raise ValidationError(f"due_before: a {type(time).__name__}, expected a datetime")
    aware = time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
    return int(aware.timestamp() * 1000)

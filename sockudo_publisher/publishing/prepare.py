"""From an event as given to finished items in the journal: validate, encode, encrypt, append, ring.

All of it happens in the caller's process and thread. Bad input raises before anything is stored; once
the append has succeeded nothing raises any more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..client.wire.event import Event
from ..client.wire.limits import check_channels, check_id, check_queue_extras, check_tags
from ..errors import BacklogFull, JournalUnavailable, ValidationError
from ..faultpoint import crash_point
from ..journal.layout.layout import Span
from ..journal.pack import Item
from ..journal.producer import Appended, KeyedItem
from ..wiring.app import App
from ..wiring.doorbell import doorbell

__all__ = ["Prepared", "append", "fingerprint", "prepare", "schedule"]


class Prepared(NamedTuple):
    """One event, validated and encoded: an item per channel, all with the same message id.

    ``key`` is the caller's; then the ledger lets each item be appended once, ``fingerprint`` telling
    a repeat from another payload.
    """

    message_id: str
    items: tuple[Item, ...]
    key: str | None = None
    fingerprint: str = ""


def prepare(
    app: App,
    channels: str | Sequence[str],
    event: str,
    data: Any,
    *,
    key: str | None = None,
    message_id: str | None = None,
    socket_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    extras: Mapping[str, Any] | None = None,
    expires_ms: int = 0,
    is_keyed: bool = False,
) -> Prepared:
    """Validate and encode one event. Raises :class:`ValidationError`; stores nothing.

    ``is_keyed``: its id may become a key (a message that got lost is repeated with it), so it has a fingerprint too.
    """
    if key is not None:
        check_id(key, field="key")
        message_id = key
    elif message_id is None:
        message_id = os.urandom(16).hex()  # as a UUID4 without its six fixed bits, at a third of the price
    if extras is not None:
        check_queue_extras(extras)
    if tags is not None:
        check_tags(tags)
    names = (channels,) if isinstance(channels, str) else check_channels(channels, field="channel")
    payload = app.encoder.payload(data)
    item = app.encoder.item
    items = tuple(
        [
            Item(
                name,
                item(
                    name,
                    event,
                    payload,
                    message_id=message_id,
                    socket_id=socket_id,
                    tags=tags,
                    extras=extras,
                ),
                expires_ms,
            )
            for name in names
        ]
    )
    crash_point("encoded")
    if key is None and not is_keyed:
        return Prepared(message_id, items)
    return Prepared(message_id, items, key, fingerprint(app, event, payload, socket_id, tags, extras))


def fingerprint(
    app: App,
    event: str,
    payload: str,
    socket_id: str | None,
    tags: Mapping[str, str] | None,
    extras: Mapping[str, Any] | None,
) -> str:
    """What tells two events under one key apart: everything a subscriber could notice."""
    rest = json.dumps([event, socket_id, tags, extras], sort_keys=True, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    digest = hashlib.blake2b(rest, key=app.fingerprint_key, digest_size=16)
    digest.update(b"\0")
    digest.update(payload.encode())
    return digest.hexdigest()


def append(app: App, prepared: Prepared, *, once_key: str | None = None) -> Appended:
    """Store an event and ring its lanes.

    ``once_key``: remember the append under this id instead of the caller's key (a redelivered Celery
    message appends nothing new). Raises :class:`BacklogFull`, :class:`IdempotencyConflict` or
    :class:`JournalUnavailable` with the message id and the channels that are stored.
    """
    key = prepared.key or once_key
    span: Span | None = None
    try:
        span = app.producer.layout().appending
        if key is None:
            by_lane: dict[int, list[Item]] = {}
            for item in prepared.items:
                by_lane.setdefault(span.lane_of(item.channel), []).append(item)
            appended = app.producer.append(by_lane)
        else:
            keyed: dict[int, list[KeyedItem]] = {}
            for item in prepared.items:
                keyed.setdefault(span.lane_of(item.channel), []).append(KeyedItem(item, key, prepared.fingerprint))
            appended = app.producer.append_once(keyed)
    except JournalUnavailable as error:
        error.message_id = prepared.message_id
        if span is None:
            error.stored = False  # whatever became of the question: nothing was appended yet
        raise
    crash_point("appended")
    if appended.ring:
        doorbell.ring(app.name, appended.ring)
    crash_point("rung")
    if appended.failure is not None:
        raise _with_names(appended, prepared)
    return appended


def _with_names(appended: Appended, prepared: Prepared) -> Exception:
    """The failure of some lanes, saying what the others stored."""
    failure = appended.failure
    assert failure is not None
    stored = tuple([item.channel for item in prepared.items if item.channel not in appended.refused])
    if isinstance(failure, JournalUnavailable):
        failure.message_id, failure.stored_channels = prepared.message_id, stored
        if stored:  # of the event as a whole it is not true that nothing is stored
            failure.stored = None
        return failure
    if isinstance(failure, BacklogFull) and stored:
        return JournalUnavailable(
            f"stored on {len(stored)} of {len(prepared.items)} channels: {failure}",
            stored=None,
            message_id=prepared.message_id,
            stored_channels=stored,
        )
    return failure


def schedule(app: App, prepared: Prepared) -> bool:
    """Before a countdown message is sent: remember its key's payload.

    ``False``: the event is stored already, nothing has to be sent. Raises :class:`IdempotencyConflict`.
    """
    if prepared.key is None:
        return True
    try:
        span = app.producer.layout().appending
        calls = [
            (span.lane_of(item.channel), item.channel, prepared.key, prepared.fingerprint) for item in prepared.items
        ]
        if len(calls) > 1:  # a conflict on a later channel must leave no mark on an earlier one
            for call in calls:
                app.producer.schedule_once(*call, look=True)
        results = [app.producer.schedule_once(*call) for call in calls]
    except JournalUnavailable as error:
        error.message_id, error.stored = prepared.message_id, False
        raise
    return any(results)


def refuse_direct_options(event: Event) -> None:
    """What only a direct call can have: the HTTP API's key, and an answer.

    Queued events are identified by ``message_id``; Sockudo's other layer loses items of a resent batch.
    """
    if event.idempotency_key is not None:
        raise ValidationError("idempotency_key: not for queued events, use key= (the server deduplicates on it too)")
    if event.info is not None:
        raise ValidationError("info: not for queued events, as nobody reads the server's answer")

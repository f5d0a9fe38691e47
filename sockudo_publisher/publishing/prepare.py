"""Prepare an event: validate, encode, encrypt. Raises before anything is stored.

Runs in the caller's process and thread and needs no Redis. :mod:`.store` stores the result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..client.wire.limits import check_id, check_queue_extras, check_tags
from ..errors import ValidationError
from ..faultpoint import crash_point
from ..journal.pack import Item, KeyedItem
from ..wiring.app import App
from .call import PublishCall, has_options

if TYPE_CHECKING:
    from ..client.wire.event import Event

__all__ = ["FINGERPRINT_BYTES", "Prepared", "prepare", "refuse_direct_options"]

#: Bytes of the digest that distinguishes payloads under one key.
FINGERPRINT_BYTES = 16


class Prepared(NamedTuple):
    """One event, validated and encoded: an item per channel, all with the same message id.

    ``key`` is the caller's. With a key the ledger appends each item once; ``fingerprint`` distinguishes a repeat from
    another payload.
    """

    message_id: str
    items: tuple[Item, ...]
    key: str | None = None
    fingerprint: str = ""

    @property
    def channels(self) -> list[str]:
        """The channel of each item."""
        return [item.channel for item in self.items]

    def with_trace(self, trace: str) -> Prepared:
        """The same with the context of the call's span; ``""``: there is none."""
        return self._replace(items=tuple([item._replace(trace=trace) for item in self.items])) if trace else self

    def keyed_items(self, key: str) -> list[KeyedItem]:
        """The items, to be appended once under a key."""
        return [KeyedItem(item, key, self.fingerprint) for item in self.items]


def prepare(
    app: App, call: PublishCall, *, message_id: str | None = None, expires_ms: int = 0, is_keyed: bool = False
) -> Prepared:
    """Validate and encode one event. Raises :class:`ValidationError`; stores nothing.

    ``message_id``: used where the call has no key; by default a random one. ``expires_ms``: Redis' time after which
    it is not sent, 0 = never. ``is_keyed``: its id may become a key (a message that got lost is repeated with it),
    so it has a fingerprint too.
    """
    name, key, socket_id, tags, extras = call.event, call.key, call.socket_id, call.tags, call.extras
    if message_id is None and not is_keyed and not has_options(call) and isinstance(call.channel, str):
        # the usual call
        message_id = _new_id()
        encoder = app.encoder
        item = Item(
            call.channel, encoder.plain_item(call.channel, name, encoder.payload(call.data), message_id), expires_ms
        )
        crash_point("encoded")
        return Prepared(message_id, (item,))
    if key is not None:
        message_id = check_id(key, field="key")
    elif message_id is None:
        message_id = _new_id()
    delta = call.delta
    collapse = "" if call.collapse is None else check_id(call.collapse, field="collapse")
    if extras is not None:
        check_queue_extras(extras)
    if tags is not None:
        check_tags(tags)
    channels = call.channels()
    payload = app.encoder.payload(call.data)
    encode = app.encoder.item
    items = tuple(
        [
            Item(
                channel,
                encode(
                    channel,
                    name,
                    payload,
                    message_id=message_id,
                    socket_id=socket_id,
                    tags=tags,
                    extras=extras,
                    delta=delta,
                ),
                expires_ms,
                collapse,
            )
            for channel in channels
        ]
    )
    crash_point("encoded")
    if key is None and not is_keyed:
        return Prepared(message_id, items)
    return Prepared(message_id, items, key, _fingerprint(app, name, payload, socket_id, tags, extras))


def _new_id() -> str:
    return os.urandom(16).hex()  # as a UUID4 without its six fixed bits, at a third of the price


def _fingerprint(
    app: App,
    event: str,
    payload: str,
    socket_id: str | None,
    tags: Mapping[str, str] | None,
    extras: Mapping[str, Any] | None,
) -> str:
    """A digest of everything in an event that a subscriber could notice: neither its expiry nor its collapse key, and
    not ``delta``, which changes its transport alone.
    """
    rest = json.dumps([event, socket_id, tags, extras], sort_keys=True, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    digest = hashlib.blake2b(rest, key=app.fingerprint_key, digest_size=FINGERPRINT_BYTES)
    digest.update(b"\0")
    digest.update(payload.encode())
    return digest.hexdigest()


def refuse_direct_options(event: Event) -> None:
    """Refuse options that only a direct call can have: the HTTP API's idempotency key, and ``info``.

    Queued events are identified by ``message_id``; Sockudo's idempotency keys lose items of a resent batch.
    """
    if event.idempotency_key is not None:
        raise ValidationError("idempotency_key: not for queued events, use key= (the server deduplicates on it too)")
    if event.info is not None:
        raise ValidationError("info: not for queued events, as the server's answer is not read")

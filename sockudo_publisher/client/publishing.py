"""Publishing now: one event, or a batch.

A class of :class:`Calls` with the endpoints ``/events`` and ``/batch_events``. Facts: sockudo-server,
sections 1 and 3; sdk-matrix, F6 to F11.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import ValidationError
from .calls import Calls
from .encoding import batch_body
from .event import EventLike, as_event
from .limits import check_idempotency_key

__all__ = ["Publishing"]


class Publishing(Calls):
    """``trigger`` and ``trigger_batch``."""

    def trigger(
        self,
        channels: str | Sequence[str],
        event_name: str,
        data: Any,
        socket_id: str | None = None,
        *,
        info: str | Sequence[str] | None = None,
        idempotency_key: str | bool | None = None,
        message_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Publish one event now to 1 to 100 channels; duplicates are merged.

        ``data``: ``str`` and ``bytes`` as they are, else compact JSON. ``socket_id``: who shall not get
        it. ``info``: ``"user_count,subscription_count"`` or a sequence. ``idempotency_key``: 1 to 128
        characters, ``True`` makes one. ``message_id``: 1 to 128 bytes; the server publishes one id once
        per channel. An encrypted channel goes alone.

        Returns the server's ``{"channels": {…}}`` when ``info`` or ``message_id`` was given, else ``{}``.
        """
        key = _idempotency_key(idempotency_key)
        body = self.encoder.event(
            channels,
            event_name,
            self.encoder.payload(data),
            message_id=message_id,
            socket_id=socket_id,
            info=info,
            tags=tags,
            extras=extras,
            idempotency_key=key,
        )
        headers = None if key is None else {"X-Idempotency-Key": key}
        return self.call("POST", "/events", body=body, headers=headers)

    def trigger_batch(self, events: Iterable[EventLike], already_encoded: bool = False) -> dict[str, Any]:
        """Publish several events, each to its one channel, in one request and in order.

        ``events``: :class:`Event`, ``(channel, name, data)`` tuples or dicts. ``already_encoded``:
        every ``data`` is finished text (on an encrypted channel: an envelope) and goes as it is.
        All are checked before anything is sent; ``ValidationError.index`` names the bad one. The server
        publishes item by item: after an error, the items before the failing one are out.

        Returns the server's ``{"batch": [...]}`` in the order of the events when any asked for ``info``, else ``{}``.
        """
        items: list[bytes] = []
        for event in events:
            try:
                items.append(self._item(event, already_encoded))
            except ValidationError as error:
                raise ValidationError(f"event {len(items)}: {error}", index=len(items)) from None
        if not items:
            return {}
        return self.call("POST", "/batch_events", body=batch_body(items))

    def _item(self, value: EventLike, already_encoded: bool) -> bytes:
        event = as_event(value)
        if already_encoded and not isinstance(event.data, str | bytes):
            raise ValidationError(f"data: a {type(event.data).__name__}, expected finished text with already_encoded")
        return self.encoder.item(
            event.channel,
            event.name,
            self.encoder.payload(event.data),
            socket_id=event.socket_id,
            info=event.info,
            tags=event.tags,
            extras=event.extras,
            idempotency_key=_idempotency_key(event.idempotency_key),
            already_encrypted=already_encoded,
        )


def _idempotency_key(key: str | bool | None) -> str | None:
    if key is None or key is False:
        return None
    return uuid.uuid4().hex if key is True else check_idempotency_key(key)

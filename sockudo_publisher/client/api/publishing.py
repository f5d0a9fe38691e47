"""Publishing now: one event, or a batch.

A class of :class:`Calls` with the endpoints ``/events`` and ``/batch_events``. Facts: docs/server.md,
1, 3 and 4; docs/sdks.md, F6 to F11.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from ...errors import CallError, ConfigurationError, PayloadTooLarge, SockudoHTTPError, ValidationError
from ..http.answer import Request
from ..http.calls import Calls
from ..http.credentials import Credentials
from ..http.retries import CLIENTS, CallRetries
from ..wire.encoding import batch_body
from ..wire.event import Event, EventLike, as_event
from ..wire.extras import ExtrasLike
from ..wire.limits import MAX_BATCH_BYTES, check_channels, check_idempotency_key, unordered_extras
from .answers import BatchAnswer, BatchItemAnswer, TriggerAnswer

__all__ = ["Publishing"]

#: The default of ``events``: compared by identity, because comparing the caller's value may be slow or fail.
NO_EVENTS: tuple[EventLike, ...] = ()
#: Bytes of a batch's body around its items.
ENVELOPE_BYTES = len(batch_body([]))


class Publishing(Calls):
    """``trigger`` and ``trigger_batch``."""

    #: Events of one request: the caller's limit; below it, the limit in force, which a refusal of the server may lower.
    _configured_events: int | None = None
    _batch_events: int | None = None
    _batch_bytes: int = MAX_BATCH_BYTES

    def _start(
        self,
        credentials: Credentials,
        *,
        max_batch_events: int | None = None,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        **options: Any,
    ) -> None:
        super()._start(credentials, **options)
        for name, value in (("max_batch_events", max_batch_events), ("max_batch_bytes", max_batch_bytes)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigurationError(f"{name}: expected a number of 1 or more")
        self._configured_events = self._batch_events = max_batch_events
        self._batch_bytes = max_batch_bytes

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
        extras: ExtrasLike | None = None,
        delta: bool | None = None,
        retries: CallRetries = CLIENTS,
    ) -> TriggerAnswer:
        """Publish one event now to 1 to 100 channels; duplicates are merged.

        ``data``: ``str`` and ``bytes`` as they are, else compact JSON. ``socket_id``: the connection that does
        not receive it. ``extras``, ``delta``: as of :class:`Event`. ``info``:
        ``"user_count,subscription_count"`` or a sequence.
        ``idempotency_key``: 1 to 128 characters, ``True`` makes one. ``message_id``: 1 to 128 bytes; the
        server publishes one id once per channel, and refuses it with another payload. An encrypted channel
        goes alone. The client makes no id by itself: counters of a process repeat after ``fork`` (docs/sdks.md,
        P7 and P8).

        ``retries``: as of the constructor, for this call. With ``message_id`` or ``idempotency_key`` an
        attempt with an unknown result is repeated too; but not with ``extras`` whose order the server does
        not keep (``headers`` of two entries or more), because the repeat would look like another payload.

        Returns the server's ``{"channels": {…}}`` when ``info`` or ``message_id`` was given, else ``{}``.
        Raises ``ValidationError`` before anything is sent, and ``CallError``.
        """
        key = _idempotency_key(idempotency_key)
        names = check_channels(channels)
        body = self.encoder.event(
            names,
            event_name,
            self.encoder.payload(data),
            message_id=message_id,
            socket_id=socket_id,
            info=info,
            tags=tags,
            extras=extras,
            idempotency_key=key,
            delta=delta,
        )
        headers = None if key is None else {"X-Idempotency-Key": key}
        repeatable = key is not None or (message_id is not None and unordered_extras(extras) is None)
        answer = self.call(
            "POST",
            "/events",
            body=body,
            headers=headers,
            repeatable=repeatable,
            retries=retries,
            request=Request.ONE if len(names) == 1 else Request.CHANNELS,
        )
        return cast(TriggerAnswer, answer)

    #: The name that the Go and other SDKs have for several channels.
    trigger_multi = trigger

    def trigger_batch(
        self,
        events: Iterable[EventLike] = NO_EVENTS,
        already_encoded: bool = False,
        *,
        batch: Iterable[EventLike] | None = None,
        split: bool = False,
        retries: CallRetries = CLIENTS,
    ) -> BatchAnswer:
        """Publish several events, each to its one channel, in one request and in order.

        ``events`` (also ``batch``, as in ``pusher``): :class:`Event`, ``(channel, name, data)`` tuples or
        dicts; they are not changed. An event's ``key`` is sent as its ``message_id``; a dict may use that
        name too. ``already_encoded``: every ``data`` is final text (on an encrypted channel: an envelope) and
        is sent unchanged. All events are checked before any is sent; ``ValidationError.index`` is the invalid one.

        Limits: those of ``max_batch_events`` and ``max_batch_bytes`` (10 MiB, the server's own), here, as
        ``ValidationError``; an app's own, which only the server knows, as its ``BadRequest``
        ``limit_exceeded``. ``split=True`` sends several requests, one after the other, and learns the app's
        limit from the first refusal; the answers are joined.

        The server publishes event by event and stops at the first one that it refuses. In the ``CallError``,
        ``.accepted`` is the number of events, from the first on, that are published for sure; ``.doubtful``: the
        indices after them that may be. ``retries``: as of the constructor, for each request. A request with an
        unknown result is repeated only where every event has a ``key``, none an ``idempotency_key`` (a repeat of
        these loses the event that failed, docs/sdks.md, V5) and none ``extras`` as at :meth:`trigger`.

        Returns the server's ``{"batch": [...]}`` in the order of the events when any had ``info`` or a
        ``key``, else ``{}``.
        """
        name = "events"
        if batch is not None:
            if events is not NO_EVENTS:
                raise ValidationError("batch: given together with events; both name the same argument")
            name, events = "batch", batch
        items: list[bytes] = []
        repeatable = True
        for value in _several(name, events):
            try:
                event = as_event(value)
                items.append(self._item(event, already_encoded))
            except ValidationError as error:
                raise ValidationError(f"event {len(items)}: {error}", index=len(items)) from None
            repeatable = repeatable and _repeatable(event)
        if not split:
            self._check_one_request(items)
        return self._send(items, split=split, repeatable=repeatable, retries=retries)

    def _send(self, items: list[bytes], *, split: bool, repeatable: bool, retries: CallRetries) -> BatchAnswer:
        """Send all items, in order, in one request or (``split``) in several."""
        parts: list[list[BatchItemAnswer]] = []
        answered = False
        done = 0
        while done < len(items):
            end = self._end_of_part(items, done) if split else len(items)
            try:
                answer = self.call(
                    "POST",
                    "/batch_events",
                    body=batch_body(items[done:end]),
                    repeatable=repeatable,
                    retries=retries,
                    request=Request.ONE if end - done == 1 else Request.EVENTS,
                )
            except CallError as error:
                fewer = _fewer(error, end - done) if split else None
                if fewer is not None:
                    self._batch_events = fewer
                    continue
                error.accepted = done
                error.doubtful = range(done, end if error.sent else done)
                raise
            answered = answered or "batch" in answer
            # A part without info and keys answers {}: add one empty answer per event, to keep the order.
            parts.append(answer["batch"] if "batch" in answer else [{} for _ in range(end - done)])
            done = end
        return {"batch": [item for part in parts for item in part]} if answered else {}

    def _check_one_request(self, items: list[bytes]) -> None:
        size = _body_bytes(items)
        remedy = "split=True sends several requests"
        if self._configured_events is not None and len(items) > self._configured_events:
            raise ValidationError(f"events: {len(items)}, limit {self._configured_events} ({remedy})")
        if size > self._batch_bytes:
            raise ValidationError(f"events: {size} bytes, limit {self._batch_bytes} ({remedy})")

    def _end_of_part(self, items: list[bytes], start: int) -> int:
        """The end of the part that begins at ``start``: at least one event, of any size."""
        max_end = len(items) if self._batch_events is None else min(len(items), start + self._batch_events)
        size = ENVELOPE_BYTES - 1
        for end in range(start, max_end):
            size += len(items[end]) + 1
            if size > self._batch_bytes:
                return max(end, start + 1)
        return max_end

    def _item(self, event: Event, already_encoded: bool) -> bytes:
        if already_encoded and not isinstance(event.data, str | bytes):
            raise ValidationError(f"data: a {type(event.data).__name__}, expected finished text with already_encoded")
        if event.collapse is not None:
            raise ValidationError("collapse: only for queued events, a direct call has no earlier event that waits")
        return self.encoder.item(
            event.target,
            event.name,
            self.encoder.payload(event.data),
            message_id=event.key,
            socket_id=event.socket_id,
            info=event.info,
            tags=event.tags,
            extras=event.extras,
            idempotency_key=_idempotency_key(event.idempotency_key),
            delta=event.delta,
            already_encrypted=already_encoded,
        )


def _several(name: str, events: Iterable[EventLike]) -> Iterator[EventLike]:
    """Iterate over the caller's events. Raises ``ValidationError`` for a single event or a non-iterable."""
    if isinstance(events, str | bytes | bytearray | Mapping | Event) or not isinstance(events, Iterable):
        raise ValidationError(f"{name}: {_kind(events)}, expected a sequence of events")
    return iter(events)


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _idempotency_key(key: str | bool | None) -> str | None:
    if key is None or key is False:
        return None
    return uuid.uuid4().hex if key is True else check_idempotency_key(key)


def _repeatable(event: Event) -> bool:
    return event.key is not None and event.idempotency_key in (None, False) and unordered_extras(event.extras) is None


def _body_bytes(items: Iterable[bytes]) -> int:
    return ENVELOPE_BYTES - 1 + sum(len(item) + 1 for item in items)


def _fewer(error: CallError, count: int) -> int | None:
    """A smaller number of events to send, if the error refuses ``count`` events as too many; else ``None``."""
    if not isinstance(error, SockudoHTTPError) or error.sent or count == 1:
        return None
    if isinstance(error, PayloadTooLarge):
        return count // 2
    if error.code != "limit_exceeded":
        return None
    named = [int(number) for number in re.findall(r"[0-9]{1,9}", error.message)]  # "Batch size (51) exceeds limit (50)"
    return named[-1] if named and 0 < named[-1] < count else count // 2

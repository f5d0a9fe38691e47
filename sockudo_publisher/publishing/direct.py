"""Send an event now, from this process, without the queue."""

from __future__ import annotations

import uuid

from ..client.wire.limits import check_id, check_tags
from ..wiring.app import app_named
from .call import PublishCall
from .receipts import Receipt

__all__ = ["send_now"]


def send_now(call: PublishCall, message_id: str | None = None) -> Receipt:
    """POST one event. It is not ordered with queued events, and needs no Redis.

    ``message_id``: used where the call has no key; by default a random one. Raises :class:`ValidationError` and the
    errors of :meth:`.Sockudo.trigger`.
    """
    if call.key is not None:
        message_id = check_id(call.key, field="key")
    if call.collapse is not None:
        check_id(call.collapse, field="collapse")  # without effect: the event waits nowhere
    if call.tags is not None:
        check_tags(call.tags)
    message_id = message_id or uuid.uuid4().hex
    answer = app_named(call.app).client.trigger(
        call.channels(),
        call.event,
        call.data,
        socket_id=call.socket_id,
        message_id=message_id,
        tags=call.tags,
        extras=call.extras,
        delta=call.delta,
    )
    receipts = answer.get("channels", {})
    ids = {name: str(info.get("acknowledgement_id", "")) for name, info in receipts.items()}
    return Receipt(message_id, ids)

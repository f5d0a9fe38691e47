"""One recorded event, read from the bytes that would have been stored or sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from ..client.wire.encryption import is_encrypted, open_envelope
from ..client.wire.user_channel import user_of_channel
from ..errors import ValidationError

__all__ = ["Call", "PublishedEvent", "SecretOf", "Via", "event_of_item", "parsed", "subscriber_data"]

#: How an event was published.
Via: TypeAlias = Literal["delay", "adelay", "apply_async", "publish_many", "call", "on_commit", "outbox"]


#: Instead of the caller's object, where only the bytes are known: the event was encoded before the recorder began.
UNKNOWN: Any = object()


@dataclass(frozen=True)
class PublishedEvent:
    """One event on one channel, as the code under test published it.

    ``user_id``: of an event for one user, whose channel is ``#server-to-user-ID``.
    ``data``: what a subscriber gets, decrypted and parsed from JSON; text that is not JSON stays text. ``given``: the
    caller's own object. ``key``: the caller's idempotency key; ``collapse``: of a queued event, its collapse key.
    ``app``: its name in the settings; of a client that the caller made, the app id. ``countdown``, ``eta``,
    ``expires``: as given. ``via``: how it was published.
    """

    channel: str
    name: str
    data: Any
    message_id: str | None = None
    key: str | None = None
    socket_id: str | None = None
    tags: Mapping[str, str] | None = None
    extras: Mapping[str, Any] | None = None
    delta: bool | None = None
    user_id: str | None = None
    app: str = "default"
    countdown: float | None = None
    eta: datetime | str | None = None
    expires: float | datetime | str | None = None
    via: Via = "delay"
    given: Any = field(default=None, compare=False)
    collapse: str | None = None


@dataclass(frozen=True)
class Call:
    """What only the caller's side knows of an event; its bytes say the rest. ``via``: ``None`` if no call is known."""

    via: Via | None
    key: str | None = None
    countdown: float | None = None
    eta: datetime | str | None = None
    expires: float | datetime | str | None = None
    given: Any = UNKNOWN


#: The secret of an encrypted channel; `None` without a master key.
SecretOf: TypeAlias = Callable[[str], "bytes | None"]


def event_of_item(
    item: Mapping[str, Any],
    channel: str,
    *,
    app: str,
    key: str | None,
    secret_of: SecretOf,
    call: Call,
    default: Via,
    collapse: str | None = None,
) -> PublishedEvent:
    """The event of one item of a batch, or of one channel of ``/events``. ``default``: the way of an unknown call."""
    data = subscriber_data(item["data"], channel, secret_of)
    return PublishedEvent(
        channel=channel,
        name=item["name"],
        data=data,
        message_id=item.get("message_id"),
        key=key,
        socket_id=item.get("socket_id"),
        tags=item.get("tags"),
        extras=item.get("extras"),
        delta=item.get("delta"),
        user_id=user_of_channel(channel),
        app=app,
        countdown=call.countdown,
        eta=call.eta,
        expires=call.expires,
        via=call.via or default,
        given=data if call.given is UNKNOWN else call.given,
        collapse=collapse,
    )


def subscriber_data(text: str, channel: str, secret_of: SecretOf) -> Any:
    """What a subscriber's callback gets: official clients decrypt, then parse JSON where they can."""
    if is_encrypted(channel):
        secret = secret_of(channel)
        if secret is not None:
            # An envelope that the caller has sealed with another secret stays one.
            with suppress(ValidationError):
                text = open_envelope(text, secret).decode()
    return parsed(text)


def parsed(text: str) -> Any:
    """Text as JSON, or as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text

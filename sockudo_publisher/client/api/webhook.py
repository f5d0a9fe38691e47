"""Webhooks: messages of the server to the application, accepted only with a valid signature.

The signature covers the bytes of the body as received, so it is checked, in constant time, before the body is parsed.
Every fault of a request raises ``InvalidWebhook``. Except the data of a client event, which any subscriber can write: a
fault there is an error of that event alone, because one body holds events of all channels. Pure, except the class at
the end. Imports the calls' ground, encryption and the error tree. Facts: docs/server.md, 8; docs/sdks.md, F18 and F19.
"""

from __future__ import annotations

import hmac
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Protocol, TypeAlias

from ...errors import InvalidWebhook, ValidationError
from ...redaction import encode_or_none
from ...redaction.frame_locals import without_locals
from ..http.calls import Calls
from ..wire.encryption import is_encrypted, is_envelope, open_envelope

__all__ = ["Webhook", "WebhookEvent", "Webhooks", "check_age", "check_signature", "header_values", "read_webhook"]

#: The app's key, in plain.
KEY_HEADER = "X-Pusher-Key"
#: HMAC-SHA256 of the body in hex.
SIGNATURE_HEADER = "X-Pusher-Signature"
#: Seconds after which ``pusher`` takes a webhook for a replay.
PUSHER_MAX_AGE_S = 300.0
#: Largest time in milliseconds: the server's i64.
MAX_TIME_MS = 2**63 - 1

# Upper case too: hex is decoded before it is compared.
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")


class HasItems(Protocol):
    """What has names with values: any mapping, and ``email.message.Message``, which ``http.server`` has as headers."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """The pairs."""


#: Headers as a web framework has them: with ``items()``, or (name, value) pairs; names and values text or bytes.
Headers: TypeAlias = HasItems | Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class WebhookEvent:
    """One thing that happened.

    ``name``: ``channel_occupied``, ``channel_vacated``, ``member_added``, ``member_removed``,
    ``client_event``, ``cache_miss``, ``subscription_count`` or what a newer server adds. ``channel``:
    where. ``event``, ``data``, ``socket_id``: of a client event; ``data`` as it was sent, decrypted on
    encrypted channels. ``user_id``: of a member. Each ``None`` where the server says nothing, or no text.
    ``raw``: all fields of the event as they came, unknown ones too, nothing decrypted.

    ``error``: why ``data`` is withheld, as ``"data: does not decrypt with this channel's secret"``; else
    ``None``. On an encrypted channel, with a master key, data that is in plain or does not decrypt is
    withheld: any subscriber could have written it. ``data`` is ``None`` then, and ``raw`` has the received data.
    """

    name: str
    channel: str | None = None
    event: str | None = None
    data: Any = field(default=None, repr=False, hash=False)  # payloads stay out of logs
    socket_id: str | None = None
    user_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    error: str | None = None


@dataclass(frozen=True)
class Webhook:
    """A webhook with a valid signature.

    ``time_ms``: when the server made it, Unix milliseconds, the same in each repetition; 0 where the body
    has none. ``events`` in the server's order. ``raw``: the whole body.
    """

    time_ms: int
    events: tuple[WebhookEvent, ...]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


def header_values(headers: Headers, *names: str) -> tuple[tuple[str, ...], ...]:
    """All values of each of these headers, whatever the case of their names.

    Knows the forms in use: ``X-Pusher-Key``, ``x-pusher-key``, the ``HTTP_X_PUSHER_KEY`` of WSGI and
    Django, lists of values, bytes (ASGI). Reads ``headers`` once, so an iterator will do. Raises
    ``InvalidWebhook`` if ``headers`` is not of these.
    """
    found: dict[str, list[str]] = {name.lower(): [] for name in names}
    try:
        for own_name, value in headers.items() if hasattr(headers, "items") else headers:
            if (name := _name(own_name)) in found:
                found[name] += map(_text, value if isinstance(value, list | tuple) else (value,))
    except (TypeError, ValueError):
        raise InvalidWebhook(f"headers: a {type(headers).__name__}, expected a mapping or pairs") from None
    return tuple(tuple(value.strip(" \t") for value in values) for values in found.values())


def _name(name: object) -> str:
    return _text(name).lower().replace("_", "-").removeprefix("http-")


def _text(value: object) -> str:
    """Header text; empty for other objects, which a WSGI environment contains too."""
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


@without_locals
def check_signature(
    keys: Iterable[str], signatures: Iterable[str], body: bytes, credentials: Iterable[tuple[str, str]]
) -> None:
    """Raise ``InvalidWebhook`` unless one of our (key, secret) pairs has signed the body.

    ``keys``, ``signatures``: what the request says. Keys are no secret; signatures are compared in
    constant time.
    """
    keys = tuple(filter(None, keys))
    if not keys:
        raise InvalidWebhook(f"{KEY_HEADER}: missing")
    given = [bytes.fromhex(text) for text in signatures if _SIGNATURE.fullmatch(text)]
    if not given:
        raise InvalidWebhook(f"{SIGNATURE_HEADER}: missing, or not 64 hex digits")
    ours = [secret for key, secret in credentials if key in keys]
    if not ours:
        raise InvalidWebhook(f"{KEY_HEADER}: not one of the given keys")
    holds = False
    for secret in ours:
        expected = hmac.digest(secret.encode(), body, "sha256")
        for signature in given:
            holds |= hmac.compare_digest(expected, signature)
    if not holds:
        raise InvalidWebhook(f"{SIGNATURE_HEADER}: does not hold")


def check_age(time_ms: object, *, now: float, max_age_s: float) -> None:
    """Raise ``InvalidWebhook`` for a time more than ``max_age_s`` before or after ``now`` (Unix seconds).

    ``time_ms`` may have a fraction, and be of the type that a decoder makes of one.
    """
    if isinstance(time_ms, bool) or not isinstance(time_ms, int | float | Decimal) or not 0 < time_ms <= MAX_TIME_MS:
        raise InvalidWebhook("time_ms: missing or malformed, and its age matters")
    age_s = now - float(time_ms) / 1000
    if abs(age_s) > max_age_s:
        raise InvalidWebhook(f"time_ms: {age_s:.0f} s ago, limit {max_age_s:g}")


@without_locals
def read_webhook(body: bytes, secret_of: Callable[[str], bytes | None]) -> Webhook:
    """Read a body whose signature holds. ``secret_of``: the secret of an encrypted channel, ``None`` without one.

    Missing fields are no error, as in the seed, unknown ones are kept. Data that does not decrypt is the
    ``error`` of its event. Raises ``InvalidWebhook`` for a body that is not JSON in UTF-8 or has another shape.
    """
    document = _document(body)
    time_ms = document.get("time_ms", 0)
    if isinstance(time_ms, bool) or not isinstance(time_ms, int) or not 0 <= time_ms <= MAX_TIME_MS:
        raise InvalidWebhook("time_ms: malformed, expected milliseconds as a whole number")
    events = document.get("events", [])
    if not isinstance(events, list):
        raise InvalidWebhook(f"events: a {type(events).__name__}, expected a list")
    return Webhook(time_ms, tuple(_event(index, event, secret_of) for index, event in enumerate(events)), document)


def _document(body: bytes) -> dict[str, Any]:
    document, is_json = None, True
    try:
        document = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        is_json = False
    if not is_json:  # raised out here, so that the original with the body is not carried along
        raise InvalidWebhook(f"body: {len(body)} bytes that are not JSON in UTF-8")
    if not isinstance(document, dict):
        raise InvalidWebhook(f"body: a {type(document).__name__}, expected an object")
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _event(index: int, event: object, secret_of: Callable[[str], bytes | None]) -> WebhookEvent:
    if not isinstance(event, dict):
        raise InvalidWebhook(f"events[{index}]: a {type(event).__name__}, expected an object")
    name = event.get("name")
    if not isinstance(name, str):
        raise InvalidWebhook(f"events[{index}].name: missing or no text")
    text = {key: value if isinstance(value := event.get(key), str) else None for key in _TEXT_FIELDS}
    data, error = event.get("data"), None
    channel = text["channel"]
    if channel is not None and is_encrypted(channel) and data is not None:
        data, error = _opened(name, channel, data, secret_of)
    return WebhookEvent(name, data=data, raw=event, error=error, **text)


_TEXT_FIELDS = ("channel", "event", "socket_id", "user_id")
#: Events whose data is the server's own, in plain on encrypted channels too: cache_miss says "{}".
_SERVERS_OWN = frozenset({"cache_miss"})


def _opened(name: str, channel: str, data: Any, secret_of: Callable[[str], bytes | None]) -> tuple[Any, str | None]:
    """The plaintext of an event's data, or ``None`` and why it is withheld.

    Never plain text of a subscriber's, which would pass for something that only key holders can make.
    """
    try:
        secret = secret_of(channel)
    except UnicodeEncodeError:
        return None, "channel: not UTF-8 (a lone surrogate)"
    if secret is None:
        return data, None  # without a master key, data stays as received
    if not is_envelope(data):
        return (data, None) if name in _SERVERS_OWN else (None, "data: in plain on an encrypted channel")
    try:
        return open_envelope(data, secret).decode(), None
    except ValidationError:
        return None, "data: does not decrypt with this channel's secret"
    except UnicodeDecodeError:
        return None, "data: not UTF-8 once decrypted"


class Webhooks(Calls):
    """``webhook`` and ``validate_webhook``."""

    def webhook(
        self,
        headers: Headers,
        body: bytes | str,
        *,
        credentials: Sequence[tuple[str, str]] = (),
        max_age_s: float | None = None,
    ) -> Webhook:
        """Check a webhook request and read it.

        ``headers``: the request's, as the framework has them (``request.headers``, Django's
        ``request.META``, a WSGI environment, an ``email.message.Message``, pairs). ``body``: its bytes as
        received, not parsed and put together again. ``credentials``: further ``(key, secret)`` pairs that may
        have signed, beside this client's own: during a rotation the old ones, also with the same key.
        ``max_age_s``: refuse a webhook that is older than this (or this far in the future), in seconds; off by default,
        because the server repeats a webhook for five minutes with the time of the first attempt.

        The server sends each webhook at least once, and again after 5xx, 408, 409, 425 or 429: answer 2xx
        soon, and 401 to what is refused here. Data on encrypted channels is decrypted where there is a
        master key; an event whose data does not decrypt has an ``error`` and no ``data``. Raises
        ``InvalidWebhook``, and nothing else, whatever was sent; ``ValidationError`` for malformed
        ``credentials`` or ``max_age_s``.
        """
        pairs = ((self._credentials.key, self._credentials.secret), *_checked_pairs(credentials))
        max_age_s = _checked_age(max_age_s)
        content = _bytes(body)
        keys, signatures = header_values(headers, KEY_HEADER, SIGNATURE_HEADER)
        check_signature(keys, signatures, content, pairs)
        webhook = read_webhook(content, self.encoder.channel_secret)
        if max_age_s is not None:
            check_age(webhook.time_ms, now=time.time(), max_age_s=max_age_s)
        return webhook

    def validate_webhook(
        self, key: str | None, signature: str | None, body: bytes | str, *, max_age_s: float | None = PUSHER_MAX_AGE_S
    ) -> dict[str, Any] | None:
        """``pusher``'s call: the body as a ``dict``, nothing decrypted, or ``None`` where anything is wrong.

        Read by the client's ``json_decoder`` alone, as in ``pusher``, where one was given.

        ``key``, ``signature``: the values of ``X-Pusher-Key`` and ``X-Pusher-Signature``; ``None`` where the request
        has none. ``max_age_s``: 300 s as in ``pusher``, before or after now; ``None`` turns it off, for webhooks that
        were queued. Raises ``ValidationError`` for a malformed ``max_age_s``, and nothing else.
        """
        max_age_s = _checked_age(max_age_s)
        try:
            content = _bytes(body)
            own = (self._credentials.key, self._credentials.secret)
            check_signature([_text(key)], [_text(signature)], content, [own])
            document = json.loads(content.decode(), cls=self._json_decoder)
            if not isinstance(document, dict):
                return None
            if max_age_s is not None:
                check_age(document.get("time_ms"), now=time.time(), max_age_s=max_age_s)
        except (InvalidWebhook, ValueError, RecursionError, InvalidOperation):  # a decoder may refuse more than we do
            return None
        return document


def _bytes(body: object) -> bytes:
    if isinstance(body, str):
        encoded = encode_or_none(body)
        if encoded is None:
            raise InvalidWebhook("body: text that is not UTF-8 (a lone surrogate)")
        return encoded
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise InvalidWebhook(f"body: a {type(body).__name__}, expected the bytes as received")


def _checked_pairs(credentials: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Check that each pair is a key and a secret. With an empty secret any sender could sign."""
    pairs: list[tuple[str, str]] = []
    if isinstance(credentials, str | bytes | Mapping) or not isinstance(credentials, Iterable):
        raise ValidationError(f"credentials: a {type(credentials).__name__}, expected (key, secret) pairs")
    for pair in credentials:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValidationError(f"credentials: pair {len(pairs)} is none, expected (key, secret)")
        key, secret = pair
        if not (isinstance(key, str) and isinstance(secret, str) and key and secret):
            raise ValidationError(f"credentials: pair {len(pairs)} has a key or a secret that is empty or no str")
        try:
            secret.encode()
        except UnicodeEncodeError:
            raise ValidationError(f"credentials: pair {len(pairs)} has a secret that is not UTF-8") from None
        pairs.append((key, secret))
    return pairs


def _checked_age(max_age_s: float | None) -> float | None:
    if max_age_s is None:
        return None
    if isinstance(max_age_s, bool) or not isinstance(max_age_s, int | float) or not math.isfinite(max_age_s):
        raise ValidationError("max_age_s: expected seconds, or None")
    if max_age_s <= 0:
        raise ValidationError(f"max_age_s: {max_age_s:g} s, must be above 0")
    return float(max_age_s)

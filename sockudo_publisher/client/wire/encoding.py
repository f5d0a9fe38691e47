"""From an event to the exact bytes of a publish body: validated, JSON-encoded, encrypted, once.

The bytes made here are what the journal stores and what every resend carries, because the server
compares payloads as text (docs/server.md, 3.5). No I/O. Imports limits, extras, json_text, stock_server, encryption.
This is the hot path of every publish: names are checked once and remembered, and the envelope is
put together by hand around the C string encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from ...errors import ValidationError
from ...redaction import decode_or_none, encode_or_none
from ...redaction.frame_locals import without_locals
from ...redaction.secret import Secret
from .encryption import NO_MASTER_KEY, decode_master_key, is_encrypted, is_envelope, nonce_of, seal, shared_secret
from .extras import MAX_LEVELS_IN_BATCH, MAX_LEVELS_IN_EVENT, check_json_bounds, check_known_extras
from .json_fault import path_to_fault, path_to_surrogate
from .json_text import JsonEncoder, JsonText, strict_json, text_of
from .json_values import JsonRefusal
from .limits import (
    CACHED_NAMES,
    MAX_EVENT_BYTES,
    MAX_OBJECT_BYTES,
    check_channel,
    check_channels,
    check_data_bytes,
    check_event_name,
    check_id,
    check_idempotency_key,
    check_socket_id,
    check_tags,
)
from .stock_server import warn_of_ai_event, warn_of_ai_extras, warn_of_channel

__all__ = ["Encoder", "batch_body"]

#: Why a circle is no JSON, which has no one place.
TOO_DEEP = "circular or too deep"


def batch_body(items: Iterable[bytes]) -> bytes:
    """The body of ``/batch_events`` around finished items."""
    return b'{"batch":[' + b",".join(items) + b"]}"


class Encoder:
    """Makes payloads and items. Immutable, thread-safe, and without the master key in ``repr``.

    ``max_event_bytes``: bytes of ``data`` as sent. ``encryption_master_key_base64``: 32 bytes in
    base64, needed for ``private-encrypted-`` channels. ``json_encoder``: a ``json.JSONEncoder``
    subclass, as in ``pusher``, a function from a value to its JSON text, or a :class:`JsonText`.
    Raises ``ConfigurationError``.
    """

    __slots__ = ("_dumps", "_expand", "_secret_key", "max_event_bytes")

    @without_locals
    def __init__(
        self,
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        encryption_master_key_base64: str | bytes | None = None,
        json_encoder: JsonText | JsonEncoder | None = None,
    ) -> None:
        self.max_event_bytes = max_event_bytes
        self._secret_key = (
            None if encryption_master_key_base64 is None else Secret(decode_master_key(encryption_master_key_base64))
        )
        self._dumps, self._expand = text_of(json_encoder)

    def payload(self, data: object) -> str:
        """The text of ``data``: ``str`` and ``bytes`` (UTF-8) as they are, all else compact JSON (docs/publishing.md).

        Raises ``ValidationError`` for what is no UTF-8 text and no JSON: NaN, a lone surrogate,
        bytes of another encoding, objects of unknown types, circular or too deep nesting.
        """
        if isinstance(data, str):
            text = data if type(data) is str else str.__str__(data)
        elif isinstance(data, bytes | bytearray):
            decoded = decode_or_none(data)
            if decoded is None:
                raise ValidationError(f"data: {len(data)} bytes that are not UTF-8")
            return decoded
        else:
            text = _json("data", data, self._dumps, self._expand)
        if not text.isascii() and encode_or_none(text) is None:
            where = path_to_surrogate("data", data, self._expand)
            raise ValidationError(f"{where}: not UTF-8 (a lone surrogate)")
        return text

    def item(
        self,
        channel: str,
        name: str,
        payload: str,
        *,
        message_id: str | None = None,
        socket_id: str | None = None,
        info: str | Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        delta: bool | None = None,
        already_encrypted: bool = False,
    ) -> bytes:
        """The exact bytes of one element of ``{"batch":[…]}``, encrypted if its channel is.

        ``payload`` is what :meth:`payload` returned. ``already_encrypted``: it is a finished envelope.
        Raises ``ValidationError``.
        """
        text = self._head_and_data(channel, name, payload, message_id, already_encrypted=already_encrypted)
        if message_id is not None:
            text += f',"message_id":{encode_basestring(check_id(message_id))}'
        if delta is not None:
            text += _delta(delta)
        if socket_id is None and info is None and tags is None and extras is None and idempotency_key is None:
            return (text + "}").encode()
        options = _options(socket_id, info, tags, extras, idempotency_key, message_id, MAX_LEVELS_IN_BATCH)
        return (text + options + "}").encode()

    def plain_item(self, channel: str, name: str, payload: str, message_id: str) -> bytes:
        """As :meth:`item` with nothing but an id, which is ours (hex digits, ``-``): it needs no check, no escaping."""
        return f'{self._head_and_data(channel, name, payload, message_id)},"message_id":"{message_id}"}}'.encode()

    def _head_and_data(
        self, channel: str, name: str, payload: str, message_id: str | None, *, already_encrypted: bool = False
    ) -> str:
        if type(channel) is not str:
            channel = check_channel(channel)
        if type(name) is not str:
            name = check_event_name(name)
        head = _item_head(channel, name)
        if is_encrypted(channel):
            payload = self._encrypted(channel, payload, message_id, already_encrypted=already_encrypted)
        size = len(payload) if payload.isascii() else _utf8_length("data", payload)
        if size > self.max_event_bytes:
            check_data_bytes(size, self.max_event_bytes)
        return head + encode_basestring(payload)

    def event(
        self,
        channels: str | Iterable[str],
        name: str,
        payload: str,
        *,
        message_id: str | None = None,
        socket_id: str | None = None,
        info: str | Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        delta: bool | None = None,
    ) -> bytes:
        """The body of ``/events``: one event for 1 to 100 channels. Raises ``ValidationError``."""
        names = check_channels(channels)
        head = encode_basestring(check_event_name(name))
        if is_encrypted(names[0]):
            payload = self._encrypted(names[0], payload, message_id)
        check_data_bytes(_utf8_length("data", payload), self.max_event_bytes)
        listed = ",".join(f'"{channel}"' for channel in names)  # the alphabet of names needs no escaping
        text = f'{{"name":{head},"data":{encode_basestring(payload)},"channels":[{listed}]'
        for channel in names:
            warn_of_channel(channel)
        warn_of_ai_event(name)
        text += _options(socket_id, info, tags, extras, idempotency_key, message_id, MAX_LEVELS_IN_EVENT)
        if message_id is not None:
            text += f',"message_id":{encode_basestring(check_id(message_id))}'
        if delta is not None:
            text += _delta(delta)
        return (text + "}").encode()

    def __repr__(self) -> str:
        return f"Encoder(max_event_bytes={self.max_event_bytes}, encrypts={self._secret_key is not None})"

    @property
    def _master_key(self) -> bytes | None:
        return None if self._secret_key is None else self._secret_key.reveal()

    def channel_secret(self, channel: str) -> bytes | None:
        """The 32-byte secret of one encrypted channel; ``None`` without a master key."""
        return None if self._secret_key is None else shared_secret(channel, self._secret_key.reveal())

    def _encrypted(self, channel: str, payload: str, message_id: str | None, *, already_encrypted: bool = False) -> str:
        if already_encrypted:
            if not is_envelope(payload):  # or a payload meant to be secret would go out in the clear
                raise ValidationError("data: already_encoded on an encrypted channel, but no encryption envelope")
            return payload
        secret = self.channel_secret(channel)
        if secret is None:
            raise ValidationError(NO_MASTER_KEY)
        plaintext = payload.encode()
        nonce = None if message_id is None else nonce_of(check_id(message_id), plaintext, secret)
        return seal(plaintext, secret, nonce=nonce)


@lru_cache(maxsize=CACHED_NAMES)
def _item_head(channel: str, name: str) -> str:
    # The alphabet of channel names needs no escaping; event names may hold anything.
    head = f'{{"channel":"{check_channel(channel)}","name":{encode_basestring(check_event_name(name))},"data":'
    warn_of_channel(channel)
    warn_of_ai_event(name)
    return head


def _options(
    socket_id: str | None,
    info: str | Sequence[str] | None,
    tags: Mapping[str, str] | None,
    extras: Mapping[str, Any] | None,
    idempotency_key: str | None,
    message_id: str | None,
    max_levels: int,
) -> str:
    """The optional fields of an event, each with its leading comma. ``max_levels``: of ``extras``."""
    text = ""
    if socket_id is not None:
        text += f',"socket_id":"{check_socket_id(socket_id)}"'
    if info is not None:
        text += f',"info":{encode_basestring(_info(info))}'
    if tags is not None:
        check_tags(tags)
        text += f',"tags":{_object("tags", tags)}'
    if extras is not None:
        text += f',"extras":{_extras(extras, message_id, max_levels)}'
    if idempotency_key is not None:
        text += f',"idempotency_key":{encode_basestring(check_idempotency_key(idempotency_key))}'
    return text


def _delta(delta: bool) -> str:
    if not isinstance(delta, bool):
        raise ValidationError(f"delta: a {type(delta).__name__}, expected a bool")
    return ',"delta":true' if delta else ',"delta":false'


def _info(info: str | Sequence[str]) -> str:
    tokens = [info] if isinstance(info, str) else info
    if not isinstance(tokens, Iterable) or not all(isinstance(token, str) and token.isascii() for token in tokens):
        raise ValidationError("info: expected a comma-joined str or a sequence of str")
    return ",".join(tokens)


def _extras(extras: Mapping[str, Any], message_id: str | None, max_levels: int) -> str:
    """``extras`` as JSON that the server can read. Raises ``ValidationError``."""
    if not isinstance(extras, Mapping):
        raise ValidationError(f"extras: a {type(extras).__name__}, expected a mapping")
    if "idempotency_key" in extras:
        # Passed on and not looked at: SDKs that send it so deduplicate nothing (docs/sdks.md, P1).
        raise ValidationError("extras: idempotency_key, which the server knows as idempotencyKey")
    check_known_extras(extras)
    if message_id is None and extras.get("idempotencyKey") is not None:  # it is the event's id then
        check_id(extras["idempotencyKey"], field="extras.idempotencyKey")
    text = _object("extras", extras, max_levels)
    check_json_bounds(extras, text, max_levels)
    warn_of_ai_extras(extras)
    return text


def _object(field: str, value: Mapping[str, Any], max_levels: int | None = None) -> str:
    if not isinstance(value, Mapping):
        raise ValidationError(f"{field}: a {type(value).__name__}, expected a mapping")
    plain = dict(value)
    if not all(isinstance(name, str) for name in plain):
        raise ValidationError(f"{field}: expected text as names")
    text = _json(field, plain, strict_json, max_levels=max_levels)
    size = _utf8_length(field, text)
    if size > MAX_OBJECT_BYTES:
        raise ValidationError(f"{field}: {size} bytes, limit {MAX_OBJECT_BYTES}")
    return text


def _utf8_length(field: str, text: str) -> int:
    if text.isascii():
        return len(text)
    encoded = encode_or_none(text)
    if encoded is None:
        raise ValidationError(f"{field}: not UTF-8 (a lone surrogate)")
    return len(encoded)


def _json(
    field: str,
    value: object,
    dumps: Callable[[Any], str],
    expand: Callable[[Any], Any] | None = None,
    *,
    max_levels: int | None = None,
) -> str:
    try:
        return dumps(value)
    except RecursionError:
        reason = TOO_DEEP + (f", limit {max_levels} levels" if max_levels else "")
    except Exception as error:  # noqa: BLE001  # whatever an encoder or a model of the caller's raises
        reason = _reason(error)
    # Raised out here, so that the original with its payload is not carried along.
    where = field if reason.startswith(TOO_DEEP) else path_to_fault(field, value, dumps, expand)
    raise ValidationError(f"{where}: not JSON, {reason}")


def _reason(error: Exception) -> str:
    """The standard library's reason, unless its text contains a value of the payload."""
    text = str(error)
    if isinstance(error, JsonRefusal):
        return text
    if isinstance(error, TypeError) and text.startswith(("Object of type ", "keys must be ")):
        return text
    if text.startswith("Out of range float"):
        return "NaN or an infinite number"
    if text.startswith("Exceeds the limit"):
        return "an integer of more digits than Python writes"
    if text.startswith("Circular"):
        return TOO_DEEP
    return f"its encoder raised {type(error).__name__}"

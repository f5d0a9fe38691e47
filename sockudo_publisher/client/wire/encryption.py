"""End-to-end encryption of ``private-encrypted-`` channels: the server never sees the payload.

Each channel has a secret of its own, SHA-256 of its name and the master key; the payload is sealed
with XSalsa20-Poly1305 (NaCl secretbox) under a random nonce, or under one that its id and payload
determine, so that the same event is the same bytes however often it is sealed (docs/sdks.md, F19).
No I/O. Imports the ground rooms, and PyNaCl once there is a master key. No message here holds a key or a payload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError, ValidationError
from ...redaction.frame_locals import without_locals

__all__ = [
    "ENCRYPTED_PREFIX",
    "NO_MASTER_KEY",
    "decode_master_key",
    "encode_master_key",
    "is_encrypted",
    "is_envelope",
    "nonce_of",
    "open_envelope",
    "seal",
    "shared_secret",
]

#: Channels that are encrypted end to end: by name, as in every Pusher library.
ENCRYPTED_PREFIX = "private-encrypted-"
#: The error for a publish to an encrypted channel, or a subscription to one, without a master key.
NO_MASTER_KEY = (
    "channel: encrypted, but there is no encryption_master_key_base64: "
    "set SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64, or give encryption_master_key_base64= to a client of your own"
)
#: Bytes of a nonce: of XSalsa20.
NONCE_BYTES = 24
#: Bytes of the master key: the length of a SHA-256 block's half, fixed by the protocol.
MASTER_KEY_BYTES = 32


def is_encrypted(channel: str) -> bool:
    """Whether payloads on this channel are encrypted."""
    return channel.startswith(ENCRYPTED_PREFIX)


@without_locals
def decode_master_key(text: str | bytes, *, field: str = "encryption_master_key_base64") -> bytes:
    """Decode the master key: standard base64, strictly, of exactly 32 bytes.

    ``text``: ``bytes`` too, as ``base64.b64encode`` returns them. Raises ``ConfigurationError`` that names
    ``field``: where the caller has the key from.
    """
    if isinstance(text, bytes | bytearray):
        try:
            text = text.decode("ascii")
        except UnicodeDecodeError:
            raise ConfigurationError(f"{field}: not base64") from None
    if not isinstance(text, str):
        raise ConfigurationError(f"{field}: a {type(text).__name__}, expected a str")
    try:
        # Without validate=True, Python drops every foreign character and decodes the rest.
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{field}: not base64") from None
    if base64.b64encode(key).decode() != text:
        raise ConfigurationError(f"{field}: not base64")
    if len(key) != MASTER_KEY_BYTES:
        raise ConfigurationError(f"{field}: {len(key)} bytes, must be {MASTER_KEY_BYTES}")
    import nacl.secret  # noqa: F401 -- with the key, not in the middle of the first call, where another thread may fork

    return key


@without_locals
def encode_master_key(key: str | bytes) -> str:
    """The base64 form of a master key given raw, 32 bytes, as older SDKs take it. Raises ``ConfigurationError``."""
    field = "encryption_master_key"
    if not isinstance(key, str | bytes):
        raise ConfigurationError(f"{field}: a {type(key).__name__}, expected 32 bytes")
    try:
        raw = key.encode() if isinstance(key, str) else key
    except UnicodeEncodeError:
        raise ConfigurationError(f"{field}: not UTF-8") from None
    if len(raw) != MASTER_KEY_BYTES:
        raise ConfigurationError(f"{field}: {len(raw)} bytes, must be {MASTER_KEY_BYTES}")
    return base64.b64encode(raw).decode()


def shared_secret(channel: str, master_key: bytes) -> bytes:
    """The 32-byte secret of one channel; its base64 is what subscribers get from the auth endpoint."""
    return hashlib.sha256(channel.encode() + master_key).digest()


def seal(plaintext: bytes, secret: bytes, *, nonce: bytes | None = None) -> str:
    """Encrypt a payload into the envelope text that goes into ``data``.

    A random nonce is drawn unless one is given; the same nonce must never serve two payloads.
    """
    from nacl.secret import SecretBox

    message = SecretBox(secret).encrypt(plaintext, nonce)
    # Base64 needs no JSON escaping; the order of the two is that of the other SDKs.
    encode = base64.b64encode
    return f'{{"nonce":"{encode(message.nonce).decode()}","ciphertext":"{encode(message.ciphertext).decode()}"}}'


def nonce_of(message_id: str, plaintext: bytes, secret: bytes) -> bytes:
    """The nonce of one event: another id, payload or channel has another one.

    The server compares payloads as text: with a random nonce, an event that is published again with its id
    (because an attempt had an unknown result) would conflict with itself. A keyed hash reveals nothing about the
    payload.
    """
    digest = hashlib.blake2b(key=secret, digest_size=NONCE_BYTES, person=b"sockudo nonce")
    name = message_id.encode()
    digest.update(len(name).to_bytes(8, "big") + name + plaintext)
    return digest.digest()


def is_envelope(data: object) -> bool:
    """Whether this has the shape of a sealed payload: its JSON text, or the object that the text stands for."""
    return _parts(data) is not None


@without_locals
def open_envelope(data: object, secret: bytes) -> bytes:
    """Decrypt an envelope, given as text or object.

    Raises ``ValidationError`` if it is malformed or sealed with another secret.
    """
    parts = _parts(data)
    if parts is None:
        raise ValidationError("data: not an encryption envelope")
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    nonce, ciphertext = parts
    try:
        return SecretBox(secret).decrypt(ciphertext, nonce)
    except (CryptoError, ValueError):
        raise ValidationError("data: does not decrypt with this channel's secret") from None


def _parts(data: object) -> tuple[bytes, bytes] | None:
    if not isinstance(data, str | Mapping):
        return None
    try:
        envelope: Any = json.loads(data) if isinstance(data, str) else data
        nonce, ciphertext = envelope["nonce"], envelope["ciphertext"]
        return base64.b64decode(nonce, validate=True), base64.b64decode(ciphertext, validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None

"""Webhooks for the tests: signed, aged, and with encrypted data."""

import base64
import hashlib
import hmac
import json
import time

from sockudo_publisher.client.api.webhook import Webhook, WebhookEvent
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encryption import seal, shared_secret

KEY, SECRET = "the-key", "the-secret"
MASTER_KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
RAW_MASTER_KEY = base64.b64decode(MASTER_KEY)
CLIENT = Sockudo("1", KEY, SECRET)
DECRYPTING = Sockudo("1", KEY, SECRET, encryption_master_key_base64=MASTER_KEY)
OCCUPIED = b'{"time_ms":1403175510755,"events":[{"channel":"a","name":"channel_occupied"}]}'


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(body: bytes, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    return {"X-Pusher-Key": key, "X-Pusher-Signature": sign(body, secret), "Content-Type": "application/json"}


def read(body: bytes | dict | list, client: Sockudo = CLIENT, **options) -> Webhook:
    """A webhook with a signature that holds."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.webhook(headers(content), content, **options)


def event(client: Sockudo = CLIENT, **fields) -> WebhookEvent:
    """The one event of a webhook."""
    return read({"time_ms": 1, "events": [fields]}, client).events[0]


def aged(seconds: float) -> dict:
    return {"time_ms": int((time.time() - seconds) * 1000), "events": []}


def sealed(text: str | bytes, channel: str = "private-encrypted-a") -> str:
    return seal(text.encode() if isinstance(text, str) else text, shared_secret(channel, RAW_MASTER_KEY))

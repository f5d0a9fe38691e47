"""The defects of other SDKs that concern webhooks, each shown not to be here (docs/sdks.md, Defects)."""

import hashlib
import hmac
import json

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import InvalidWebhook, SockudoError

pytestmark = pytest.mark.unit

MASTER_KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
PLAIN = Sockudo("1", "key", "secret")
DECRYPTING = Sockudo("1", "key", "secret", encryption_master_key_base64=MASTER_KEY)
LIFECYCLE = ("channel_occupied", "channel_vacated", "member_added", "member_removed", "subscription_count")


def sign(body: bytes, secret: str = "secret") -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(body: bytes) -> dict[str, str]:
    return {"X-Pusher-Key": "key", "X-Pusher-Signature": sign(body)}


@pytest.mark.parametrize("signature", [None, "", "é" * 64, "ü", b"\xff", 5])
def test_p12_bad_signature_headers_raise_nothing_else(signature):
    """The official Python SDK raises TypeError for a missing or non-ASCII one."""
    headers = {"X-Pusher-Key": "key"} if signature is None else {"X-Pusher-Key": "key", "X-Pusher-Signature": signature}
    with pytest.raises(InvalidWebhook):
        PLAIN.webhook(headers, b"{}")
    assert PLAIN.validate_webhook("key", signature, b"{}") is None


def test_p12_bodies_that_are_not_utf_8_raise_nothing_else():
    """There, UnicodeDecodeError."""
    body = b'{"a":"\xff"}'
    with pytest.raises(InvalidWebhook):
        PLAIN.webhook(signed(body), body)
    assert PLAIN.validate_webhook("key", sign(body), body) is None


def test_p12_upper_case_hex_holds():
    """It is the same number."""
    body = b'{"time_ms":1,"events":[]}'
    assert PLAIN.webhook({"X-Pusher-Key": "key", "X-Pusher-Signature": sign(body).upper()}, body).time_ms == 1


def test_p12_several_secrets():
    """For a rotation, the old pair beside the new one."""
    body = b'{"time_ms":1,"events":[]}'
    headers = {"X-Pusher-Key": "old", "X-Pusher-Signature": sign(body, "old-secret")}
    assert PLAIN.webhook(headers, body, credentials=(("old", "old-secret"),))


@pytest.mark.parametrize("name", LIFECYCLE)
def test_p13_lifecycle_events_of_encrypted_channels(name):
    """They have no data, and there the whole webhook fails."""
    events = [{"name": name, "channel": "private-encrypted-a"}, {"name": "channel_occupied", "channel": "b"}]
    body = json.dumps({"time_ms": 1, "events": events}).encode()
    assert [event.channel for event in DECRYPTING.webhook(signed(body), body).events] == ["private-encrypted-a", "b"]


@pytest.mark.parametrize("body", [b"[]", b'{"events":null}', b"{", b'"x"', b"1", b"null", b'{"events":[null]}'])
def test_p13_odd_bodies_raise_nothing_else(body):
    """There AttributeError, TypeError, JSONDecodeError."""
    with pytest.raises(InvalidWebhook) as refusal:
        DECRYPTING.webhook(signed(body), body)
    assert isinstance(refusal.value, SockudoError)


@pytest.mark.parametrize("name", LIFECYCLE)
def test_g11_lifecycle_events_of_encrypted_channels(name):
    """The Go SDK refuses the webhook, and all webhooks of encrypted channels where there is no master key."""
    body = json.dumps({"time_ms": 1, "events": [{"name": name, "channel": "private-encrypted-a"}]}).encode()
    for client in (PLAIN, DECRYPTING):
        assert client.webhook(signed(body), body).events[0].name == name


def test_g11_without_a_master_key_encrypted_data_is_passed_on():
    """The holder of the key can still read it."""
    envelope = '{"nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX","ciphertext":"W+mXVfti6CbgLeJQq+SAeTJldi2bCg=="}'
    event = {"name": "client_event", "channel": "private-encrypted-bla", "data": envelope}
    body = json.dumps({"time_ms": 1, "events": [event]}).encode()
    assert PLAIN.webhook(signed(body), body).events[0].data == envelope
    assert DECRYPTING.webhook(signed(body), body).events[0].data == "Hello!"


def test_ruby_expected_signature_is_not_shown():
    """The Ruby SDK logs it, and who reads the log can sign."""
    body = b"{}"
    with pytest.raises(InvalidWebhook) as refusal:
        PLAIN.webhook({"X-Pusher-Key": "key", "X-Pusher-Signature": "0" * 64}, body)
    assert sign(body) not in str(refusal.value)


def test_php_header_names_of_any_case():
    """PHP's SDK looks for one spelling."""
    body = b"{}"
    assert PLAIN.webhook({name.swapcase(): value for name, value in signed(body).items()}, body)

"""Webhooks of any bytes and headers raise nothing except InvalidWebhook."""

import hashlib
import hmac
import json

import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import InvalidWebhook
from tests.unit.client.webhooks import CLIENT, DECRYPTING, KEY, read

pytestmark = pytest.mark.unit


def refusal_of(client, given_headers, body) -> str:
    """What is wrong with the request; empty if nothing is."""
    try:
        client.webhook(given_headers, body)
    except InvalidWebhook as refusal:
        return str(refusal)
    return ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENVELOPE_OBJECTS = st.builds(
    lambda nonce, ciphertext: {"nonce": nonce, "ciphertext": ciphertext},
    st.sampled_from(["", "AAAA", "A" * 32]) | st.text(max_size=8) | st.integers(),
    st.sampled_from(["", "AAAA", "A" * 64]) | st.text(max_size=8),
)
ENVELOPES = ENVELOPE_OBJECTS | ENVELOPE_OBJECTS.map(json.dumps)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["client_event", "cache_miss"]) | JSON,
        "channel": st.sampled_from(["private-encrypted-a", "private-encrypted-\ud800", "a"]) | JSON,
        "data": ENVELOPES | JSON,
        "socket_id": JSON,
        "user_id": JSON,
        "event": JSON,
    },
)
BODIES = st.one_of(
    st.binary(max_size=100),
    st.builds(lambda value: json.dumps(value).encode(), JSON),
    st.builds(
        lambda time_ms, events: json.dumps({"time_ms": time_ms, "events": events}).encode(),
        st.integers(0, 2**64) | JSON,
        st.lists(EVENTS | JSON, max_size=3) | JSON,
    ),
)


@given(BODIES)
@example(b'{"time_ms":1,"events":[]}')
def test_hostile_signed_bodies(body):
    """A webhook, or InvalidWebhook: whatever the bytes, with and without a master key."""
    for client in (CLIENT, DECRYPTING):
        try:
            webhook = read(body, client)
        except InvalidWebhook:
            continue
        document = json.loads(body)
        assert webhook.raw == document
        assert len(webhook.events) == len(document.get("events", []))
        assert all(type(seen.name) is str for seen in webhook.events)
        assert all(seen.error is None or seen.data is None for seen in webhook.events)
        assert client is DECRYPTING or all(seen.error is None for seen in webhook.events)
        with pytest.raises(InvalidWebhook, match=r"^time_ms: "):
            read(body, client, max_age_s=1)


@given(
    BODIES,
    st.one_of(
        st.dictionaries(
            st.sampled_from(["X-Pusher-Key", "HTTP_X_PUSHER_SIGNATURE", "x-pusher-signature", b"x-pusher-key", 1]),
            st.sampled_from([KEY, "0" * 64, b"\xff"]) | st.text() | st.binary() | st.lists(st.text()) | st.none(),
        ),
        st.lists(st.tuples(st.text(), st.text())),
        JSON,
    ),
)
def test_hostile_requests(body, given_headers):
    """No request without the secret gets in, and nothing but InvalidWebhook comes out."""
    with pytest.raises(InvalidWebhook):
        CLIENT.webhook(given_headers, body)


@given(
    st.binary(max_size=60), st.binary(max_size=60), st.text(min_size=1, max_size=10), st.text(min_size=1, max_size=10)
)
def test_signature_against_the_standard_library(body, other, key, secret):
    """What hmac signs is taken, and no other body, key or secret with it."""
    assume(key == key.strip())  # no header carries spaces at its ends
    try:
        client = Sockudo("1", key, secret)
    except ValueError:
        reject()
    good = {"X-Pusher-Key": key, "X-Pusher-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
    assert not refusal_of(client, good, body).startswith("X-Pusher")
    for wrong_headers, wrong_body in (
        (good, body + b" "),
        (good, other if other != body else body + b"x"),
        ({**good, "X-Pusher-Key": key + "x"}, body),
    ):
        assert refusal_of(client, wrong_headers, wrong_body).startswith("X-Pusher")

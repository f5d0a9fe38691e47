"""Webhook signatures against the vectors of the other SDKs (docs/sdks.md, Requests and vectors)."""

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import InvalidWebhook

pytestmark = pytest.mark.unit

PHP = ("thisisaauthkey", "thisisasecret")
HELLO = b'{"hello":"world"}'
W2_BODY = b'{"time_ms":1403175510755,"events":[{"channel":"test_channel","name":"channel_vacated"}]}'
W2_SIGNATURE = "c17257e92037cd7de407ebc1ed174ceb7b2e518db127f44411b9ffc4f5b28cc5"
#: tests/ai-conformance/fixtures/forward-compat/future-webhook-events.json of sockudo/sockudo, byte for byte.
W7_BODY = b"""{
  "time_ms": 1710000000000,
  "events": [
    {
      "name": "member_updated",
      "channel": "presence-ai-forward",
      "user_id": "user-1",
      "future_field": "must-pass-through"
    },
    {
      "name": "ai_run_started",
      "channel": "private-ai-forward",
      "run_id": "run-1"
    },
    {
      "name": "message_version_created",
      "channel": "private-ai-forward",
      "message_serial": "msg-1",
      "version_serial": "ver-1"
    }
  ]
}
"""

VECTORS = {
    "W1": (("key", "secret"), HELLO, "2677ad3e7c090b2fa2c0fb13020d66d5420879b8316eb356a2d60fb9073bc778"),
    "W2": (("123456789", "tofu"), W2_BODY, W2_SIGNATURE),
    "W3": (PHP, HELLO, "40e0ad3b9aa49529322879e84de1aaaf18bde1efe839ca263d540cc865510d25"),
    "W4": (
        PHP,
        b'{"time_ms":1530710011901,"events":[{"name":"client_event","channel":"private-my-channel","event":"client-event"'
        b',"data":"Unencrypted","socket_id":"240621.35780774"}]}',
        "a19cab2af3ca1029257570395e78d5d675e9e700ca676d18a375a7083178df1c",
    ),
    "W5": (
        ("key", "1c9c753dddfd049dd7f1"),
        b'{"time_ms":1423778833207,"events":[{"channel":"test_channel","name":"channel_occupied"}]}',
        "851f492bab8f7652a2e4c82cd0212d97b4e678edf085c06bf640ed45ee7b1169",
    ),
    "W6": (
        ("key", "some_crazy_secret"),
        b'{"time_ms": 1327078148132, "events": [{"name": "channel_occupied", "channel": "test_channel" }]}',
        "003a63ce4da20830c4fecffb63d5b3944b64989b6458e15b26e08e244f758954",
    ),
    "W7a": (("key", "secret"), W7_BODY, "8769e68ed4d693d5bf54f4145820566f493a8fcafb765c5a07aec626cd35024f"),
    "W7b": (("key", "asdf"), W7_BODY, "e6d7f7b38c1aebf83271dc8fb8d571160a303fc9f5c81eabf5931c3e1afcc0b0"),
    "W7c": (("key", "thisisasecret"), W7_BODY, "25de7c42965289dcf90b3a06df606e166279b74813205009021eb30bd35dfa56"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name):
    """Taken as signed, refused with another secret or an altered byte."""
    (key, secret), body, signature = VECTORS[name]
    headers = {"X-Pusher-Key": key, "X-Pusher-Signature": signature}
    webhook = Sockudo("1", key, secret).webhook(headers, body)
    assert webhook.time_ms == webhook.raw.get("time_ms", 0)
    assert [event.raw for event in webhook.events] == webhook.raw.get("events", [])
    assert Sockudo("1", key, secret).validate_webhook(key, signature, body, max_age_s=None) == webhook.raw
    with pytest.raises(InvalidWebhook, match="does not hold"):
        Sockudo("1", key, secret + "x").webhook(headers, body)
    with pytest.raises(InvalidWebhook, match="does not hold"):
        Sockudo("1", key, secret).webhook(headers, body.replace(b"e", b"E", 1))


def test_w2_with_several_tokens():
    """Node's extra tokens: the one whose key the headers name is taken."""
    client = Sockudo("1", "1", "nope")
    headers = {"X-Pusher-Key": "3", "X-Pusher-Signature": W2_SIGNATURE}
    webhook = client.webhook(headers, W2_BODY, credentials=(("2", "not really"), ("3", "tofu")))
    assert webhook.events[0].name == "channel_vacated"
    with pytest.raises(InvalidWebhook, match="not one of the given keys"):
        client.webhook(headers, W2_BODY)


@pytest.mark.parametrize("signature", ["potato", "000", ""])
def test_w2_with_a_signature_that_is_none(signature):
    """Refused, not raised as something else."""
    with pytest.raises(InvalidWebhook):
        Sockudo("1", "123456789", "tofu").webhook(
            {"X-Pusher-Key": "123456789", "X-Pusher-Signature": signature}, W2_BODY
        )


def test_w4_client_event():
    """Every field of it."""
    key, secret = PHP
    _, body, signature = VECTORS["W4"]
    (event,) = Sockudo("1", key, secret).webhook({"X-Pusher-Key": key, "X-Pusher-Signature": signature}, body).events
    assert (event.name, event.channel, event.event, event.data, event.socket_id, event.user_id) == (
        "client_event",
        "private-my-channel",
        "client-event",
        "Unencrypted",
        "240621.35780774",
        None,
    )


def test_w7_future_fields_pass_through():
    """What a newer server adds is kept."""
    headers = {"X-Pusher-Key": "key", "X-Pusher-Signature": VECTORS["W7a"][2]}
    webhook = Sockudo("1", "key", "secret").webhook(headers, W7_BODY)
    assert webhook.events[0].raw["future_field"] == "must-pass-through"
    assert webhook.events[0].user_id == "user-1"
    assert [event.name for event in webhook.events] == ["member_updated", "ai_run_started", "message_version_created"]
    assert webhook.events[2].raw["version_serial"] == "ver-1"

"""Webhooks of encrypted channels: what is decrypted, and what is withheld."""

import json

import pytest

from tests.unit.client.webhooks import DECRYPTING, event, read, sealed

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", ["plain", '{"a":1}', "", "ü\u2028", "x" * 10_000])
def test_data_of_encrypted_channels_is_decrypted(text):
    """Into the text that was encrypted; raw keeps the envelope."""
    envelope = sealed(text)
    seen = event(DECRYPTING, name="client_event", channel="private-encrypted-a", data=envelope)
    assert seen.data == text
    assert seen.raw["data"] == envelope


@pytest.mark.parametrize("text", ["plain", '{"a":1}', "", "ü\u2028"])
def test_envelope_as_an_object_is_decrypted_like_its_text(text):
    """A client may send either, and the webhook has what it sent."""
    envelope = json.loads(sealed(text))
    seen = event(DECRYPTING, name="client_event", channel="private-encrypted-a", data=envelope)
    assert seen.data == text
    assert seen.raw["data"] == envelope
    more = {**envelope, "more": [1]}
    assert event(DECRYPTING, name="client_event", channel="private-encrypted-a", data=more).data == text
    assert event(name="client_event", channel="private-encrypted-a", data=envelope).data == envelope
    assert event(DECRYPTING, name="client_event", channel="private-a", data=envelope).data == envelope


def test_without_a_master_key_encrypted_data_comes_as_it_is():
    """And everything else of the webhook."""
    envelope = sealed("x")
    seen = event(name="client_event", channel="private-encrypted-a", data=envelope)
    assert seen.data == envelope


def test_only_encrypted_channels_are_decrypted():
    """An envelope elsewhere is a client's own data."""
    envelope = sealed("x")
    for channel in ("private-a", "private-encrypted", "presence-private-encrypted-a"):
        assert event(DECRYPTING, name="client_event", channel=channel, data=envelope).data == envelope


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (sealed("x", "private-encrypted-b"), "does not decrypt"),
        ('{"nonce":"","ciphertext":""}', "does not decrypt"),
        ('{"nonce":"AAAA","ciphertext":"AAAA"}', "does not decrypt"),
        (json.dumps({"nonce": "AA" * 16, "ciphertext": ""}), "does not decrypt"),
        (sealed(b"\xff"), "not UTF-8 once decrypted"),
        ("plain", "in plain on an encrypted channel"),
        ({"nonce": "", "ciphertext": ""}, "does not decrypt"),
        (json.loads(sealed("x", "private-encrypted-b")), "does not decrypt"),
        ({"nonce": 1, "ciphertext": "AAAA"}, "in plain on an encrypted channel"),
        ({"nonce": "AAAA"}, "in plain on an encrypted channel"),
        ([], "in plain on an encrypted channel"),
        (0, "in plain on an encrypted channel"),
    ],
    ids=[
        *("of another channel", "empty", "too short", "nonce alone", "not UTF-8", "plain", "empty object"),
        *("object of another channel", "a number as nonce", "no ciphertext", "list", "number"),
    ],
)
def test_what_does_not_decrypt_is_withheld(data, complaint):
    """A subscriber's plaintext must not pass for something that only key holders can make; raw has what came."""
    given = {"name": "client_event", "channel": "private-encrypted-a", "event": "client-x", "data": data}
    seen = event(DECRYPTING, **given, socket_id="1.2")
    assert seen.data is None
    assert seen.error is not None
    assert seen.error.startswith("data: ")
    assert complaint in seen.error
    assert (seen.name, seen.channel, seen.event, seen.socket_id) == (
        *("client_event", "private-encrypted-a", "client-x", "1.2"),
    )
    assert seen.raw == {**given, "socket_id": "1.2"}


@pytest.mark.parametrize("name", ["client_event", "message_version_created", "something_new"])
def test_plain_data_passes_only_in_known_server_events(name):
    """What a newer server calls its events, a subscriber may have written their data."""
    seen = event(DECRYPTING, name=name, channel="private-encrypted-a", data="plain")
    assert (seen.data, seen.error) == (None, "data: in plain on an encrypted channel")


@pytest.mark.parametrize(
    "bad",
    ["plain", sealed("x", "private-encrypted-b"), {"nonce": "", "ciphertext": ""}],
    ids=["plain", "of another channel", "empty"],
)
def test_one_event_that_does_not_decrypt_leaves_the_others_alone(bad):
    """The server batches events of all channels: any subscriber could make us refuse everybody else's."""
    events = [
        {"name": "channel_vacated", "channel": "a"},
        {"name": "client_event", "channel": "private-encrypted-a", "event": "client-x", "data": bad},
        {"name": "client_event", "channel": "private-encrypted-a", "event": "client-x", "data": sealed("good")},
        {"name": "client_event", "channel": "private-a", "event": "client-x", "data": "plain"},
    ]
    webhook = read({"time_ms": 1, "events": events}, DECRYPTING)
    assert [(seen.data, seen.error is None) for seen in webhook.events] == [
        *((None, True), (None, False), ("good", True), ("plain", True)),
    ]
    assert [seen.raw for seen in webhook.events] == events


def test_an_error_shows_no_data():
    """Neither it nor the repr, which end up in logs."""
    seen = event(DECRYPTING, name="client_event", channel="private-encrypted-a", data="shown-nowhere")
    assert "in plain on an encrypted channel" in repr(seen)
    assert "shown-nowhere" not in repr(seen)


def test_server_events_of_encrypted_channels_stay_plain():
    """cache_miss has the data "{}" (seen on Sockudo 5.2.0), most have none."""
    channel = "private-encrypted-cache-a"
    assert event(DECRYPTING, name="cache_miss", channel=channel, data="{}").data == "{}"
    assert event(DECRYPTING, name="channel_occupied", channel=channel).data is None
    assert event(DECRYPTING, name="channel_vacated", channel=channel, data=None).data is None
    assert event(DECRYPTING, name="client_event", channel=channel).data is None


def test_lone_surrogates_in_names():
    """JSON can escape what UTF-8 cannot hold."""
    body = b'{"events":[{"name":"client_event","channel":"private-encrypted-\\ud800","data":"x"}]}'
    (seen,) = read(body, DECRYPTING).events
    assert (seen.data, seen.error) == (None, "channel: not UTF-8 (a lone surrogate)")

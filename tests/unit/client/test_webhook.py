"""Webhooks: what is read out of them, how old they may be, and the same in the call of `pusher`."""

import json
from decimal import Decimal

import pytest

import sockudo_publisher
from sockudo_publisher.client.api.webhook import Webhook, WebhookEvent, check_age
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import InvalidWebhook, ValidationError
from tests.unit.client.webhooks import CLIENT, KEY, OCCUPIED, SECRET, aged, event, headers, read, sign

pytestmark = pytest.mark.unit


# -- reading


def test_exported():
    """The types are public names, and loaded when they are used."""
    assert sockudo_publisher.Webhook is Webhook
    assert sockudo_publisher.WebhookEvent is WebhookEvent


def test_a_webhook_is_read():
    """Time, events in order, and each field by its name."""
    webhook = read(
        {
            "time_ms": 1795470898044,
            "events": [
                {"name": "channel_occupied", "channel": "a"},
                {"name": "member_added", "channel": "presence-a", "user_id": "ü"},
                {"name": "client_event", "channel": "private-a", "event": "client-x", "data": "d", "socket_id": "1.2"},
            ],
        }
    )
    assert webhook.time_ms == 1795470898044
    assert [(e.name, e.channel, e.event, e.data, e.socket_id, e.user_id) for e in webhook.events] == [
        ("channel_occupied", "a", None, None, None, None),
        ("member_added", "presence-a", None, None, None, "ü"),
        ("client_event", "private-a", "client-x", "d", "1.2", None),
    ]
    assert isinstance(webhook.events, tuple)


def test_unknown_fields_are_kept():
    """Of the body and of each event; 64-bit numbers exactly."""
    body = {
        "time_ms": 1,
        "events": [{"name": "future", "data": {"nullable": None}, "future_field": [1], "serial": 2**63 + 1}],
        "signed_by": "x",
    }
    webhook = read(body)
    assert webhook.raw == body
    assert webhook.events[0].raw == body["events"][0]
    assert webhook.events[0].data == {"nullable": None}
    assert webhook.events[0].channel is None


@pytest.mark.parametrize("data", ["text", {"a": [1, None]}, [1], 1, 0, False, "", None])
def test_data_comes_as_it_was_sent(data):
    """The server passes a client event's data on: text as text, an object as an object."""
    seen = event(name="client_event", channel="private-a", event="client-x", data=data)
    assert seen.data == data
    assert type(seen.data) is type(data)


def test_fields_of_another_type_are_left_to_raw():
    """One odd field does not cost the whole webhook."""
    seen = event(name="n", channel=1, event=None, socket_id={}, user_id=7)
    assert (seen.channel, seen.event, seen.socket_id, seen.user_id) == (None, None, None, None)
    assert seen.raw["user_id"] == 7


def test_missing_fields_are_none():
    """As in the seed: a signed body without events has none."""
    assert read(b'{"hello":"world"}') == Webhook(0, (), {"hello": "world"})


def test_payloads_are_not_in_repr():
    """They stay out of logs."""
    webhook = read({"time_ms": 1, "events": [{"name": "client_event", "data": "PAYLOAD", "x": "PAYLOAD"}]})
    assert "PAYLOAD" not in repr(webhook)
    assert "client_event" in repr(webhook)
    assert hash(webhook) == hash(webhook)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "body: 0 bytes that are not JSON"),
        (b"\xff", "body: 1 bytes that are not JSON"),
        (b"{", "body: 1 bytes"),
        (b"[" * 100_000, "body: 100000 bytes"),
        ("{}".encode("utf-16"), "body: 6 bytes"),
        (b"\xef\xbb\xbf{}", "body: 5 bytes"),
        (b'{"time_ms":NaN}', "body: 15 bytes"),
        (b"[]", "body: a list, expected an object"),
        (b"null", "body: a NoneType"),
        (b"1", "body: a int"),
        (b'{"time_ms":"1"}', "time_ms: malformed"),
        (b'{"time_ms":1.5}', "time_ms: malformed"),
        (b'{"time_ms":true}', "time_ms: malformed"),
        (b'{"time_ms":null}', "time_ms: malformed"),
        (b'{"time_ms":-1}', "time_ms: malformed"),
        (b'{"time_ms":9223372036854775808}', "time_ms: malformed"),
        (b'{"time_ms":1e400}', "time_ms: malformed"),
        (b'{"time_ms":' + b"9" * 5000 + b"}", ""),
        (b'{"events":null}', "events: a NoneType, expected a list"),
        (b'{"events":{}}', "events: a dict"),
        (b'{"events":[1]}', "events[0]: a int, expected an object"),
        (b'{"events":[{"name":"a"},null]}', "events[1]: a NoneType"),
        (b'{"events":[{}]}', "events[0].name: missing or no text"),
        (b'{"events":[{"name":1}]}', "events[0].name: missing or no text"),
    ],
)
def test_signed_bodies_of_another_shape(body, complaint):
    """A signature says who sent it, not that it makes sense."""
    with pytest.raises(InvalidWebhook) as refusal:
        read(body)
    assert str(refusal.value).startswith(complaint)


# -- age


def test_age_is_not_looked_at_by_default():
    """The server repeats for five minutes with the first attempt's time."""
    assert read(aged(10_000))
    assert read(aged(-10_000))


def test_age_is_limited_where_asked_for():
    """In both directions; missing is too old."""
    assert read(aged(50), max_age_s=100)
    assert read(aged(-50), max_age_s=100)
    for body in (aged(200), aged(-200), {"events": []}, {"time_ms": 0}):
        with pytest.raises(InvalidWebhook, match=r"^time_ms: "):
            read(body, max_age_s=100)


def test_age_limit_itself():
    """To the millisecond."""
    check_age(1_000_000, now=1300.0, max_age_s=300)
    check_age(1_600_000, now=1300.0, max_age_s=300)
    for time_ms in (999_999, 1_600_001, 0, -1, None, "1", True, 2**63, 1e3, 10**400):
        with pytest.raises(InvalidWebhook):
            check_age(time_ms, now=1300.0, max_age_s=300)
    with pytest.raises(InvalidWebhook, match="missing"):
        check_age(0, now=100.0, max_age_s=300)


@pytest.mark.parametrize("max_age_s", [0, -1, float("nan"), float("inf"), "1", True])
def test_malformed_age_limits(max_age_s):
    """At the caller, also in pusher's call."""
    for call in (
        lambda: CLIENT.webhook(headers(OCCUPIED), OCCUPIED, max_age_s=max_age_s),
        lambda: CLIENT.validate_webhook(KEY, sign(OCCUPIED), OCCUPIED, max_age_s=max_age_s),
    ):
        with pytest.raises(ValidationError, match=r"^max_age_s: "):
            call()


# -- pusher's call


def test_validate_webhook_gives_the_dict():
    """All of it, as it came."""
    body = aged(1) | {"events": [{"name": "n", "more": 1}], "x": 1}
    content = json.dumps(body).encode()
    for given_body in (content, content.decode()):
        assert CLIENT.validate_webhook(KEY, sign(content), given_body) == body
        assert CLIENT.validate_webhook(key=KEY, signature=sign(content).upper(), body=given_body) == body


def test_validate_webhook_reads_with_the_clients_decoder():
    """As pusher does; the age is read before, whatever the decoder makes of a number."""

    class Decimals(json.JSONDecoder):
        def __init__(self):
            super().__init__(parse_int=Decimal)

    class Refusing(json.JSONDecoder):
        def decode(self, text):
            raise ValueError(text)

    content = json.dumps(aged(1) | {"events": [{"user_count": 3}]}).encode()
    document = Sockudo("1", KEY, SECRET, json_decoder=Decimals).validate_webhook(KEY, sign(content), content)
    assert isinstance(document["events"][0]["user_count"], Decimal)
    assert Sockudo("1", KEY, SECRET, json_decoder=Refusing).validate_webhook(KEY, sign(content), content) is None


def test_validate_webhook_takes_300_seconds():
    """As pusher; None turns it off."""
    for seconds, good in ((250, True), (-250, True), (350, False), (-350, False)):
        content = json.dumps(aged(seconds)).encode()
        assert (CLIENT.validate_webhook(KEY, sign(content), content) is not None) == good
        assert CLIENT.validate_webhook(KEY, sign(content), content, max_age_s=None) is not None


@pytest.mark.parametrize(
    ("key", "signature", "body"),
    [
        ("other", sign(OCCUPIED), OCCUPIED),
        (KEY, "0" * 64, OCCUPIED),
        (KEY, "", OCCUPIED),
        (KEY, None, OCCUPIED),
        (None, sign(OCCUPIED), OCCUPIED),
        (1, 1, 1),
        (KEY, sign(b"[]"), b"[]"),
        (KEY, sign(b"\xff"), b"\xff"),
        (KEY, sign(b"{"), "{"),
        (KEY, sign(b'"'), "\ud800"),
        (KEY, sign(b""), None),
    ],
)
def test_validate_webhook_gives_none(key, signature, body):
    """And raises nothing."""
    assert CLIENT.validate_webhook(key, signature, body, max_age_s=None) is None

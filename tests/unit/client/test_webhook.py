"""Webhooks: whose signature holds, what is read out of them, and that nothing but InvalidWebhook comes of them."""

import base64
import hashlib
import hmac
import json
import time
from decimal import Decimal
from email.message import Message
from types import MappingProxyType

import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

import sockudo_publisher
from sockudo_publisher.client.api import webhook as module
from sockudo_publisher.client.api.webhook import Webhook, WebhookEvent, check_age, header_values
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encryption import seal, shared_secret
from sockudo_publisher.errors import InvalidWebhook, ValidationError

pytestmark = pytest.mark.unit

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


# -- signatures


def test_signature_is_over_the_bytes_as_they_came():
    """The same JSON written otherwise is another body."""
    for body in (b'{"a": 1}', b'{ "a":1}', b'{"a":1}\n', '{"a":"ü"}'.encode(), b'{"a":"\\u00fc"}'):
        assert read(body)
        with pytest.raises(InvalidWebhook, match="X-Pusher-Signature: does not hold"):
            CLIENT.webhook(headers(b'{"a":1}'), body)


def test_body_as_bytes_like_or_text():
    """Frameworks hand out either."""
    for body in (OCCUPIED, bytearray(OCCUPIED), memoryview(OCCUPIED), OCCUPIED.decode()):
        assert CLIENT.webhook(headers(OCCUPIED), body).events[0].name == "channel_occupied"


@pytest.mark.parametrize("body", [None, 1, {"time_ms": 1}, ["a"], "\ud800"])
def test_bodies_that_are_none(body):
    """The parsed body of a framework is named as the mistake it is."""
    with pytest.raises(InvalidWebhook, match="body: "):
        CLIENT.webhook(headers(OCCUPIED), body)


@pytest.mark.parametrize(
    "signature",
    ["", "potato", "000", "0" * 64, "ü" * 64, "0x" + "0" * 62, " " * 64, sign(OCCUPIED)[:-1], sign(OCCUPIED) + "0"],
)
def test_wrong_signatures(signature):
    """Altered, shortened, not hex, not ASCII."""
    with pytest.raises(InvalidWebhook, match=r"^X-Pusher-Signature: "):
        CLIENT.webhook({"X-Pusher-Key": KEY, "X-Pusher-Signature": signature}, OCCUPIED)


def test_each_bit_of_the_signature_counts():
    """A comparison of a part would let some through."""
    good = sign(OCCUPIED)
    for index in range(64):
        wrong = good[:index] + f"{int(good[index], 16) ^ 1:x}" + good[index + 1 :]
        with pytest.raises(InvalidWebhook, match="does not hold"):
            CLIENT.webhook({"X-Pusher-Key": KEY, "X-Pusher-Signature": wrong}, OCCUPIED)


@pytest.mark.parametrize(
    ("given_headers", "complaint"),
    [
        ({}, "X-Pusher-Key: missing"),
        ({"X-Pusher-Key": "", "X-Pusher-Signature": "0" * 64}, "X-Pusher-Key: missing"),
        ({"X-Pusher-Key": KEY}, "X-Pusher-Signature: missing"),
        ({"X-Pusher-Key": KEY, "X-Pusher-Signature": None}, "X-Pusher-Signature: missing"),
        ({"X-Pusher-Key": None, "X-Pusher-Signature": "0" * 64}, "X-Pusher-Key: missing"),
        ({"X-Pusher-Key": "other", "X-Pusher-Signature": sign(OCCUPIED)}, "X-Pusher-Key: none of ours"),
        ({"X-Pusher-Key": KEY + " x", "X-Pusher-Signature": sign(OCCUPIED)}, "X-Pusher-Key: none of ours"),
        (None, "headers: a NoneType"),
        (1, "headers: a int"),
        ("X-Pusher-Key: k", "headers: a str"),
        ([1, 2], "headers: a list"),
    ],
)
def test_headers_that_do_not_do(given_headers, complaint):
    """Each says what is wrong with the request, for the log of who set it up."""
    with pytest.raises(InvalidWebhook) as refusal:
        CLIENT.webhook(given_headers, OCCUPIED)
    assert str(refusal.value).startswith(complaint)
    assert SECRET not in str(refusal.value)
    assert sign(OCCUPIED) not in str(refusal.value)


def message(pairs):
    """The headers of the standard library's server."""
    made = Message()
    for name, value in pairs.items():
        made[name] = value
    return made


@pytest.mark.parametrize(
    "form",
    [
        lambda h: h,
        lambda h: {name.lower(): value for name, value in h.items()},
        lambda h: {name.upper(): value for name, value in h.items()},
        lambda h: (
            {"HTTP_" + name.upper().replace("-", "_"): value for name, value in h.items()} | {"wsgi.input": object()}
        ),
        lambda h: list(h.items()),
        lambda h: iter(h.items()),
        lambda h: [(name.lower().encode(), value.encode()) for name, value in h.items()],
        lambda h: {name: [value] for name, value in h.items()},
        lambda h: {name: (f" {value}\t",) for name, value in h.items()},
        lambda h: MappingProxyType({**h, 1: 2, None: None, b"\xff": b"\xff"}),
        message,
    ],
    ids=[
        "as-is",
        "lower",
        "upper",
        "wsgi",
        "pairs",
        "iterator",
        "asgi",
        "lists",
        "spaces",
        "odd-neighbours",
        "message",
    ],
)
def test_headers_of_frameworks(form):
    """Whatever the case, the spelling or the container."""
    assert CLIENT.webhook(form(headers(OCCUPIED)), OCCUPIED).time_ms == 1403175510755


def test_header_values_are_all_of_that_name():
    """Repeated headers, in order; look-alikes are others."""
    pairs = [
        ("X-Pusher-Key", "a"),
        ("x_pusher_key", "b"),
        ("X-Pusher-Keys", "c"),
        ("Pusher-Key", "d"),
        ("X-PUSHER-KEY", ["e"]),
    ]
    assert header_values(pairs, "X-Pusher-Key", "Other") == (("a", "b", "e"), ())


def test_one_of_several_header_values_may_hold():
    """As the seed reads them: a proxy or a test may have added one."""
    several = {"X-Pusher-Key": ["other", KEY], "X-Pusher-Signature": ["0" * 64, sign(OCCUPIED)]}
    assert CLIENT.webhook(several, OCCUPIED)


def test_rotation_accepts_old_and_new():
    """Several pairs, also with one key; a key goes with its own secret only."""
    old = (("old-key", "old-secret"), (KEY, "older-secret"))
    for key, secret in (("old-key", "old-secret"), (KEY, "older-secret"), (KEY, SECRET)):
        assert CLIENT.webhook(headers(OCCUPIED, key, secret), OCCUPIED, credentials=old)
    for key, secret in (("old-key", SECRET), (KEY, "old-secret"), ("old-key", "older-secret")):
        with pytest.raises(InvalidWebhook, match="does not hold"):
            CLIENT.webhook(headers(OCCUPIED, key, secret), OCCUPIED, credentials=old)
    with pytest.raises(InvalidWebhook, match="none of ours"):
        CLIENT.webhook(headers(OCCUPIED, "old-key", "old-secret"), OCCUPIED)


@pytest.mark.parametrize(
    "credentials",
    [
        (("k", ""),),
        (("", "s"),),
        (("k", None),),
        (("k",),),
        ("k", "s"),
        "ks",
        {"k": "s"},
        5,
        (("k", "\ud800"),),
        (("a", "secret-shown"), ("k", b"secret-shown")),
    ],
)
def test_malformed_credentials(credentials):
    """An unset variable as secret must not let everybody in; the complaint shows none."""
    with pytest.raises(ValidationError, match=r"^credentials: ") as refusal:
        CLIENT.webhook(headers(OCCUPIED), OCCUPIED, credentials=credentials)
    assert "secret-shown" not in str(refusal.value)


def test_comparison_is_constant_time(monkeypatch):
    """Every signature goes through hmac.compare_digest, also those behind one that holds."""
    compared = []

    def compare_digest(a, b):
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    fake = type("hmac", (), {"digest": staticmethod(hmac.digest), "compare_digest": staticmethod(compare_digest)})
    monkeypatch.setattr(module, "hmac", fake)
    good = bytes.fromhex(sign(OCCUPIED))
    CLIENT.webhook(headers(OCCUPIED), OCCUPIED, credentials=((KEY, "other"),))
    assert (good, good) in compared
    assert len(compared) == 2
    assert {type(part) for pair in compared for part in pair} == {bytes}


# -- encrypted channels


def sealed(text: str | bytes, channel: str = "private-encrypted-a") -> str:
    return seal(text.encode() if isinstance(text, str) else text, shared_secret(channel, RAW_MASTER_KEY))


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
    """An envelope elsewhere is somebody's data."""
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


# -- age


def aged(seconds: float) -> dict:
    return {"time_ms": int((time.time() - seconds) * 1000), "events": []}


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


# -- properties


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
    """Nobody without the secret gets in, and nothing but InvalidWebhook comes out."""
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

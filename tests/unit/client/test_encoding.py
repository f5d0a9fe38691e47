"""The exact bytes of items and bodies, and everything that has none."""

import base64
import enum
import hashlib
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.wire.encoding import Encoder, batch_body
from sockudo_publisher.client.wire.encryption import open_envelope, shared_secret
from sockudo_publisher.errors import ConfigurationError, ValidationError

pytestmark = pytest.mark.unit

KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
encoder = Encoder()


class Gate(str, enum.Enum):
    C71 = "c71"


class Decimals(json.JSONEncoder):
    def default(self, o):
        return str(o) if isinstance(o, Decimal) else super().default(o)


def md5(body):
    return hashlib.md5(body).hexdigest()


def event(channels, data, name="my_event", **options):
    return encoder.event(channels, name, encoder.payload(data), **options)


BODIES = {
    "one": ((["one"], {"some": "data "}), {}, "e95168baf497b2e54b2c6cadd41a6a3f"),
    "three": ((["one", "two", "three"], {"some": "data "}), {}, "530dac0aa045e5f8e51c470aed0ce325"),
    "list": ((["one"], [1, 2, 4]), {}, "18e64b2fed38726915d79ebb4f8feb5b"),
    "text": ((["test"], "test string", "test_event"), {}, "f358a562d00e1bfe1859132d932cd706"),
    "options": (
        (["test_channel"], {"some": "data "}),
        {"socket_id": "123.567", "info": "user_count,subscription_count"},
        "2e4f053f1c325dedbe21abd8f1852b53",
    ),
    "info": (
        (["test_channel"], {"some": "data "}),
        {"info": ["subscription_count"]},
        "d3a47b3241328a6432adf60c8e91b6fb",
    ),
    "alphabet": ((["test_-=@,.;channel"], {"some": "data "}), {}, "024f0f297e27e131c8ec2c8817d153f4"),
}


@pytest.mark.parametrize(("arguments", "options", "digest"), BODIES.values(), ids=BODIES.keys())
def test_body_of_one_event_is_that_of_the_node_sdk(arguments, options, digest):
    """Byte by byte, by the published MD5 (docs/sdks.md, Requests and vectors)."""
    assert md5(event(*arguments, **options)) == digest


@pytest.mark.parametrize(
    ("payloads", "digest"),
    [
        (("test", "test2"), "fd5ab5fd40237f27555c4d2564470fdd"),
        (({"hello": "world"}, {"hello2": "another world"}), "ade2e9d64d936215c2b2d6a6f4606ef9"),
    ],
)
def test_body_of_a_batch_is_that_of_the_node_sdk(payloads, digest):
    """Byte by byte, by the published MD5."""
    first, second = (encoder.payload(data) for data in payloads)
    items = [encoder.item("integration", "event", first), encoder.item("integration2", "event2", second)]
    assert md5(batch_body(items)) == digest


def test_items_with_options_are_those_of_the_go_sdk():
    """Key order of client_test.go."""
    item = encoder.item("test_channel", "test", "yolo1", idempotency_key="key-1")
    assert item == b'{"channel":"test_channel","name":"test","data":"yolo1","idempotency_key":"key-1"}'
    item = encoder.item("test_channel", "test", "yolo1", info="user_count,subscription_count")
    assert item == b'{"channel":"test_channel","name":"test","data":"yolo1","info":"user_count,subscription_count"}'


def test_all_options_of_an_item():
    """Each field once, as the server names it."""
    item = encoder.item(
        "c",
        'a "name"\n',
        'text with "quotes", ü and \u2028',
        message_id='id "1"',
        socket_id="1.2",
        info=("user_count", "subscription_count"),
        tags={"kind": "ü"},
        extras={"headers": {"a": 1}, "ephemeral": True},
        idempotency_key="k",
    )
    assert json.loads(item) == {
        "channel": "c",
        "name": 'a "name"\n',
        "data": 'text with "quotes", ü and \u2028',
        "message_id": 'id "1"',
        "socket_id": "1.2",
        "info": "user_count,subscription_count",
        "tags": {"kind": "ü"},
        "extras": {"headers": {"a": 1}, "ephemeral": True},
        "idempotency_key": "k",
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("as it is ", "as it is "),
        ("", ""),
        ("ü", "ü"),
        ("bytes ü".encode(), "bytes ü"),
        (bytearray(b"x"), "x"),
        (Gate.C71, "c71"),
        ({"a": [1, 2.5, None, True], "ü": "é"}, '{"a":[1,2.5,null,true],"ü":"é"}'),
        ({"gate": Gate.C71, 1: 2}, '{"gate":"c71","1":2}'),
        (None, "null"),
        (1, "1"),
        (2**70, str(2**70)),
    ],
    ids=repr,
)
def test_payload(data, text):
    """Text as it is, all else compact JSON that is not ASCII-escaped."""
    assert encoder.payload(data) == text
    assert type(encoder.payload(data)) is str


def circle():
    data = []
    data.append(data)
    return data


def deep():
    data = []
    for _ in range(100_000):
        data = [data]
    return data


class Hush:
    def __repr__(self):
        return "hush"


NOT_JSON = {
    "nan": (math.nan, "NaN or an infinite number"),
    "infinity within": ({"a": [math.inf]}, "NaN or an infinite number"),
    "bytes not utf-8": (b"hush\xff", "5 bytes that are not UTF-8"),
    "surrogate": ("hush\ud800", "not UTF-8"),
    "surrogate within": ({"a": "hush\ud800"}, "not UTF-8"),
    "surrogate in a name": ({"hush\ud800": 1}, "not UTF-8"),
    "object": (Hush(), "Object of type Hush is not JSON serializable"),
    "set": ({"hush"}, "Object of type set is not JSON serializable"),
    "bytes within": ({"a": b"hush"}, "Object of type bytes is not JSON serializable"),
    "key": ({("hush",): 1}, "keys must be"),
    "circle": (circle(), "circular or too deep"),
    "depth": (deep(), "circular or too deep"),
}


@pytest.mark.parametrize(("data", "complaint"), NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_no_payload(data, complaint):
    """Refused with the reason, and without the payload."""
    with pytest.raises(ValidationError, match=rf"^data[^:]*: .*{complaint}") as caught:
        encoder.payload(data)
    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_encoder_of_the_caller():
    """As in pusher: a JSONEncoder class, whose own failures are validation errors too."""
    own = Encoder(json_encoder=Decimals)
    assert own.payload({"price": Decimal("1.10"), "ü": 1}) == '{"price":"1.10","ü":1}'
    with pytest.raises(ValidationError, match="Object of type Hush"):
        own.payload(Hush())
    with pytest.raises(ValidationError, match="NaN"):
        own.payload(math.nan)
    with pytest.raises(ValidationError, match="circular"):
        own.payload(circle())

    class Broken(json.JSONEncoder):
        def default(self, o):
            raise ValueError("hush")

    with pytest.raises(ValidationError, match=r"^data: not JSON, its encoder raised ValueError$"):
        Encoder(json_encoder=Broken).payload(Hush())


def test_size_is_that_of_the_text_in_bytes_before_it_is_quoted():
    """Quotes count once, an ü twice; equal to the limit is allowed."""
    small = Encoder(max_event_bytes=10)
    for text in ('"' * 10, "ü" * 5, "0123456789"):
        assert small.item("c", "e", text)
        assert small.event("c", "e", text)
    for text in ('"' * 11, "ü" * 5 + "x"):
        with pytest.raises(ValidationError, match=r"^data: 11 bytes, limit 10$"):
            small.item("c", "e", text)
        with pytest.raises(ValidationError, match=r"^data: 11 bytes, limit 10$"):
            small.event("c", "e", text)


def test_default_limit_is_ten_kilobytes():
    """The seed's, and configurable."""
    assert encoder.item("c", "e", "x" * 10_240)
    with pytest.raises(ValidationError, match=r"^data: 20481 bytes, limit 10240$"):
        encoder.item("c", "e", "x" * 20_481)
    assert Encoder(max_event_bytes=81_920).item("c", "e", "x" * 81_920)


def test_size_counts_after_encryption():
    """At most 7,619 bytes of plaintext make 10,240 bytes of envelope."""
    sealing = Encoder(encryption_master_key_base64=KEY)
    assert sealing.item("private-encrypted-x", "e", "x" * 7619)
    with pytest.raises(ValidationError, match=r"^data: 102\d\d bytes, limit 10240$"):
        sealing.item("private-encrypted-x", "e", "x" * 7620)


@pytest.mark.parametrize("text", ["Hello!", '{"a":1}', "ü"])
def test_an_encrypted_channel_gets_an_envelope_of_the_raw_text(text):
    """Text is encrypted as it is, not as a quoted string, by the channel's own secret."""
    sealing = Encoder(encryption_master_key_base64=KEY)
    secret = shared_secret("private-encrypted-bla", base64.b64decode(KEY))
    data = json.loads(sealing.item("private-encrypted-bla", "e", text))["data"]
    assert open_envelope(data, secret).decode() == text
    body = json.loads(sealing.event(["private-encrypted-bla"], "e", text))
    assert open_envelope(body["data"], secret).decode() == text


def test_an_encrypted_channel_needs_a_key():
    """Nothing leaves in the clear."""
    with pytest.raises(ValidationError, match=r"^channel: encrypted, but there is no encryption_master_key_base64"):
        encoder.item("private-encrypted-x", "e", "x")
    with pytest.raises(ValidationError, match=r"^channel: encrypted, but"):
        encoder.event("private-encrypted-x", "e", "x")


def test_an_encrypted_channel_goes_alone():
    """Also with a key."""
    with pytest.raises(ValidationError, match="encrypted channel among 2"):
        Encoder(encryption_master_key_base64=KEY).event(["private-encrypted-x", "y"], "e", "x")


@pytest.mark.parametrize("make", ["item", "event"])
def test_event_sealed_again_under_its_id_has_the_same_bytes(make):
    """A call whose answer was lost is repeated with its id: another nonce would be a conflict with itself."""
    sealing = Encoder(encryption_master_key_base64=KEY)
    one, again = (getattr(sealing, make)("private-encrypted-x", "e", "x", message_id="id") for _ in range(2))
    assert one == again
    assert getattr(sealing, make)("private-encrypted-x", "e", "x") != getattr(sealing, make)(
        "private-encrypted-x", "e", "x"
    )
    assert b'"message_id":"id"' in one
    for other in ({"message_id": "another"}, {"payload": "y"}, {"channel": "private-encrypted-y"}):
        given = {"channel": "private-encrypted-x", "name": "e", "payload": "x", "message_id": "id", **other}
        data = json.loads(
            getattr(sealing, make)(given.pop("channel"), given.pop("name"), given.pop("payload"), **given)
        )
        assert data["data"] != json.loads(one)["data"]


def test_already_encrypted_text_must_be_an_envelope():
    """A finished envelope goes as it is; anything else on such a channel is a leak about to happen."""
    envelope = '{"nonce":"AAAA","ciphertext":"AAAA"}'
    item = encoder.item("private-encrypted-x", "e", envelope, already_encrypted=True)
    assert json.loads(item)["data"] == envelope
    with pytest.raises(ValidationError, match="no encryption envelope"):
        encoder.item("private-encrypted-x", "e", "plain", already_encrypted=True)
    assert json.loads(encoder.item("x", "e", "plain", already_encrypted=True))["data"] == "plain"


BAD_ITEMS = {
    "channel": ({"channel": "a b"}, "channel: "),
    "channel empty": ({"channel": ""}, "channel: empty"),
    "channel long": ({"channel": "x" * 201}, "channel: 201 bytes, limit 200"),
    "channel bytes": ({"channel": b"c"}, "channel: a bytes"),
    "channel list": ({"channel": ["c"]}, "channel: a list"),
    "name empty": ({"name": ""}, "event name: empty"),
    "name long": ({"name": "x" * 201}, "event name: 201 bytes, limit 200"),
    "name none": ({"name": None}, "event name: a NoneType"),
    "message id empty": ({"message_id": ""}, "message_id: empty"),
    "message id long": ({"message_id": "x" * 129}, "message_id: 129 bytes, limit 128"),
    "socket id": ({"socket_id": "1.1\n"}, "socket_id: "),
    "key": ({"idempotency_key": ""}, "idempotency_key: empty"),
    "info": ({"info": 5}, "info: expected"),
    "info within": ({"info": [5]}, "info: expected"),
    "tags": ({"tags": ["a"]}, "tags: a list"),
    "tags value": ({"tags": {"a": 1}}, r"tags\['a'\]: a int, expected a str"),
    "tags name": ({"tags": {1: "a"}}, "tags: a int as a name, expected a str"),
    "extras": ({"extras": "x"}, "extras: a str"),
    "extras nan": ({"extras": {"a": math.nan}}, "extras.a: not JSON, NaN"),
    "extras surrogate": ({"extras": {"a": "\ud800"}}, "extras: not UTF-8"),
    "extras large": ({"extras": {"a": "x" * 65_536}}, "extras: 65544 bytes, limit 65536"),
}


@pytest.mark.parametrize(("bad", "complaint"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
def test_bad_field_is_refused_in_items_and_events(bad, complaint):
    """By field and size, in both bodies."""
    fields = {"channel": "c", "name": "e", "payload": "x", **bad}
    with pytest.raises(ValidationError, match=f"^{complaint}"):
        encoder.item(**fields)
    fields["channels"] = [fields.pop("channel")]
    with pytest.raises(ValidationError, match=f"^{complaint}"):
        encoder.event(**fields)


def test_two_extras_headers_are_allowed_in_direct_calls():
    """Only queued publishes are resent, and so refuse them."""
    assert json.loads(event("c", "x", extras={"headers": {"a": 1, "b": 2}}))["extras"]["headers"] == {"a": 1, "b": 2}


def test_duplicate_channels_are_sent_once():
    """Or their subscribers would get the event twice."""
    assert json.loads(event(["a", "b", "a"], "x"))["channels"] == ["a", "b"]


def test_input_is_never_changed():
    """No key and no ciphertext is written into the caller's objects."""
    tags, extras, data = {"a": "b"}, {"headers": {"x": 1}}, {"k": [1]}
    encoder.item("c", "e", encoder.payload(data), tags=tags, extras=extras, message_id="1")
    assert (tags, extras, data) == ({"a": "b"}, {"headers": {"x": 1}}, {"k": [1]})


def test_master_key_must_be_sound_and_does_not_show():
    """Malformed: a ConfigurationError. Sound: not in repr."""
    with pytest.raises(ConfigurationError, match="31 bytes"):
        Encoder(encryption_master_key_base64="dGhpcyBpcyAzMSBieXRlcyAxMjM0NTY3ODkwMTIzNA==")
    assert KEY not in repr(Encoder(encryption_master_key_base64=KEY))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(data=json_values, name=st.text(min_size=1, max_size=60), message_id=st.text(min_size=1, max_size=30))
def test_an_item_says_what_was_given(data, name, message_id):
    """Whatever the text, the item is valid JSON that holds it, and the same bytes each time."""
    try:
        payload = encoder.payload(data)
        item = encoder.item("c", name, payload, message_id=message_id)
    except ValidationError:
        return  # too long in bytes
    assert item == encoder.item("c", name, payload, message_id=message_id)
    said = json.loads(item)
    assert (said["channel"], said["name"], said["message_id"]) == ("c", name, message_id)
    assert said["data"] == data if isinstance(data, str) else json.loads(said["data"]) == data

"""What an auth endpoint answers and refuses: arguments, form bodies, members, users."""

import enum
import hashlib
import hmac
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.form import MAX_FORM_BYTES, MAX_FORM_FIELDS, form_fields
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

MASTER_KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="
CLIENT = Sockudo("1", "the-key", "the-secret", encryption_master_key_base64=MASTER_KEY)


def signed(text: str) -> str:
    """An `auth` by the standard library alone."""
    return "the-key:" + hmac.new(b"the-secret", text.encode(), hashlib.sha256).hexdigest()


def form(channel: str, socket_id: str = "1.1", **more: str) -> bytes:
    return urlencode({"socket_id": socket_id, "channel_name": channel, **more}).encode()


# -- arguments


def test_order_of_arguments_is_pushers():
    """By position and by pusher's names."""
    assert list(inspect.signature(CLIENT.authenticate).parameters) == ["channel", "socket_id", "custom_data"]
    assert list(inspect.signature(CLIENT.authenticate_user).parameters) == ["socket_id", "user_data"]
    expected = {"auth": signed("1.2:private-a")}
    assert CLIENT.authenticate("private-a", "1.2") == expected
    assert CLIENT.authenticate(channel="private-a", socket_id="1.2", custom_data=None) == expected
    assert CLIENT.authorize_channel("private-a", "1.2") == expected


def test_values_are_str_in_a_fixed_order():
    """json.dumps of the answer is what the browser gets."""
    answer = CLIENT.authenticate("private-encrypted-a", "1.2", {"user_id": "u"})
    assert list(answer) == ["auth", "channel_data", "shared_secret"]
    assert {type(value) for value in answer.values()} == {str}
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize("channel", ["private-a", "private-encrypted-a", "presence-a", "private-1.1"])
def test_swapped_arguments_are_refused(channel):
    """A channel is no socket id."""
    with pytest.raises(ValidationError, match=r"socket_id: .* expected digits.digits"):
        CLIENT.authenticate("1.1", channel, {"user_id": "1"})
    with pytest.raises(ValidationError, match="socket_id"):
        CLIENT.authenticate_user({"id": "1"}, "1.1")  # type: ignore[arg-type]


SOCKET_IDS = ["1234.12:lalala", "12341234", "1.1:", ":1.1", ":\n1.1", "1.1\n:", "1.1\n", "", " 1.1", "1.1 "]


@pytest.mark.parametrize(
    "socket_id", [*SOCKET_IDS, "1.1:private-b", "\u0661.\u0661", None, 1.1, b"1.1", ["1.1"], "1" * 21 + ".1"]
)
def test_malformed_socket_ids_are_refused(socket_id):
    """In each call, by argument and by form."""
    calls = [
        lambda: CLIENT.authenticate("private-a", socket_id),
        lambda: CLIENT.authenticate("presence-a", socket_id, {"user_id": "1"}),
        lambda: CLIENT.authenticate_user(socket_id, {"id": "1"}),
    ]
    if isinstance(socket_id, str):
        calls += [
            lambda: CLIENT.authorize_private_channel(form("private-a", socket_id)),
            lambda: CLIENT.authorize_presence_channel(form("presence-a", socket_id), {"user_id": "1"}),
            lambda: CLIENT.authenticate_user_form(form("", socket_id), {"id": "1"}),
        ]
    for call in calls:
        with pytest.raises(ValidationError, match=r"^socket_id: "):
            call()


CHANNELS = [
    ':user::{"id":"admin"}',
    'private-:user::{"id":"admin"}',
    'presence-x:{"user_id":"admin","user_info":{}}',
    "private-a\n",
    "private-ä",
    "private-a b",
    "private-a/b",
    "private-#a",
    "private-" + "x" * 193,
    "",
]


@pytest.mark.parametrize("channel", [*CHANNELS, None, 1, b"private-a", ["private-a"]])
def test_malformed_channels_are_refused(channel):
    """In each call, by argument and by form."""
    calls = [lambda: CLIENT.authenticate(channel, "1.1", {"user_id": "1"})]
    if isinstance(channel, str):
        calls += [
            lambda: CLIENT.authorize_private_channel(form(channel)),
            lambda: CLIENT.authorize_presence_channel(form(channel), {"user_id": "1"}),
        ]
    for call in calls:
        with pytest.raises(ValidationError, match=r"^channel(_name)?: ") as refusal:
            call()
        assert "admin" not in str(refusal.value)


@pytest.mark.parametrize(
    "channel", ["news", "Private-a", "private", "presence", "#server-to-user-1", "cache-a", "encrypted-private-a", "-"]
)
def test_public_channels_are_refused(channel):
    """They need no signature: asking for one is a mistake of the page or of the endpoint."""
    with pytest.raises(ValidationError, match=r"^channel: public, expected private-… or presence-…$"):
        CLIENT.authenticate(channel, "1.1", {"user_id": "1"})


def test_200_bytes_of_channel_are_allowed():
    """The limit itself."""
    channel = "private-" + "x" * 192
    assert CLIENT.authenticate(channel, "1.1") == {"auth": signed(f"1.1:{channel}")}


def test_encrypted_channels_need_a_master_key():
    """Or the subscriber could read nothing."""
    client = Sockudo("1", "k", "s")
    for call in (
        lambda: client.authenticate("private-encrypted-a", "1.1"),
        lambda: client.authorize_private_channel(form("private-encrypted-a")),
    ):
        with pytest.raises(ValidationError, match="channel: encrypted, but there is no encryption_master_key_base64"):
            call()


def test_empty_custom_data_on_a_private_channel_is_none():
    """As in pusher."""
    for empty in (None, {}, "", []):
        assert CLIENT.authenticate("private-a", "1.2", empty) == {"auth": signed("1.2:private-a")}


@pytest.mark.parametrize("data", [b"foo", bytearray(b"foo"), object(), {1, 2}, "\ud800"])
def test_custom_data_that_is_no_json_is_refused(data):
    """Bytes too: no code could tell whether they are JSON already."""
    with pytest.raises(ValidationError, match=r"^custom_data: not "):
        CLIENT.authenticate("private-a", "1.1", data)


# -- members


@dataclass
class MemberData:
    user_id: str
    user_info: Any = None


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ({"user_id": "1"}, '{"user_id":"1"}'),
        ({"user_id": "1", "user_info": {}}, '{"user_id":"1","user_info":{}}'),
        ({"user_info": [1, None, "ü<&"], "user_id": "ü"}, '{"user_info":[1,null,"ü<&"],"user_id":"ü"}'),
        ({"user_id": "1", "user_info": "text", "more": True}, '{"user_id":"1","user_info":"text","more":true}'),
        (MappingProxyType({"user_id": "1"}), '{"user_id":"1"}'),
        (MemberData("1"), '{"user_id":"1"}'),
        (MemberData("1", {"name": "é"}), '{"user_id":"1","user_info":{"name":"é"}}'),
        (SimpleNamespace(user_id='"'), '{"user_id":"\\""}'),
    ],
)
def test_members(member, text):
    """Mappings as they are, objects by their attributes; the text signed is the text returned."""
    expected = {"auth": signed(f"1.1:presence-a:{text}"), "channel_data": text}
    assert CLIENT.authenticate("presence-a", "1.1", member) == expected
    assert CLIENT.authorize_presence_channel(form("presence-a"), member) == expected
    assert CLIENT.authenticate_presence_channel(form("presence-a"), member) == expected


class Colour(str, enum.Enum):
    RED = "red"


LOOP: dict[str, Any] = {"user_id": "1"}
LOOP["user_info"] = LOOP


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        (None, "none, expected a mapping with user_id"),
        ("1", "a str, expected a mapping with user_id"),
        ({}, "user_id: missing"),
        ([("user_id", "1")], "a list, expected"),
        ({"id": "1"}, "user_id: missing"),
        ({"user_id": 1}, "user_id: a int, expected a str"),
        ({"user_id": None}, "user_id: a NoneType"),
        ({"user_id": b"1"}, "user_id: a bytes"),
        ({"user_id": ""}, "user_id: empty"),
        ({"user_id": "x" * 201}, "user_id: 201 bytes, limit 200"),
        ({"user_id": "é" * 101}, "user_id: 202 bytes, limit 200"),
        ({"user_id": "\ud800"}, "user_id: not UTF-8"),
        ({"user_id": "1", "user_info": "\ud800"}, "not UTF-8"),
        ({"user_id": "1", "user_info": float("nan")}, "not JSON, NaN"),
        ({"user_id": "1", "user_info": {1, 2}}, "not JSON, Object of type set"),
        (LOOP, "circular or too deep"),
    ],
)
def test_members_refused(member, complaint):
    """Each by its field, never with a value of it."""
    for call, field in (
        (lambda: CLIENT.authenticate("presence-a", "1.1", member), "custom_data"),
        (lambda: CLIENT.authorize_presence_channel(form("presence-a"), member), "member"),
    ):
        with pytest.raises(ValidationError, match=f"^{field}[.:]") as refusal:
            call()
        assert complaint in str(refusal.value)


@pytest.mark.parametrize("user_id", ["x", "x" * 200, "é" * 100, "a b/ü:#\n", Colour.RED])
def test_user_ids_of_any_characters(user_id):
    """Up to 200 bytes of UTF-8."""
    data = CLIENT.authenticate("presence-a", "1.1", {"user_id": user_id})["channel_data"]
    assert json.loads(data) == {"user_id": str.__str__(user_id)}
    assert json.loads(CLIENT.authenticate_user("1.1", {"id": user_id})["user_data"]) == {"id": str.__str__(user_id)}


def test_caller_s_objects_are_not_changed():
    """Nor kept."""
    member, user = {"user_id": "1", "user_info": {"a": [1]}}, {"id": "1"}
    CLIENT.authenticate("presence-a", "1.1", member)
    CLIENT.authenticate_user("1.1", user)
    assert member == {"user_id": "1", "user_info": {"a": [1]}}
    assert user == {"id": "1"}


def test_json_encoder_of_the_client_is_used():
    """As pusher does; what it says is what is signed."""

    class Encoder(json.JSONEncoder):
        def default(self, o: object) -> object:
            return f"<{type(o).__name__}>"

    client = Sockudo("1", "the-key", "the-secret", json_encoder=Encoder)
    answer = client.authenticate("presence-a", "1.1", {"user_id": "1", "user_info": {1}})
    assert answer["channel_data"] == '{"user_id":"1","user_info":"<set>"}'
    assert client.authenticate_user("1.1", {"id": "1", "x": {1}})["user_data"] == '{"id":"1","x":"<set>"}'


# -- users


@pytest.mark.parametrize(
    ("user_data", "complaint"),
    [
        (None, "user_data: a NoneType, expected a mapping with id"),
        ('{"id":"1"}', "user_data: a str, expected a mapping"),
        ({}, "user_data.id: missing"),
        ({"user_id": "1"}, "user_data.id: missing"),
        ({"id": 1}, "user_data.id: a int, expected a str"),
        ({"id": ""}, "user_data.id: empty"),
        ({"id": "x" * 201}, "user_data.id: 201 bytes, limit 200"),
        ({"id": "1", "x": float("inf")}, "user_data.x: not JSON"),
        ({"id": "1", "x": b""}, "user_data.x: not JSON, Object of type bytes"),
    ],
)
def test_users_refused(user_data, complaint):
    """Missing, of another type and empty are three different complaints."""
    for call in (
        lambda: CLIENT.authenticate_user("1.1", user_data),
        lambda: CLIENT.authenticate_user_form(b"socket_id=1.1", user_data),
    ):
        with pytest.raises(ValidationError) as refusal:
            call()
        assert str(refusal.value).startswith(complaint)


def test_user_from_a_form():
    """Other fields are the page's business."""
    expected = {"auth": signed('1.1::user::{"id":"1"}'), "user_data": '{"id":"1"}'}
    assert CLIENT.authenticate_user_form(b"csrf=x%00&socket_id=1.1", {"id": "1"}) == expected


# -- forms


def test_forms_as_browsers_send_them():
    """Bytes or text, escaped or not, in any order, with fields of the page."""
    private = {"auth": signed("1.1:private-a=@,.;b")}
    for body in (
        b"socket_id=1.1&channel_name=private-a%3D%40%2C.%3Bb",
        "socket_id=1.1&channel_name=private-a%3d%40%2c.%3bb",
        b"channel_name=private-a=@,.;b&socket_id=1%2E1",
        b"&&csrf=&csrf=%FF&x&socket%5Fid=1.1&channel_name=private-a%3D%40%2C.%3Bb&",
        bytearray(b"a=b;channel_name=x&channel_name=private-a=@,.;b&socket_id=1.1"),
    ):
        assert CLIENT.authorize_private_channel(body) == private
        assert CLIENT.authenticate_private_channel(body) == private


def test_prefixes_of_forms():
    """A private channel's endpoint gives no presence away, and the other way round."""
    for channel in ("presence-a", "news", "#server-to-user-1", "xprivate-a"):
        with pytest.raises(ValidationError, match=r"^channel_name: expected private-…$|^channel"):
            CLIENT.authorize_private_channel(form(channel))
    for channel in ("private-a", "private-encrypted-a", "news", "xpresence-a"):
        with pytest.raises(ValidationError, match=r"^channel_name: expected presence-…$"):
            CLIENT.authorize_presence_channel(form(channel), {"user_id": "1"})


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "channel_name: not in the form body"),
        (b"socket_id=1.1", "channel_name: not in the form body"),
        (b"channel_name=private-a", "socket_id: not in the form body"),
        (b"channel_name=&socket_id=1.1", "channel_name: empty in the form body"),
        (b"channel_name&socket_id=1.1", "channel_name: empty in the form body"),
        (b"channel_name=private-a&socket_id=1.1&channel_name=private-b", "channel_name: twice in the form body"),
        (b"channel_name=private-a&socket_id=1.1&channel%5Fname=private-b", "channel_name: twice in the form body"),
        (b"channel_name=private-a&socket_id=1.1&socket_id=1.1", "socket_id: twice in the form body"),
        (b"channel_name=private-a%ff&socket_id=1.1", "channel_name: not UTF-8"),
        (b"channel_name=private-a\xff&socket_id=1.1", "form body: 37 bytes that are not UTF-8"),
        (b"channel_name=private-%zz&socket_id=1.1", "channel_name: a percent sign without two hex digits"),
        (b"channel_name=private-a%&socket_id=1.1", "channel_name: a percent sign without two hex digits"),
        (b"%ff=1&channel_name=private-a&socket_id=1.1", "form body: not UTF-8"),
        (b"channel_name=private-a+b&socket_id=1.1", "channel: 11 characters, of which some are not allowed"),
        (b'{"channel_name":"private-a","socket_id":"1.1"}', "channel_name: not in the form body"),
        (b"x" * (MAX_FORM_BYTES + 1), "form body: 65537 bytes, limit 65536"),
        (b"&".join([b"x=1"] * MAX_FORM_FIELDS) + b"&channel_name=private-a", "form body: more than 1000 fields"),
        ("channel_name=private-a\ud800&socket_id=1.1", "channel_name: not UTF-8"),
        (None, "form body: a NoneType, expected bytes or str"),
        ([("channel_name", "private-a")], "form body: a list, expected bytes or str, or a parsed form"),
    ],
)
def test_forms_refused(body, complaint):
    """Each with what is wrong, never with the value."""
    with pytest.raises(ValidationError) as refusal:
        CLIENT.authorize_private_channel(body)
    assert str(refusal.value).startswith(complaint)


def test_a_form_as_large_as_allowed():
    """The limits themselves."""
    start = b"channel_name=private-a&socket_id=1.1&x="
    assert CLIENT.authorize_private_channel(start + b"x" * (MAX_FORM_BYTES - len(start)))
    fields = b"&".join([b"x=1"] * (MAX_FORM_FIELDS - 2)) + b"&channel_name=private-a&socket_id=1.1"
    assert CLIENT.authorize_private_channel(fields)


# -- properties

HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200),
    st.lists(
        st.tuples(
            st.sampled_from(["channel_name", "socket_id", "channel%5Fname", "x", "socket_id%00", ""]),
            st.one_of(
                st.sampled_from(["private-a", "presence-a", "1.1", "%3Auser%3A%3A%7B%22id%22%3A%22a%22%7D", "%", "+"]),
                st.text(max_size=20),
            ),
        ).map("=".join),
        max_size=5,
    ).map("&".join),
)


@given(HOSTILE)
@example("channel_name=private-a&socket_id=1.1&channel_name=private-b")
def test_hostile_forms_are_signed_as_read_or_refused(body):
    """Whatever is signed is one channel and one socket id that the browser's own parser reads as well."""
    try:
        answer = CLIENT.authorize_private_channel(body)
    except ValidationError:
        return
    text = body if isinstance(body, str) else body.decode()
    fields = [pair for pair in parse_qsl(text, keep_blank_values=True) if pair[0] in ("channel_name", "socket_id")]
    assert len(fields) == 2
    channel, socket_id = dict(fields)["channel_name"], dict(fields)["socket_id"]
    assert channel.startswith("private-")
    assert answer["auth"] == signed(f"{socket_id}:{channel}")


@given(st.text(max_size=40), st.text(max_size=20), st.one_of(st.none(), st.dictionaries(st.text(), st.text())))
@example("private-a", "1.1", None)
@example("presence-a", "1.1", {"user_id": "1"})
def test_whatever_is_signed_can_be_read_in_one_way(channel, socket_id, data):
    """The parts of the signed text cannot be moved over their borders: no ':user::', no JSON in a name."""
    try:
        answer = CLIENT.authenticate(channel, socket_id, data)
    except ValidationError:
        return
    assert channel.startswith(("private-", "presence-"))
    assert not set(channel) & set('{}"\\/ \n')
    assert all(part.isascii() and part.isdigit() for part in socket_id.split("."))
    text = answer.get("channel_data")
    assert answer["auth"] == signed(f"{socket_id}:{channel}" + ("" if text is None else f":{text}"))


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_forms_round_trip(fields):
    """What the standard library encodes is read back, in both of its spellings."""
    wanted = [name for name, value in fields.items() if value]
    for encoded in (urlencode(fields), urlencode(fields, quote_via=quote)):
        assert form_fields(encoded.encode(), *wanted) == tuple(fields[name] for name in wanted)


def test_answers_are_dicts():
    """Frameworks make JSON of dicts, not of any mapping."""
    answers: list[Mapping[str, str]] = [
        CLIENT.authenticate("private-a", "1.1"),
        CLIENT.authenticate_user("1.1", {"id": "1"}),
    ]
    assert [type(answer) for answer in answers] == [dict, dict]

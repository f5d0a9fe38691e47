"""What may be published, at the limit and one beyond it."""

import enum
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.wire import limits
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit


class Board(str, enum.Enum):
    EWR = "board-EWR"


GOOD_CHANNELS = [
    "a",
    "test_-=@,.;channel",
    "ns:room",
    "a" * 200,
    ".",
    "..",
    "private-encrypted-x",
    "#server-to-user-123456",
]
BAD_CHANNELS = {
    "empty": "",
    "too long": "x" * 201,
    "way too long": "a" * 203,
    "dollar": "abc$",
    "symbols": "w000^$$£@@@",
    "space": "a b",
    "trailing newline": "abc\n",
    "slash": "a/b",
    "not ascii": "ü",
    "other digits": "\u0661",
    "hash elsewhere": "a#b",
    "hash alone": "#a",
    "user empty": "#server-to-user-",
    "user with space": "#server-to-user-a b",
    "quote": 'a"b',
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("channel", GOOD_CHANNELS)
def test_legal_channel(channel):
    """All the alphabet, up to 200 bytes, dots alone, and the channel of one user."""
    assert limits.check_channel(channel) == channel


@pytest.mark.parametrize("channel", BAD_CHANNELS.values(), ids=BAD_CHANNELS.keys())
def test_illegal_channel(channel):
    """Refused, with the field and never the name."""
    with pytest.raises(ValidationError, match=r"^channel: ") as caught:
        limits.check_channel(channel)
    assert not channel or channel not in str(caught.value).replace("a-z", "")


def test_sizes_and_limits_are_in_the_complaint():
    """A long name says how long, in bytes."""
    with pytest.raises(ValidationError, match=r"^channel: 212 bytes, limit 200$"):
        limits.check_channel("x" * 212)
    with pytest.raises(ValidationError, match=r"^event name: 202 bytes, limit 200$"):
        limits.check_event_name("ü" * 101)


@pytest.mark.parametrize("value", [None, b"a", 1, ["a"]])
def test_what_is_no_text_is_refused(value):
    """Every check names the type that it got."""
    checks = (limits.check_channel, limits.check_event_name, limits.check_socket_id, limits.check_id)
    for check in checks:
        with pytest.raises(ValidationError, match=f"a {type(value).__name__}, expected a str"):
            check(value)


def test_text_of_a_subclass_becomes_plain_text():
    """A str Enum means its value, which f-strings would not print."""
    name = limits.check_channel(Board.EWR)
    assert (type(name), name) == (str, "board-EWR")
    assert type(limits.check_event_name(Board.EWR)) is str


@pytest.mark.parametrize("name", ["e", "x" * 200, "ü" * 100, "pusher:x", "with space\n", '"'])
def test_legal_event_name(name):
    """Any text of 1 to 200 bytes."""
    assert limits.check_event_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 201, "ü" * 101, "\ud800"])
def test_illegal_event_name(name):
    """Empty, 201 bytes, or no UTF-8."""
    with pytest.raises(ValidationError, match=r"^event name: "):
        limits.check_event_name(name)


@pytest.mark.parametrize("socket_id", ["1234.12", "1.1", "18446744073709551615.18446744073709551615"])
def test_legal_socket_id(socket_id):
    """Digits, a dot, digits: two u64."""
    assert limits.check_socket_id(socket_id) == socket_id


@pytest.mark.parametrize(
    "socket_id",
    ["1234.12:lalala", "12341234", "1.1:", ":1.1", ":\n1.1", "1.1\n:", "1.1\n", "", "\u0661.1", "1." + "1" * 21],
)
def test_illegal_socket_id(socket_id):
    """Whatever could smuggle something into a signed string."""
    with pytest.raises(ValidationError, match=r"^socket_id: "):
        limits.check_socket_id(socket_id)


def test_ids_have_1_to_128_bytes():
    """Bytes, not characters."""
    assert limits.check_id("x" * 128) == "x" * 128
    assert limits.check_id("ü" * 64) == "ü" * 64
    for bad in ("", "x" * 129, "ü" * 65, "\ud800"):
        with pytest.raises(ValidationError, match=r"^key: "):
            limits.check_id(bad, field="key")


@pytest.mark.parametrize("key", [" a", "a ", "a\r\nX-Evil: 1", "ü", "\t", "a\x7f"])
def test_idempotency_key_must_fit_into_a_header(key):
    """It travels in X-Idempotency-Key as well."""
    with pytest.raises(ValidationError, match=r"^idempotency_key: "):
        limits.check_idempotency_key(key)
    assert limits.check_idempotency_key("order 789/shipped") == "order 789/shipped"


def test_channels_are_merged_in_order():
    """A channel named twice gets the event once."""
    assert limits.check_channels(["b", "a", "b"]) == ("b", "a")
    assert limits.check_channels("b") == ("b",)
    assert limits.check_channels(iter(("x", "y"))) == ("x", "y")


def test_at_most_100_channels():
    """100 go, 101 do not; a hundred and a repeat do."""
    names = [f"c{n}" for n in range(100)]
    assert len(limits.check_channels([*names, "c0"])) == 100
    with pytest.raises(ValidationError, match=r"^channels: 101, limit 100$"):
        limits.check_channels([*names, "c100"])
    with pytest.raises(ValidationError, match=r"^channels: more than 100, limit 100$"):
        limits.check_channels(f"c{n}" for n in itertools.count())


@pytest.mark.parametrize("channels", [[], (), b"a", {"a": 1}, 5, None])
def test_no_channels_or_something_else(channels):
    """Neither nothing nor what only looks like a sequence of names."""
    with pytest.raises(ValidationError, match=r"^channels: "):
        limits.check_channels(channels)


def test_one_bad_channel_refuses_all():
    """Nothing is published in part."""
    with pytest.raises(ValidationError, match=r"^channel: "):
        limits.check_channels(["a", "b c"])


@pytest.mark.parametrize(
    "channels",
    [["private-encrypted-a", "b"], ["b", "private-encrypted-a"], ["private-encrypted-a", "private-encrypted-b"]],
)
def test_an_encrypted_channel_goes_alone(channels):
    """One ciphertext cannot serve two channels, encrypted or not."""
    with pytest.raises(ValidationError, match="encrypted channel among 2"):
        limits.check_channels(channels)


def test_data_at_the_limit_is_allowed():
    """Equal to the limit goes, one byte more does not."""
    limits.check_data_bytes(81_920, 81_920)
    with pytest.raises(ValidationError, match=r"^data: 81921 bytes, limit 81920$"):
        limits.check_data_bytes(81_921, 81_920)


@pytest.mark.parametrize(
    "extras",
    [None, {}, {"headers": {"a": 1}}, {"ai": {"transport": {"a": 1}, "codec": {"b": 2}}}, {"x": {"a": 1, "b": 2}}],
)
def test_extras_that_resend_identically(extras):
    """At most one entry in each of the server's unordered maps; other objects are free."""
    limits.check_queue_extras(extras)


@pytest.mark.parametrize(
    ("extras", "field"),
    [
        ({"headers": {"a": 1, "b": 2}}, "extras.headers"),
        ({"ai": {"transport": {"a": 1, "b": 2}}}, "extras.ai.transport"),
        ({"ai": {"codec": {"a": 1, "b": 2, "c": 3}}}, "extras.ai.codec"),
    ],
)
def test_extras_whose_resend_would_be_a_conflict(extras, field):
    """Two entries, and the server calls an identical resend another payload."""
    with pytest.raises(ValidationError, match=rf"^{field}: . entries, limit 1"):
        limits.check_queue_extras(extras)


@given(st.text(max_size=250))
def test_a_channel_is_legal_or_a_validation_error(text):
    """What passes is short, of the alphabet, and needs no JSON escaping."""
    try:
        channel = limits.check_channel(text)
    except ValidationError:
        return
    assert channel == text
    assert 1 <= len(text.encode()) <= 200
    assert not set(text) & set('"\\/ \n')

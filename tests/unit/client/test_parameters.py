"""The bounds of queries and orders: what passes becomes exact text, what does not names field, size and limit."""

import enum
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.wire.parameters import (
    attribute_list,
    checked_cursor,
    checked_json,
    checked_limit,
    checked_opaque_serial,
    checked_serial,
    checked_text,
    checked_time_ms,
    checked_user_id,
    json_body,
)
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit


class Attribute(str, enum.Enum):
    USERS = "user_count"


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ((), None),
        (None, None),
        ([], None),
        ("", None),
        (" , ", None),
        ("user_count", "user_count"),
        ("user_count, subscription_count", "user_count,subscription_count"),
        (["user_count", "subscription_count"], "user_count,subscription_count"),
        (("cache",), "cache"),
        ([Attribute.USERS], "user_count"),
    ],
)
def test_attributes_are_a_sequence_or_ready_text(attributes, text):
    """Joined with commas, as the server reads them."""
    assert attribute_list(attributes) == text


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        (5, "attributes: a int, expected"),
        (b"user_count", "attributes: a bytes, expected"),
        ({"user_count": True}, "attributes: a dict, expected"),
        ([5], "attributes: a int among them, expected str"),
        (["user count"], "attributes: 10 characters, expected names"),
        ("a&b=c", "attributes: 5 characters, expected names"),
        ("x" * 201, "attributes: 201 characters, limit 200"),
    ],
)
def test_bad_attributes(attributes, complaint):
    """Named by type and size, never by value."""
    with pytest.raises(ValidationError, match=complaint):
        attribute_list(attributes)


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_serials_of_64_bits_stay_whole(serial):
    """As an int or as text, also where a float would round."""
    assert checked_serial("start_serial", serial) == checked_serial("start_serial", str(serial)) == serial
    assert checked_opaque_serial("message_serial", serial) == str(serial)
    assert json.loads(json_body({"before_serial": serial})) == {"before_serial": serial}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (-1, "start_serial: -1, must be at least 0"),
        (2**64, f"start_serial: 65 bits, limit {2**64 - 1}"),
        (str(2**64), f"start_serial: 65 bits, limit {2**64 - 1}"),
        (10**400, f"start_serial: 1329 bits, limit {2**64 - 1}"),
        (-(10**400), "start_serial: negative, must be at least 0"),
        (1.0, "start_serial: a float, expected a whole number"),
        (True, "start_serial: a bool, expected a whole number"),
        ("", "start_serial: 0 characters, expected 1 to 20 digits"),
        ("1" * 21, "start_serial: 21 characters, expected 1 to 20 digits"),
        ("+1", "start_serial: 2 characters, expected 1 to 20 digits"),
        ("1_0", "start_serial: 3 characters, expected 1 to 20 digits"),
        (" 1", "start_serial: 2 characters, expected 1 to 20 digits"),
        ("1\n", "start_serial: 2 characters, expected 1 to 20 digits"),
        ("\u0661", "start_serial: 1 characters, expected 1 to 20 digits"),
        (b"1", "start_serial: a bytes, expected a whole number"),
    ],
    ids=str,
)
def test_bad_serial(value, complaint):
    """Anything but 64 bits without a sign."""
    with pytest.raises(ValidationError) as caught:
        checked_serial("start_serial", value)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\tb", "x" * 129, "ü" * 65, 1.5, None, True, -1, 2**64, b"1", "\ud800"]
)
def test_bad_opaque_serial(value):
    """Text of the server's has 1 to 128 bytes and no space."""
    with pytest.raises(ValidationError, match=r"^message_serial: "):
        checked_opaque_serial("message_serial", value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, None, 2**64])
def test_bad_limit(value):
    """The server answers 400 to 0; a float or text is a mistake."""
    with pytest.raises(ValidationError, match=r"^limit: "):
        checked_limit(value)


@pytest.mark.parametrize("value", [-1, 1.5, math.nan, "1", True, 2**63])
def test_bad_time(value):
    """Whole milliseconds, as time.time() * 1000 is not."""
    with pytest.raises(ValidationError, match=r"^start_time_ms: "):
        checked_time_ms("start_time_ms", value)


@pytest.mark.parametrize(("value", "size"), [("x" * 200, 200), ("ü" * 100, 200), ("a b/c?d#e", 9)])
def test_user_ids_have_any_characters(value, size):
    """Up to 200 bytes, as the limit of the protocol is, where the Go SDK stops at 199."""
    assert checked_user_id(value) == value
    assert len(value.encode()) == size


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "user_id: empty, limit 200 bytes"),
        ("x" * 201, "user_id: 201 bytes, limit 200"),
        ("ü" * 101, "user_id: 202 bytes, limit 200"),
        ("\ud800", "user_id: not UTF-8 (a lone surrogate)"),
        (5, "user_id: a int, expected a str"),
        (None, "user_id: a NoneType, expected a str"),
    ],
)
def test_bad_user_id(value, complaint):
    """By bytes, not by characters."""
    with pytest.raises(ValidationError) as caught:
        checked_user_id(value)
    assert str(caught.value) == complaint


def test_text_of_an_enum_is_its_value():
    """Not "Attribute.USERS"."""
    assert checked_text("reason", Attribute.USERS, 20) == "user_count"
    assert type(checked_text("reason", Attribute.USERS, 20)) is str


@pytest.mark.parametrize("value", ["", "x" * 16_385, "ü", 5])
def test_bad_cursor(value):
    """The server reads 16 KiB."""
    with pytest.raises(ValidationError, match=r"^cursor: "):
        checked_cursor(value)


def circle():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (math.nan, "metadata: not JSON, NaN, an infinite number or a circle"),
        (object(), "metadata: not JSON, Object of type object is not JSON serializable"),
        ({(1, 2): "secret"}, "metadata: not JSON, keys must be str, int, float, bool or None, not tuple"),
        (circle(), "metadata: not JSON, NaN, an infinite number or a circle"),
        ("\ud800", "metadata: not JSON, a lone surrogate"),
        ("x" * 65_535, "metadata: 65537 bytes, limit 65536"),
    ],
    ids=["nan", "object", "key", "circle", "surrogate", "size"],
)
def test_bad_json(value, complaint):
    """Says why, and holds nothing of the value."""
    with pytest.raises(ValidationError) as caught:
        checked_json("metadata", value)
    assert str(caught.value) == complaint
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_body_has_the_fields_that_are_there():
    """Compact, not escaped, None left out, false and zero kept."""
    assert json_body({"a": None, "b": 0, "c": False, "d": "ü"}) == '{"b":0,"c":false,"d":"ü"}'.encode()

"""Complaints about what is no JSON say where it is, and hold no value."""

import enum
import json

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.parameters import checked_json
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

#: No JSON, in any form.
NO_JSON = {"hush"}


class Hush(enum.Enum):
    SECRET = frozenset({"hush"})


def circle():
    inner = {"name": "hush"}
    inner["again"] = [inner]
    return {"list": [1, inner]}


def deep(levels):
    value = NO_JSON
    for _ in range(levels):
        value = [value]
    return value


FAULTS = {
    "issue": ({"items": [1, 2, 3, {"price": NO_JSON}]}, "data.items[3].price: not JSON, Object of type set"),
    "top": (NO_JSON, "data: not JSON, Object of type set"),
    "first of several": ({"a": 1, "b": [{1}, b"hush"]}, "data.b[0]: not JSON, Object of type set"),
    "tuple": ((1, (2, Hush.SECRET)), "data[1][1]: not JSON, Object of type frozenset"),
    "bytes": ({"a": b"hush"}, "data.a: not JSON, Object of type bytes"),
    "NaN": ({"a": [float("nan")]}, "data.a[0]: not JSON, NaN"),
    "infinite": ({"a": {"b": float("-inf")}}, "data.a.b: not JSON, NaN or an infinite"),
    "name with spaces": ({"a b": NO_JSON}, "data['a b']: not JSON"),
    "name with a line end": ({"a\n\x1b]0;x": NO_JSON}, "data['a\\n\\x1b]0;x']: not JSON"),
    "long name": ({"x" * 200: NO_JSON}, f"data['{'x' * 50}']: not JSON"),
    "number as a name": ({5: NO_JSON}, "data[5]: not JSON"),
    "tuple as a name": ({"a": {("hush",): 1}}, "data.a: not JSON, keys must be str"),
    "circle": (circle(), "data: not JSON, circular"),
    "surrogate": ({"a": ["x", "\ud800hush"]}, "data.a[1]: not UTF-8"),
    "surrogate in a name": ({"a": {"\ud800hush": 1}}, "data.a: not UTF-8"),
    "surrogate in a text": ("\ud800hush", "data: not UTF-8"),
    "deep": (deep(60), "data" + "[0]" * 50 + ": not JSON, Object of type set"),
    "deeper than Python goes": (deep(100_000), "data: not JSON, circular or too deep"),
}


@pytest.mark.parametrize(("data", "complaint"), FAULTS.values(), ids=FAULTS.keys())
def test_complaint_says_where(data, complaint):
    """In the payload of any publish."""
    with pytest.raises(ValidationError) as caught:
        Encoder().payload(data)
    assert str(caught.value).startswith(complaint)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_other_fields_say_where_too():
    """Extras, a member, a user's data, and what is sent with a message."""
    client = Sockudo("a", "k", "s", port=1)
    for call, complaint in (
        (lambda: client.trigger("c", "e", 1, extras={"note": {"at": NO_JSON}}), "extras.note.at: not JSON"),
        (
            lambda: client.authenticate("presence-c", "1.1", {"user_id": "1", "user_info": {"at": [NO_JSON]}}),
            "custom_data.user_info.at[0]: not JSON",
        ),
        (lambda: client.authenticate_user("1.1", {"id": "1", "at": NO_JSON}), "user_data.at: not JSON"),
        (lambda: checked_json("data", {"at": [float("nan")]}), "data.at[0]: not JSON"),
        (lambda: checked_json("data", {"at": "\ud800"}), "data.at: not JSON, a lone surrogate"),
        (lambda: client.trigger_batch([("c", "e", {"at": NO_JSON})]), "event 0: data.at: not JSON"),
    ):
        with pytest.raises(ValidationError) as caught:
            call()
        assert str(caught.value).startswith(complaint)


class Own(json.JSONEncoder):
    """Takes sets, and fails at bytes with the value in its message."""

    def default(self, value):
        if isinstance(value, bytes):
            raise RuntimeError(f"no {value!r}")
        return sorted(value)


def test_an_encoder_of_ones_own_is_asked():
    """What it takes is no fault."""
    encoder = Encoder(json_encoder=Own)
    assert encoder.payload([NO_JSON]) == '[["hush"]]'
    with pytest.raises(ValidationError, match=r"^data\[1\]\.a: not JSON"):
        encoder.payload([NO_JSON, {"a": float("nan")}])
    with pytest.raises(ValidationError, match=r"^data\.a: not JSON, its encoder raised RuntimeError$"):
        encoder.payload({"a": b"hush"})


@pytest.mark.parametrize("channel", ["private-encrypted-c"])
def test_missing_master_key_names_variable_and_argument(channel):
    """The reader can change the one or the other."""
    client = Sockudo("a", "k", "s", port=1)
    for call in (
        lambda: client.trigger(channel, "e", 1),
        lambda: client.trigger_batch([(channel, "e", 1)]),
        lambda: client.authenticate(channel, "1.1"),
        lambda: client.authorize_private_channel(f"channel_name={channel}&socket_id=1.1"),
    ):
        with pytest.raises(ValidationError) as caught:
            call()
        assert "SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64" in str(caught.value)
        assert "encryption_master_key_base64=" in str(caught.value)

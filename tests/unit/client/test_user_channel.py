"""The channel of one user, and who names it in place of a channel."""

from __future__ import annotations

import pytest

from sockudo_publisher import Event
from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.event import as_event
from sockudo_publisher.client.wire.user_channel import channel_of_user, single_target, user_of_channel
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("user_id", ["42", "a-Z_0=@,.;:", "x" * 184])
def test_channel_and_user_belong_together(user_id: str) -> None:
    channel = channel_of_user(user_id)
    assert channel == f"#server-to-user-{user_id}"
    assert user_of_channel(channel) == user_id


def test_other_channels_are_no_users() -> None:
    assert user_of_channel("orders") is None


BAD = {
    "empty": ("", "user_id: empty, limit 184 bytes"),
    "long": ("x" * 185, "user_id: 185 bytes, limit 184"),
    "number": (42, "user_id: a int, expected a str"),
    "space": ("a b", "user_id: some characters are not allowed in a channel name"),
    "umlaut": ("ü", "user_id: some characters are not allowed"),
    "line end": ("42\n", "user_id: some characters are not allowed"),
}


@pytest.mark.parametrize(("user_id", "text"), BAD.values(), ids=BAD)
def test_id_that_no_channel_can_hold(user_id: object, text: str) -> None:
    """The error names the field, and has no error before it that holds the value."""
    with pytest.raises(ValidationError) as caught:
        channel_of_user(user_id)  # type: ignore[arg-type]
    assert str(caught.value).startswith(text)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("channel", ["orders", "", ["orders"], "#server-to-user-42"])
def test_channel_and_user_are_refused_together(channel: object) -> None:
    with pytest.raises(ValidationError, match="user_id: given together with channel"):
        single_target(channel, "42")
    with pytest.raises(ValidationError, match="user_id: given together with channel"):
        _ = Event(channel, "e", 1, user_id="42").target  # type: ignore[arg-type]


def test_event_of_a_dict_may_leave_the_channel_out() -> None:
    """If it names a user, and not otherwise."""
    event = as_event({"user_id": "42", "name": "e", "data": 1})
    assert (event.channel, event.target) == (None, "#server-to-user-42")
    assert as_event({"channel": None, "user_id": "42", "name": "e", "data": 1}) == event
    for given in ({"name": "e", "data": 1}, {"user_id": None, "name": "e", "data": 1}):
        with pytest.raises(ValidationError, match="event: no channel"):
            as_event(given)


def test_event_without_a_target_is_refused() -> None:
    with pytest.raises(ValidationError, match="channel: a NoneType, expected a str"):
        Encoder().item(Event(None, "e", 1).target, "e", "1")


@pytest.mark.parametrize(("delta", "text"), [(True, b',"delta":true'), (False, b',"delta":false'), (None, b"")])
def test_delta_goes_into_both_bodies(delta: bool | None, text: bytes) -> None:
    encoder = Encoder()
    item = encoder.item("c", "e", "1", message_id="m", delta=delta)
    assert item == b'{"channel":"c","name":"e","data":"1","message_id":"m"' + text + b"}"
    tagged = encoder.item("c", "e", "1", message_id="m", tags={"a": "b"}, delta=delta)
    assert (text in tagged) is True
    body = encoder.event("c", "e", "1", message_id="m", delta=delta)
    assert body == b'{"name":"e","data":"1","channels":["c"],"message_id":"m"' + text + b"}"


@pytest.mark.parametrize("delta", [0, 1, "false", {}])
def test_delta_is_a_bool(delta: object) -> None:
    """The server answers 422 to anything else, for the whole batch."""
    for encode in (Encoder().item, Encoder().event):
        with pytest.raises(ValidationError, match=rf"delta: a {type(delta).__name__}, expected a bool"):
            encode("c", "e", "1", delta=delta)  # type: ignore[arg-type]

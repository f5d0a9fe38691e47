"""The three shapes in which the batch calls take an event."""

import dataclasses
from types import MappingProxyType

import pytest

from sockudo_publisher.client.wire.event import Event, as_event
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "value",
    [
        Event("c", "e", 1),
        ("c", "e", 1),
        {"channel": "c", "name": "e", "data": 1},
        MappingProxyType({"channel": "c", "name": "e", "data": 1, "socket_id": None}),
    ],
    ids=["Event", "tuple", "dict", "mapping"],
)
def test_shapes(value):
    """All say the same."""
    assert as_event(value) == Event("c", "e", 1)


def test_options_of_a_dict_are_kept():
    """Every field of an event may be in a dict."""
    options = {
        "socket_id": "1.1",
        "info": "user_count",
        "tags": {"a": "b"},
        "extras": {"x": 1},
        "key": "k",
        "idempotency_key": True,
        "collapse": "l",
    }
    given = {"channel": "c", "name": "e", "data": None, **options}
    before = dict(given)
    assert as_event(given) == Event("c", "e", None, **options)
    assert given == before


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (("c", "e"), "a tuple of 2"),
        (("c", "e", 1, 2), "a tuple of 4"),
        ({"channel": "c"}, "no name and no data"),
        ({"channel": "c", "name": "e", "data": 1, "sokcet_id": "1.1"}, "unknown field 'sokcet_id'"),
        ("c e 1", "a str"),
        (["c", "e", 1], "a list"),
        (None, "a NoneType"),
    ],
)
def test_other_shapes_are_refused(value, complaint):
    """With what is wrong about them."""
    with pytest.raises(ValidationError, match=f"^event: {complaint}"):
        as_event(value)


def test_event_is_immutable_and_hides_its_payload_in_repr():
    """Events are shared between threads and printed into logs."""
    event = Event("c", "e", "hush", tags={"a": "hush"}, extras={"b": "hush"})
    assert "hush" not in repr(event)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.channel = "d"
    with pytest.raises(TypeError):
        Event("c", "e", 1, "1.1")


def test_message_id_is_another_name_of_key_in_a_mapping():
    """The name on the wire, which ``trigger`` has too; both are one too many, and the mapping stays as it was."""
    given = {"channel": "c", "name": "e", "data": 1, "message_id": "m"}
    before = dict(given)
    assert as_event(given) == Event("c", "e", 1, key="m")
    assert given == before
    with pytest.raises(ValidationError, match="message_id given together with key"):
        as_event({**given, "key": "m"})

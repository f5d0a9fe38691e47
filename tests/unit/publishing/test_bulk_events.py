"""The forms in which `publish_many` takes an event."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from sockudo_publisher import Event, ValidationError
from sockudo_publisher.bulk import _event

pytestmark = pytest.mark.unit


class Tick(NamedTuple):
    """A row as a database gives it."""

    channel: str
    name: str
    data: Any


@pytest.mark.parametrize(
    "given",
    [
        Event("c", "e", 1),
        ("c", "e", 1),
        Tick("c", "e", 1),
        {"channel": "c", "name": "e", "data": 1},
    ],
    ids=["Event", "tuple", "named tuple", "dict"],
)
def test_form_of_an_event(given: Any) -> None:
    """Each means the same event."""
    assert _event(given) == Event("c", "e", 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("c", "e"), "event: a tuple of 2 values, expected (channel, name, data)"),
        (["c", "e", 1], "event: expected an Event, a tuple or a dict, got list"),
        ({"channel": "c", "name": "e"}, "event: data is missing"),
        (
            {"channel": "c", "name": "e", "data": 1, "secret-stuff": 2},
            "event: unknown field 'secret-stuff', expected channel, data, extras, idempotency_key, info, key, name, "
            "socket_id, tags",
        ),
        ("c", "event: expected an Event, a tuple or a dict, got str"),
    ],
)
def test_what_is_no_event_says_what_is_expected(given: Any, message: str) -> None:
    """The field or the type is named, never a value."""
    with pytest.raises(ValidationError) as caught:
        _event(given)
    assert str(caught.value) == message

"""The arguments of a call: by place, by name, behind the result of a task before."""

from __future__ import annotations

import pytest

from sockudo_publisher.errors import ValidationError
from sockudo_publisher.publishing.call import PublishCall, bind, has_options

pytestmark = pytest.mark.unit

FOR_A_USER = {
    "by place": ((None, "e", 1), {"user_id": "42"}),
    "by name": ((), {"channel": None, "event": "e", "data": 1, "user_id": "42"}),
    "without a channel": ((), {"event": "e", "data": 1, "user_id": "42"}),
    "data of the task before": ((1,), {"event": "e", "user_id": "42"}),
    "the same with a channel": ((1,), {"channel": None, "event": "e", "user_id": "42"}),
}


@pytest.mark.parametrize(("args", "kwargs"), FOR_A_USER.values(), ids=FOR_A_USER)
def test_call_for_a_user(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    call = bind(args, kwargs)
    assert (call.channel, call.event, call.data) == (None, "e", 1)
    assert call.channels() == ("#server-to-user-42",)
    assert has_options(call)


def test_missing_arguments_are_named() -> None:
    """Without a user the channel is missing; with one, the name or the data."""
    for args, kwargs, missing in (
        ((), {"event": "e", "data": 1}, "channel"),
        ((), {"data": 1, "user_id": "42"}, "channel, event"),
        ((), {"event": "e", "user_id": "42"}, "channel, data"),
    ):
        with pytest.raises(TypeError, match=rf"required argument\(s\): {missing}$"):
            bind(args, kwargs)


def test_channel_and_user_together() -> None:
    """Whether the channel comes by place or by name."""
    for args, kwargs in ((("c", "e", 1), {}), ((), {"channel": "c", "event": "e", "data": 1})):
        with pytest.raises(ValidationError, match="user_id: given together with channel"):
            bind(args, {**kwargs, "user_id": "42"}).channels()


def test_repr_names_the_user_and_no_data() -> None:
    call = PublishCall(None, "e", "payload", user_id="42", extras={"mine": "payload"})
    assert repr(call) == "PublishCall(user_id='42', event='e')"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"app": "eu"}, False),
        *(
            ({name: value}, True)
            for name, value in {"key": "k", "tags": {}, "delta": False, "extras": {}, "collapse": "k"}.items()
        ),
    ],
)
def test_event_with_and_without_options(options: dict[str, object], expected: bool) -> None:
    """What has none takes a shorter way in a bulk job: an option that is missing here would be dropped there."""
    assert has_options(PublishCall("c", "e", 1, **options)) is expected  # type: ignore[arg-type]

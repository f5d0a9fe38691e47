"""What comes from the broker is checked before it is acted upon: finished events, refusals, doorbells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.errors import ConfigurationError, ValidationError
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.publishing.prepare import prepare
from sockudo_publisher.tasks import message
from sockudo_publisher.wiring.app import app_named, forget_apps

pytestmark = pytest.mark.unit

SECRET = "what nobody may read in a log"
FINGERPRINT = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:1/apps/app")
    forget_apps()


def body(**changes: Any) -> str:
    event = {"channel": "c", "name": "e", "data": SECRET, "message_id": "m", **changes}
    return json.dumps({name: value for name, value in event.items() if value is not None})


def prepared(**changes: Any) -> dict[str, Any]:
    whole = {"app": "default", "id": "m", "items": [["c", body(), 0]], "key": None, "fingerprint": ""}
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


@pytest.mark.parametrize("key", [None, "the-key"])
@pytest.mark.parametrize("channels", ["c", ["c", "#server-to-user-7"]])
def test_what_a_caller_made_is_read_unchanged(channels: str | list[str], key: str | None) -> None:
    """With all that it may hold."""
    app = app_named()
    call = PublishCall(channels, "é", {"a": 1}, key=key, tags={"t": "v"}, socket_id="1.2")
    made = prepare(app, call, expires_ms=4 * 10**12)
    sent = json.loads(json.dumps(message.to_message(app, made)))
    assert message.from_message(sent) == (app, made)


BAD: dict[str, Any] = {
    **{f"no {name}": prepared(**{name: ...}) for name in ("app", "id", "items", "key", "fingerprint")},
    **{f"{value!r}": value for value in (None, 1, "x", [], {}, [prepared()])},
    **{f"id {value!r}": prepared(id=value) for value in (None, 1, "", "x" * 129, "\ud800", {}, "another")},
    **{f"key {value!r}": prepared(key=value) for value in (1, "", "another", {}, [])},
    **{f"fingerprint {value!r}": prepared(fingerprint=value) for value in (None, 1, "x", FINGERPRINT + "0", {})},
    **{f"app {value!r}": prepared(app=value) for value in (None, 1, {}, [])},
    **{
        f"items {value!r}"[:60]: prepared(items=value)
        for value in (
            *(None, 1, "c", {}, [], [[]], [None], ["c"], [["c", body()]], [["c", body(), 0, 0]], {"c": body()}),
            *([["c", body(), 0]] * 2, [["c", body(), 0]] * 101),
            *([["", body(), 0]], [[1, body(), 0]], [["a b", body(), 0]], [["x" * 201, body(), 0]], [["d", body(), 0]]),
            *([["c", body(), one]] for one in (None, "0", 1.5, True, -1, 10**14, float("nan"))),
            *([["c", one, 0]] for one in (None, 1, {}, "", "{", body() + "," + body(), body()[:-1], "[]", "\ud800")),
            *([["c", body(**{name: None}), 0]] for name in ("channel", "name", "data", "message_id")),
            *([["c", body(channel="d"), 0]], [["c", body(message_id="another"), 0]], [["c", body(channels=["d"]), 0]]),
            [["c", body(data="x" * 11_000_000), 0]],
        )
    },
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_prepared_message_that_nobody_made_is_refused(given: Any) -> None:
    """By its field, without the event in the words."""
    with pytest.raises(ValidationError, match="prepared") as caught:
        message.from_message(given)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_app_that_is_not_configured_is_named() -> None:
    """As everywhere."""
    with pytest.raises(ConfigurationError, match="elsewhere"):
        message.from_message(prepared(app="elsewhere"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(prepared())), inner, max_size=5),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_refused_in_words_of_ours(given: Any) -> None:
    """Whatever it is: nothing else is raised."""
    with pytest.raises((ValidationError, ConfigurationError)):
        message.from_message(given)
    assert isinstance(message.refused(given), Exception)


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"type": "TypeError"}, {"type": [], "message": "m"}])
def test_refusal_that_nobody_made_is_an_error_all_the_same(value: Any) -> None:
    """The step fails with it."""
    assert isinstance(message.refused(value), ValidationError)


APPS = ("default", "other")


@pytest.mark.parametrize(
    ("args", "kwargs", "read"),
    [
        (("default", 0), {}, ("default", 0, None)),
        (("other", 7, "c"), {}, ("other", 7, "c")),
        (("other", 7, None), {}, ("other", 7, None)),
        ((), {"app": "default", "lane": 3}, ("default", 3, None)),
        (("default",), {"lane": 3, "channel": "#server-to-user-x"}, ("default", 3, "#server-to-user-x")),
    ],
)
def test_ring_is_read(args: tuple[Any, ...], kwargs: dict[str, Any], read: tuple[Any, ...]) -> None:
    """By place and by name."""
    assert message.ring_from(args, kwargs, APPS) == read


@pytest.mark.parametrize(
    "lane", [-1, -(10**30), 0.5, 0.0, True, False, "1", "", None, 10**9, 10**400, [], {}, [0], float("nan")]
)
def test_lane_that_is_none_is_refused(lane: Any) -> None:
    """True is no 1, 0.0 no 0."""
    with pytest.raises(ValidationError, match="lane"):
        message.ring_from(("default", lane), {}, APPS)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("default",), {}),
        ((), {"lane": 0}),
        (("default", 0, None, 1), {}),
        (("default", 0), {"lane": 0}),
        (("default", 0), {"x": 0}),
        (("nowhere", 0), {}),
        (("", 0), {}),
        ((None, 0), {}),
        ((["default"], 0), {}),
        (({}, 0), {}),
        ((1, 0), {}),
        *((("default", 0, channel), {}) for channel in ("", 1, True, [], {}, "a b", "x" * 201, "\ud800", 0)),
    ],
)
def test_ring_that_is_none_is_refused(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """In a line."""
    with pytest.raises(ValidationError, match="drain") as caught:
        message.ring_from(args, kwargs, APPS)
    assert len(str(caught.value)) < 200

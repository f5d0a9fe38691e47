"""A worker checks each field of a received append message before it uses it: finished events and refused calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher import configure
from sockudo_publisher.errors import ConfigurationError, IdempotencyConflict, ValidationError
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.publishing.prepare import prepare
from sockudo_publisher.tasks.message import FinishedEvent, read_event, write_event, write_refusal
from sockudo_publisher.wiring.app import app_named

pytestmark = pytest.mark.unit

SECRET = "a payload that no log may show"
FINGERPRINT = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:1/apps/app")
    configure()


def body(**changes: Any) -> str:
    event = {"channel": "c", "name": "e", "data": SECRET, "message_id": "m", **changes}
    return json.dumps({name: value for name, value in event.items() if value is not None})


def message(**changes: Any) -> dict[str, Any]:
    whole = {
        "namespace": "",
        "app": "default",
        "id": "m",
        "items": [["c", body(), 0]],
        "key": None,
        "fingerprint": "",
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


@pytest.mark.parametrize("key", [None, "the-key"])
@pytest.mark.parametrize("channels", ["c", ["c", "#server-to-user-7"]])
@pytest.mark.parametrize("namespace", ["", "blue"])
@pytest.mark.parametrize("collapse", [None, "é"])
def test_written_event_is_read_unchanged(
    channels: str | list[str], key: str | None, namespace: str, collapse: str | None
) -> None:
    """With every field in use, through JSON."""
    call = PublishCall(channels, "é", {"a": 1}, key=key, tags={"t": "v"}, socket_id="1.2", collapse=collapse)
    made = prepare(app_named(), call, expires_ms=4 * 10**12)
    event = FinishedEvent(namespace, "default", made)
    assert read_event(json.loads(json.dumps(write_event(event)))) == event


BAD: dict[str, Any] = {
    **{f"no {name}": message(**{name: ...}) for name in ("namespace", "app", "id", "items", "key", "fingerprint")},
    **{f"{value!r}": value for value in (None, 1, "x", [], {}, [message()])},
    **{f"namespace {value!r}": message(namespace=value) for value in (None, 1, {}, [])},
    **{f"id {value!r}": message(id=value) for value in (None, 1, "", "x" * 129, "\ud800", {}, "another")},
    **{f"key {value!r}": message(key=value) for value in (1, "", "another", {}, [])},
    **{f"fingerprint {value!r}": message(fingerprint=value) for value in (None, 1, "x", FINGERPRINT + "0", {})},
    **{f"collapse {value!r}"[:60]: message(collapse=value) for value in (1, "", "x" * 129, "\ud800", {}, [])},
    **{f"app {value!r}": message(app=value) for value in (None, 1, {}, [])},
    **{
        f"items {value!r}"[:60]: message(items=value)
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
def test_malformed_event_is_refused_by_field(given: Any) -> None:
    """The error names the field and does not repeat the event."""
    with pytest.raises(ValidationError, match="event") as caught:
        read_event(given)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(message())), inner, max_size=5),
    max_leaves=12,
)


@given(JSON)
def test_any_other_json_raises_a_validation_error(given: Any) -> None:
    """No other kind of error, and no event."""
    with pytest.raises(ValidationError):
        read_event(given)
    with pytest.raises((ValidationError, ConfigurationError, IdempotencyConflict, TypeError)):
        read_event({"refused": given})


@pytest.mark.parametrize("kind", [ValidationError, ConfigurationError, TypeError])
def test_written_refusal_is_raised_by_its_type(kind: type[Exception]) -> None:
    """The step of a canvas fails with the error of its call."""
    sent = json.loads(json.dumps(write_refusal(kind("data: missing"))))
    with pytest.raises(kind, match=r"^data: missing$"):
        read_event(sent)


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"type": "TypeError"}, {"type": [], "message": "m"}])
def test_malformed_refusal_is_a_validation_error(value: Any) -> None:
    """The step fails all the same."""
    with pytest.raises(ValidationError):
        read_event({"refused": value})

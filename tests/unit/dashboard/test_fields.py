"""The fields of a request: each complaint names the field."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher import ValidationError
from sockudo_publisher.dashboard.fields import MAX_IDS, Fields

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'"x"', b"null", b"\xff", b"[" * 100_000])
def test_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(ValidationError, match=r"^body: "):
        Fields.of_json(body)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("app", 3, Fields.text),
        ("app", ["x"], Fields.text),
        ("all", "true", Fields.flag),
        ("all", 1, Fields.flag),
        ("older_than_s", True, Fields.number),
        ("older_than_s", "soon", Fields.number),
        ("older_than_s", [], Fields.number),
        ("ids", "1-2-3", Fields.texts),
        ("ids", [3], Fields.texts),
        ("ids", [], Fields.texts),
        ("ids", ["x"] * (MAX_IDS + 1), Fields.texts),
    ],
)
def test_wrong_kind_names_the_field(name: str, value: Any, read: Any) -> None:
    with pytest.raises(ValidationError, match=f"^{name}: "):
        read(Fields({name: value}), name)


@pytest.mark.parametrize("value", [0, 1001, 1.5, "x", "inf", "nan", -1])
def test_limit_outside_its_range(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"^limit: "):
        Fields({"limit": value}).limit("limit", 100, 1000)


def test_absent_and_empty_fields_have_defaults() -> None:
    """As an empty field of a form is sent."""
    fields = Fields({"reason": "", "older_than_s": ""})
    assert fields.text("reason") is None
    assert fields.number("older_than_s") is None
    assert fields.texts("ids") is None
    assert not fields.flag("all")
    assert fields.limit("limit", 100, 1000) == 100
    fields.end()


def test_misspelled_field_is_refused() -> None:
    """A filter that is not applied would mean more letters."""
    fields = Fields({"app": "x", "chanel": "c"})
    fields.text("app")
    with pytest.raises(ValidationError, match="chanel"):
        fields.end()

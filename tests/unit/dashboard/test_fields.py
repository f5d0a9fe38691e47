"""The fields of a request: each complaint names the field."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher import ValidationError
from sockudo_publisher.dashboard.fields import MAX_IDS, RequestFields

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'"x"', b"null", b"\xff", b"[" * 100_000])
def test_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(ValidationError, match=r"^body: "):
        RequestFields.of_json(body)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("app", 3, RequestFields.text),
        ("app", ["x"], RequestFields.text),
        ("all", "true", RequestFields.flag),
        ("all", 1, RequestFields.flag),
        ("older_than_s", True, RequestFields.number),
        ("older_than_s", "soon", RequestFields.number),
        ("older_than_s", [], RequestFields.number),
        ("ids", "1-2-3", RequestFields.texts),
        ("ids", [3], RequestFields.texts),
        ("ids", [], RequestFields.texts),
        ("ids", ["x"] * (MAX_IDS + 1), RequestFields.texts),
    ],
)
def test_wrong_kind_names_the_field(name: str, value: Any, read: Any) -> None:
    with pytest.raises(ValidationError, match=f"^{name}: "):
        read(RequestFields({name: value}), name)


@pytest.mark.parametrize("value", [0, 1001, 1.5, "x", "inf", "nan", -1])
def test_limit_outside_its_range(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"^limit: "):
        RequestFields({"limit": value}).limit("limit", 100, 1000)


def test_absent_and_empty_fields_have_defaults() -> None:
    """As an empty field of a form is sent."""
    fields = RequestFields({"reason": "", "older_than_s": ""})
    assert fields.text("reason") is None
    assert fields.number("older_than_s") is None
    assert fields.texts("ids") is None
    assert not fields.flag("all")
    assert fields.limit("limit", 100, 1000) == 100
    fields.end()


def test_misspelled_field_is_refused() -> None:
    """A filter that is not applied would mean more letters."""
    fields = RequestFields({"app": "x", "chanel": "c"})
    fields.text("app")
    with pytest.raises(ValidationError, match="chanel"):
        fields.end()

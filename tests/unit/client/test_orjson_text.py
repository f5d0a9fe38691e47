"""`SOCKUDO_JSON=orjson` writes the text of `json`, whatever the value: the server compares payloads as text."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockudo_publisher.client.wire.encoding import Encoder
from sockudo_publisher.client.wire.json_text import MAX_FLOAT, MIN_FLOAT, has_same_text, load_orjson
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit

standard, fast = Encoder(), Encoder(json_encoder=load_orjson())


class Text(str):
    """A subclass, which orjson may take for another type."""


class Odd(str, enum.Enum):
    """An enum whose text is not its value: `json` writes the text, orjson the value."""

    ONE = "one"

    def __new__(cls, text: str) -> Odd:
        self = str.__new__(cls, text)
        self._value_ = "other"
        return self


NUMBERS = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.floats(MIN_FLOAT / 10, MIN_FLOAT * 10)
    | st.floats(MAX_FLOAT / 10, MAX_FLOAT * 10)
)
TEXTS = st.text() | st.text(st.characters(max_codepoint=0x9F)) | st.sampled_from(["\ud800", "\u2028", "</", "é", "𝄞"])
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS | TEXTS.map(Text) | st.sampled_from([Odd.ONE, date(2026, 1, 1)])
NAMES = TEXTS | st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False) | TEXTS.map(Text)
VALUES = st.recursive(
    LEAVES,
    lambda parts: (
        st.lists(parts)
        | st.tuples(parts, parts)
        | st.dictionaries(NAMES, parts)
        | st.dictionaries(TEXTS, parts).map(OrderedDict)
    ),
    max_leaves=20,
)


def outcome(encoder: Encoder, value: Any) -> str:
    """The text, or the error."""
    try:
        return encoder.payload(value)
    except ValidationError as error:
        return f"refused: {error}"


@given(VALUES)
@example([5e-324, 1e-5, 9.999999999999999e-5, 1e-4, 0.1, 1e15, 9007199254740993.0, 1e16, 1e22, 1e300])
@example([-0.0, 0.0, -1e-4, -1e16, math.nan])
@example([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
@example({1: "a", "1": "b", False: "c", None: "d", 1.5: "e"})
@example("".join(map(chr, range(0x100))))
@example({"\ud800": 1})
@example({Text("a"): Odd.ONE})
def test_text_or_error_is_that_of_json(value: Any) -> None:
    """Character by character."""
    assert outcome(fast, value) == outcome(standard, value)


@given(st.floats(MIN_FLOAT, MAX_FLOAT, exclude_max=True) | st.integers(-(2**63), 2**64 - 1) | st.text())
def test_fast_values_are_given_to_orjson(value: Any) -> None:
    """The usual values take the fast way: their text there is compared above."""
    assert has_same_text([{"a": (value, None, True)}])


@pytest.mark.parametrize("value", [1e-5, 1e16, math.inf, {1: 1}, Text("a"), Odd.ONE, {1, 2}, object()])
def test_other_values_are_not_given_to_orjson(value: Any) -> None:
    """Its text differs, or may differ in another version."""
    assert not has_same_text({"a": [value]})


def test_depth_and_circles_end_as_with_json() -> None:
    """Orjson goes less deep."""
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(orjson.JSONEncodeError):
        orjson.dumps(deep)
    assert fast.payload(deep) == standard.payload(deep)
    circle: list[Any] = []
    circle += [circle, circle, circle]
    assert outcome(fast, circle) == outcome(standard, circle) == "refused: data: not JSON, circular or too deep"

"""Patterns of channel names: what matches, what never does, what overlaps."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.contrib.permissions import ChannelKind, ChannelPattern
from sockudo_publisher.contrib.permissions.pattern import overlap
from sockudo_publisher.errors import ValidationError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pattern", "channel", "variables"),
    [
        ("private-orders.{order_id}", "private-orders.5", {"order_id": "5"}),
        ("private-orders.{order_id}", "private-orders.a-b_c=@,;:", {"order_id": "a-b_c=@,;:"}),
        ("private-orders.{order_id}", "private-orders.", None),
        ("private-orders.{order_id}", "private-orders.5.6", None),
        ("private-orders.{order_id}", "private-orders.5\n", None),
        ("private-orders.{order_id}", "private-ordersx5", None),
        ("private-orders.{order_id}", "xprivate-orders.5", None),
        ("private-orders.{order_id}", "presence-orders.5", None),
        ("private-{a}.{b}", "private-1.2", {"a": "1", "b": "2"}),
        ("private-fixed", "private-fixed", {}),
        ("private-{room}", "private-encrypted-room", None),
        ("private-{room}", "private-cache-room", None),
        ("private-{room}", "private-encryptedroom", {"room": "encryptedroom"}),
        ("private-encrypted-{room}", "private-encrypted-room", {"room": "room"}),
        ("private-encrypted-{room}", "private-encrypted-cache-room", None),
        ("presence-{room}", "presence-room", {"room": "room"}),
        ("presence-{room}", "presence-cache-room", None),
        ("private-cache-{room}", "private-cache-room", {"room": "room"}),
        ("private-{a}-{b}", "private-1-2", {"a": "1", "b": "2"}),
        ("private-{a}-{b}", "private-1-2-3", None),
    ],
)
def test_what_a_pattern_matches(pattern: str, channel: str, variables: dict[str, str] | None) -> None:
    """One or more characters except a dot; its own kind of channel alone; never in two ways."""
    assert ChannelPattern(pattern).match(channel) == variables


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "orders.{id}", "{kind}-orders", "private", "private-", "presence-cache-", "#server-to-user-{id}"),
        *(
            "private-{}",
            "private-{1}",
            "private-{a b}",
            "private-{a}.{a}",
            "private-{a}{b}",
            "private-{a",
            "private-a}",
        ),
        *("private-{{a}}", "private-a b", "private-ü", "private-a\n", "private-{a}-{b}-{c}", "private-" + "x" * 193),
        *(5, None, b"private-x"),
    ],
)
def test_text_that_is_no_pattern_is_refused(pattern: object) -> None:
    """At the decorator, with the field and printable."""
    with pytest.raises(ValidationError, match=r"^pattern") as caught:
        ChannelPattern(pattern)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ("private-orders.{a}", "private-orders.{b}", True),
        ("private-orders.{a}", "private-orders.5", True),
        ("private-{a}", "private-encrypted-{a}", False),
        ("private-{a}", "private-cache-{a}", False),
        ("private-{a}", "private-{a}.{b}", False),
        ("private-{a}.x", "private-y.{b}", True),
        ("private-{a}x", "private-y{b}", True),
        ("private-a{a}", "private-b{b}", False),
        ("private-{a}-x", "private-{a}-y", False),
        ("private-ab{a}", "private-{b}bc", True),
        ("private-a", "private-{a}b", False),
        ("presence-{a}", "private-{a}", False),
    ],
)
def test_which_patterns_overlap(first: str, second: str, common: bool) -> None:
    """In both orders."""
    one, other = ChannelPattern(first), ChannelPattern(second)
    assert overlap(one, other) is common
    assert overlap(other, one) is common


_TEXTS = st.text("ab.", min_size=1, max_size=2)
_BODIES = st.lists(st.one_of(_TEXTS, st.just(None)), min_size=1, max_size=4)


def _pattern(parts: list[str | None]) -> ChannelPattern | None:
    text = "private-" + "".join(part if part is not None else f"{{v{index}}}" for index, part in enumerate(parts))
    try:
        return ChannelPattern(text)
    except ValidationError:
        return None


@given(_BODIES, _BODIES, st.text("ab.", min_size=1, max_size=6))
def test_a_common_channel_is_always_an_overlap(first: list[str | None], second: list[str | None], body: str) -> None:
    """Whatever two patterns both match, as regular expressions, is found before."""
    one, other = _pattern(first), _pattern(second)
    if one is None or other is None:
        return
    both = all(
        re.fullmatch("".join("[^.]+" if part is None else re.escape(part) for part in pattern.parts), f"private-{body}")
        for pattern in (one, other)
    )
    if both:
        assert overlap(one, other)


@given(_BODIES)
def test_a_pattern_overlaps_itself(parts: list[str | None]) -> None:
    """So that a pattern which is there twice is found."""
    pattern = _pattern(parts)
    if pattern is not None:
        assert overlap(pattern, pattern)


@pytest.mark.timeout(60)
def test_a_hostile_channel_costs_little() -> None:
    """200 bytes that a pattern with as many variables as possible nearly matches."""
    pattern = ChannelPattern("private-" + ".".join(f"{{a{i}}}-{{b{i}}}" for i in range(10)))
    channel = "private-" + ".".join(["-" * 18] * 10)
    start = time.perf_counter()
    for _ in range(10):
        pattern.match(channel + "!")
        pattern.match(channel)
    assert time.perf_counter() - start < 5


def test_the_longest_prefix_is_the_kind() -> None:
    """A public channel has none."""
    assert [ChannelKind.of(kind.value + "x") for kind in ChannelKind] == list(ChannelKind)
    assert ChannelKind.of("orders") is None

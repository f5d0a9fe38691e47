"""A doorbell's message comes from the broker, where any program may send one: it is checked before a drain runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sockudo_publisher.errors import ValidationError
from sockudo_publisher.workerapp.ring import read_ring

pytestmark = pytest.mark.unit

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
    assert read_ring(args, kwargs, APPS) == read


@pytest.mark.parametrize(
    "lane", [-1, -(10**30), 0.5, 0.0, True, False, "1", "", None, 10**9, 10**400, [], {}, [0], float("nan")]
)
def test_malformed_lane_is_refused(lane: Any) -> None:
    """True is no 1, 0.0 no 0."""
    with pytest.raises(ValidationError, match="lane"):
        read_ring(("default", lane), {}, APPS)


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
def test_malformed_ring_is_refused(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """In a line."""
    with pytest.raises(ValidationError, match="drain") as caught:
        read_ring(args, kwargs, APPS)
    assert len(str(caught.value)) < 200

"""Options of `apply_async`: what a worker could not take raises at the caller, with the option's name."""

from __future__ import annotations

import inspect
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from sockudo_publisher import ValidationError, publish
from sockudo_publisher.options import MOST_MS, checked, expiry_ms, without_refused

pytestmark = pytest.mark.unit

LATE = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12)))

VALUES: dict[str, tuple[str, Any, str]] = {
    "pickle": ("serializer", "pickle", "serializer: workers of publish read json alone"),
    "compression unknown": ("compression", "rot13", "compression: workers of publish read zlib, gzip, bzip2 and lzma"),
    "compression optional": ("compression", "zstd", "compression: workers of publish read"),
    "content type": ("content_type", "text/plain", "content_type: not for publish"),
    "headers": ("headers", ["x"], "headers: a list, expected a mapping"),
    "priority": ("priority", "high", "priority: a str, expected a number"),
    "time limit": ("time_limit", "5", "time_limit: a str, expected a number"),
    "id": ("task_id", "x" * 129, "task_id: 129 bytes, limit 128"),
    "id of another type": ("task_id", 5, "task_id: a int, expected a str"),
    "eta str": ("eta", "not a date", "eta: a str, expected a datetime"),
    "eta seconds": ("eta", 30, "eta: a int, expected a datetime"),
    "eta date": ("eta", date(2030, 1, 1), "eta: a date, expected a datetime"),
    "eta far": ("eta", LATE, "eta: the year 9999, expected a time before 5138-11-16"),
    "countdown str": ("countdown", "30", "countdown: a str, expected seconds"),
    "countdown bool": ("countdown", True, "countdown: a bool, expected seconds"),
    "countdown delta": ("countdown", timedelta(1), "countdown: a timedelta, expected seconds"),
    "countdown nan": ("countdown", float("nan"), "countdown: nan seconds, expected -1000000000 to 1000000000"),
    "countdown inf": ("countdown", float("inf"), "countdown: inf seconds, expected -1000000000 to 1000000000"),
    "countdown huge": ("countdown", 10**400, "countdown: far more seconds, expected -1000000000 to 1000000000"),
    "countdown far in the past": ("countdown", -2e9, "countdown: -2e+09 seconds, expected -1000000000 to 1000000000"),
    "expires str": ("expires", "soon", "expires: a str, expected seconds or a datetime"),
    "expires nan": ("expires", float("nan"), "expires: nan seconds, expected -1000000000 to 1000000000"),
    "expires inf": ("expires", float("-inf"), "expires: -inf seconds"),
    "expires far": ("expires", 1e11, "expires: 1e+11 seconds"),
    "expires in the year 9999": ("expires", datetime.max, "expires: the year 9999, expected a time before 5138-11-16"),
}


@pytest.mark.parametrize(("name", "value", "words"), VALUES.values(), ids=VALUES)
def test_value_that_a_worker_could_not_take(name: str, value: Any, words: str) -> None:
    """A ValidationError that begins with the option's name."""
    with pytest.raises(ValidationError) as caught:
        checked({name: value})
    assert str(caught.value).startswith(words)


NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "one field": ({"key": "k", "countdown": 1}, "apply_async() got key as an option: what is the event's goes into"),
    "several": ({"extras": {}, "app": "eu", "tags": {}}, "apply_async() got tags, extras, app as an option"),
    "typo": ({"expire": 5}, "apply_async() got an unexpected option 'expire', is it 'expires'?"),
    "typo of a field": ({"socketid": "1.2"}, "apply_async() got an unexpected option 'socketid', is it 'socket_id'?"),
    "another typo": ({"count_down": 5}, "unexpected option 'count_down', is it 'countdown'?"),
}


@pytest.mark.parametrize(("options", "words"), NAMES.values(), ids=NAMES)
def test_name_that_is_no_option(options: dict[str, Any], words: str) -> None:
    """A TypeError that says where it belongs, or what it may be."""
    with pytest.raises(TypeError) as caught:
        checked(options)
    assert words in str(caught.value)


def test_what_celery_takes_is_left_as_it_is() -> None:
    """Its own options, stamps by any name, and what becomes a property of the message."""
    given = {
        "countdown": 0.5,
        "expires": -3,
        "priority": 5,
        "serializer": "json",
        "compression": "zlib",
        "headers": {"a": 1},
        "link": [],
        "tag": "stamp",
        "stamped_headers": ["tag"],
        "x-anything": 1,
    }
    assert checked(given) == given


def test_time_without_a_zone_is_utc() -> None:
    """For both: the item's own expiry and the message's must not differ by the zone of some app."""
    naive = datetime(2030, 1, 1)
    assert checked({"eta": naive, "expires": naive}) == {
        "eta": naive.replace(tzinfo=timezone.utc),
        "expires": naive.replace(tzinfo=timezone.utc),
    }


def test_expiry_keeps_to_the_digits_that_lua_keeps() -> None:
    """The farthest of each kind, and what is long past."""
    farthest = datetime(5138, 11, 16, 9, 46, 39, tzinfo=timezone.utc)
    assert expiry_ms(checked({"expires": farthest})["expires"], lambda: 0) <= MOST_MS
    assert expiry_ms(10**9, lambda: 1_800_000_000_000) < MOST_MS
    assert expiry_ms(-(10**9), lambda: 5) == 1


def test_what_is_left_of_refused_options_finds_its_way() -> None:
    """A refused step of a canvas is sent as such, without what refused it."""
    way = {"queue": "sockudo", "task_id": "t", "chain": [1], "parent_id": "p", "countdown": 1, "mark": 1}
    stamped = {"stamped_headers": ["mark"]}
    assert without_refused({"serializer": "pickle", "eta": 5, "key": "k", **way, **stamped}) == {**way, **stamped}


def test_delay_says_what_it_takes() -> None:
    """For editors and type checkers: the event's fields by name."""
    assert list(inspect.signature(publish.delay).parameters) == [
        "channel",
        "event",
        "data",
        "key",
        "socket_id",
        "tags",
        "extras",
        "app",
    ]

"""Options of `apply_async`: what a worker could not take raises at the caller, with the option's name."""

from __future__ import annotations

import inspect
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from kombu import Exchange, Queue

from sockudo_publisher import ValidationError, publish
from sockudo_publisher.tasks.options import (
    MAX_MS,
    Way,
    check_due_before_expiry,
    check_options,
    choose_way,
    drop_refused_options,
    due_ms,
    expiry_ms,
    options_for_other_app,
    options_for_own_queue,
    sends_to_queue,
)

pytestmark = pytest.mark.unit

LATE = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12)))

VALUES: dict[str, tuple[str, Any, str]] = {
    "pickle": ("serializer", "pickle", "serializer: workers of publish read only json"),
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
    "eta of no month": ("eta", "2030-13-01T00:00:00", "eta: a str, expected a datetime"),
    "eta empty": ("eta", "", "eta: a str, expected a datetime"),
    "eta text far": ("eta", "9999-01-01", "eta: the year 9999, expected a time before 5138-11-16"),
    "expires delta": ("expires", timedelta(1), "expires: a timedelta, expected seconds or a datetime"),
    "link": ("link", 5, "link: a int, expected a signature"),
    "links": ("link_error", [{"task": "a"}, None], "link_error: a NoneType, expected a signature"),
    "expiration": ("expiration", 5, "expiration: the broker would drop the message and its event; use expires="),
    "expires str": ("expires", "soon", "expires: a str, expected seconds or a datetime"),
    "expires nan": ("expires", float("nan"), "expires: nan seconds, expected -1000000000 to 1000000000"),
    "expires inf": ("expires", float("-inf"), "expires: -inf seconds"),
    "expires far": ("expires", 1e11, "expires: 1e+11 seconds"),
    "expires in the year 9999": ("expires", datetime.max, "expires: the year 9999, expected a time before 5138-11-16"),
}


@pytest.mark.parametrize(("name", "value", "error_text"), VALUES.values(), ids=VALUES)
def test_value_that_a_worker_could_not_take(name: str, value: Any, error_text: str) -> None:
    """A ValidationError that begins with the option's name."""
    with pytest.raises(ValidationError) as caught:
        check_options({name: value})
    assert str(caught.value).startswith(error_text)


NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "one field": ({"key": "k", "countdown": 1}, "apply_async() got key as an option: put fields of the event into"),
    "user": ({"user_id": "42"}, "apply_async() got user_id as an option: put fields of the event into"),
    "several": ({"extras": {}, "app": "eu", "tags": {}}, "apply_async() got tags, extras, app as an option"),
    "typo": ({"expire": 5}, "apply_async() got an unexpected option 'expire', is it 'expires'?"),
    "typo of a field": ({"socketid": "1.2"}, "apply_async() got an unexpected option 'socketid', is it 'socket_id'?"),
    "another typo": ({"count_down": 5}, "unexpected option 'count_down', is it 'countdown'?"),
}


@pytest.mark.parametrize(("options", "error_text"), NAMES.values(), ids=NAMES)
def test_name_that_is_no_option(options: dict[str, Any], error_text: str) -> None:
    """A TypeError that says where it belongs, or what it may be."""
    with pytest.raises(TypeError) as caught:
        check_options(options)
    assert error_text in str(caught.value)


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
    assert check_options(given) == given


def test_time_without_a_zone_is_utc() -> None:
    """For both: the item's own expiry and the message's must not differ by the zone of some app."""
    naive = datetime(2030, 1, 1)
    assert check_options({"eta": naive, "expires": naive}) == {
        "eta": naive.replace(tzinfo=timezone.utc),
        "expires": naive.replace(tzinfo=timezone.utc),
    }


def test_expiry_keeps_to_the_digits_that_lua_keeps() -> None:
    """The farthest of each kind, and what is long past."""
    farthest = datetime(5138, 11, 16, 9, 46, 39, tzinfo=timezone.utc)
    assert expiry_ms(check_options({"expires": farthest})["expires"], lambda: 0) <= MAX_MS
    assert expiry_ms(10**9, lambda: 1_800_000_000_000) < MAX_MS
    assert expiry_ms(-(10**9), lambda: 5) == 1


def test_what_is_left_of_refused_options_finds_its_way() -> None:
    """A refused step of a canvas is sent as such, without what refused it."""
    way = {"queue": "sockudo", "task_id": "t", "chain": [1], "parent_id": "p", "countdown": 1, "mark": 1}
    stamped = {"stamped_headers": ["mark"]}
    assert drop_refused_options({"serializer": "pickle", "eta": 5, "key": "k", **way, **stamped}) == {**way, **stamped}


def test_delay_says_what_it_takes() -> None:
    """For editors and type checkers: the event's fields by name."""
    assert list(inspect.signature(publish.delay).parameters) == [
        "channel",
        "event",
        "data",
        "key",
        "collapse",
        "socket_id",
        "tags",
        "extras",
        "app",
        "delta",
        "user_id",
    ]


TIMES = ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05+00:00", "2030-01-02T03:04:05", "20300102T030405Z")


@pytest.mark.parametrize("text", TIMES)
@pytest.mark.parametrize("name", ["eta", "expires"])
def test_text_of_a_time_is_read_as_celery_reads_it(name: str, text: str) -> None:
    """ISO 8601, as schedules in JSON and databases have it; UTC without a zone."""
    assert check_options({name: text}) == {name: datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)}


WAYS: dict[str, tuple[dict[str, Any], Way]] = {
    "nothing": ({}, Way.NOW),
    "expires": ({"expires": 5}, Way.NOW),
    "hints": ({"priority": 9, "headers": {"a": 1}, "queue": "q", "root_id": "r", "parent_id": "p"}, Way.NOW),
    "producer of beat": ({"producer": object(), "headers": {"celery_beat_task": True}}, Way.NOW),
    "no countdown": ({"countdown": 0}, Way.NOW),
    "countdown that is over": ({"countdown": -3}, Way.NOW),
    "empty links": ({"link": [], "link_error": [], "chain": []}, Way.NOW),
    "countdown": ({"countdown": 0.1}, Way.LATER),
    "eta": ({"eta": datetime.now(timezone.utc)}, Way.LATER),
    "link": ({"link": {"task": "a"}}, Way.CANVAS),
    "link later": ({"link": [{"task": "a"}], "countdown": 5}, Way.CANVAS),
    "chain": ({"chain": [{"task": "a"}]}, Way.CANVAS),
    "group": ({"group_id": "g"}, Way.CANVAS),
    "chord": ({"chord": {"task": "a"}}, Way.CANVAS),
    "frozen": ({"reply_to": "r", "task_id": "t"}, Way.CANVAS),
}


@pytest.mark.parametrize(("options", "way"), WAYS.values(), ids=WAYS)
def test_way_of_a_call(options: dict[str, Any], way: Way) -> None:
    """A message only where the options need one; behind another task always, as its result is waited for."""
    assert choose_way(options) is way
    assert choose_way(options, is_next_step=True) is Way.CANVAS


NAMES_OURS: dict[str, tuple[dict[str, Any], bool]] = {
    "text": ({"queue": "sockudo"}, True),
    "queue": ({"queue": Queue("sockudo")}, True),
    "another": ({"queue": "celery"}, False),
    "another, with our key": ({"queue": "celery", "routing_key": "sockudo"}, False),
    "key": ({"exchange": "", "routing_key": "sockudo"}, True),
    "exchange": ({"exchange": Exchange("sockudo")}, True),
    "nothing": ({}, False),
}


@pytest.mark.parametrize(("options", "ours"), NAMES_OURS.values(), ids=NAMES_OURS)
def test_options_that_name_our_queue(options: dict[str, Any], ours: bool) -> None:
    """By text or by kombu's objects."""
    assert sends_to_queue(options, "sockudo") is ours


NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({"countdown": 1.5}, NOW_MS + 1500),
        ({"countdown": 0}, NOW_MS),
        ({"countdown": -2}, NOW_MS - 2000),
        ({"eta": NOW + timedelta(seconds=3)}, NOW_MS + 3000),
        ({"eta": NOW + timedelta(seconds=3), "countdown": 1}, NOW_MS + 1000),
        ({"eta": NOW + timedelta(seconds=3), "countdown": 0}, NOW_MS + 3000),
    ],
)
def test_due_time(options: dict[str, Any], due: int) -> None:
    """As in Celery, a countdown wins over an `eta`."""
    assert due_ms(options, NOW_MS) == due


@pytest.mark.parametrize(
    ("options", "by_s"),
    [
        ({"countdown": 5, "expires": 5}, "0"),
        ({"countdown": 5, "expires": 2.5}, "2.5"),
        ({"eta": NOW, "expires": NOW - timedelta(seconds=1)}, "1"),
    ],
)
def test_expiry_before_the_due_time_is_refused(options: dict[str, Any], by_s: str) -> None:
    with pytest.raises(ValidationError, match=rf"^expires: {by_s} s before the event is due"):
        check_due_before_expiry(options)


@pytest.mark.parametrize(
    "options",
    [
        {"countdown": 5},
        {"countdown": 5, "expires": 5.001},
        {"countdown": 5, "expires": NOW},
        {"eta": NOW, "expires": 1},
        {"eta": NOW, "countdown": 1, "expires": 2},
        {"eta": NOW, "countdown": 1, "expires": NOW - timedelta(seconds=9)},
    ],
)
def test_expiry_is_left_to_a_clock(options: dict[str, Any]) -> None:
    """What can only be compared at the call, with Redis' time."""
    check_due_before_expiry(options)


def test_message_takes_what_can_do_no_harm() -> None:
    """To our queue: no limits of time, no priority, no other connection, no expiry, which is the event's own."""
    given = {
        "task_id": "t",
        "countdown": 5,
        "expires": 3,
        "time_limit": 1,
        "priority": 3,
        "connection": object(),
        "queue": "q",
        "headers": {"task": "other", "mine": 1},
        "stamped_headers": ["mark", "lost"],
        "mark": "m",
        "x-own": 1,
    }
    kept = {"task_id": "t", "countdown": 5, "headers": {"mine": 1}, "stamped_headers": ["mark"], "mark": "m"}
    assert options_for_own_queue(given, "sockudo") == {**kept, "queue": "sockudo"}
    assert options_for_other_app(given) == {**kept, "expires": 3, "queue": "q", "priority": 3, "x-own": 1}

"""Bad input raises at the caller, names field, limit and size, and stores nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sockudo_publisher import (
    BacklogFull,
    ConfigurationError,
    Event,
    IdempotencyConflict,
    ValidationError,
    configure,
    publish,
    publish_many,
)
from tests.support.parts import not_for_this_case
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

PAYLOAD = "the-payload-itself"
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)

BAD: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "event name empty": (("c", "", PAYLOAD), {}, "event name: empty, expected 1 to 200 bytes"),
    "event name long": (("c", "e" * 201, PAYLOAD), {}, "event name: 201 bytes, limit 200"),
    "event name long in bytes": (("c", "é" * 101, PAYLOAD), {}, "event name: 202 bytes, limit 200"),
    "channel empty": (("", "e", PAYLOAD), {}, "channel: empty, expected 1 to 200 bytes"),
    "channel illegal": (("a b", "e", PAYLOAD), {}, "channel: 3 characters, of which some are not allowed"),
    "channel newline": (("a\n", "e", PAYLOAD), {}, "channel: 2 characters, of which some are not allowed"),
    "channel long": (("c" * 212, "e", PAYLOAD), {}, "channel: 212 bytes, limit 200"),
    "too many channels": (([f"c{n}" for n in range(101)], "e", PAYLOAD), {}, "limit 100"),
    "no channel": (([], "e", PAYLOAD), {}, "channels: none, expected 1 to 100"),
    "data long": (("c", "e", "x" * 10_241), {}, "data: 10241 bytes, limit 10240"),
    "data long in bytes": (("c", "e", "é" * 5121), {}, "data: 10242 bytes, limit 10240"),
    "NaN": (("c", "e", {"x": float("nan")}), {}, "data.x: not JSON, NaN or an infinite number"),
    "not UTF-8": (("c", "e", b"\xff\xfe"), {}, "data: 2 bytes that are not UTF-8"),
    "lone surrogate": (("c", "e", "\ud800"), {}, "data: not UTF-8 (a lone surrogate)"),
    "not JSON": (("c", "e", {"x": object()}), {}, "data.x: not JSON, Object of type object"),
    "circular": (("c", "e", CIRCLE), {}, "data: not JSON, circular or too deep"),
    "socket id": (("c", "e", PAYLOAD), {"socket_id": "1.2:x"}, "socket_id: 5 characters, expected digits.digits"),
    "key empty": (("c", "e", PAYLOAD), {"key": ""}, "key: empty, expected 1 to 128 bytes"),
    "key long": (("c", "e", PAYLOAD), {"key": "k" * 129}, "key: 129 bytes, limit 128"),
    "encrypted without a key": (("private-encrypted-c", "e", PAYLOAD), {}, "encryption_master_key_base64"),
    "encrypted among others": ((["private-encrypted-c", "d"], "e", PAYLOAD), {}, "it must be the only one"),
    "two headers": (
        ("c", "e", PAYLOAD),
        {"extras": {"headers": {"a": 1, "b": 2}}},
        "extras.headers: 2 entries, limit 1",
    ),
    "tags value": (("c", "e", PAYLOAD), {"tags": {"ok": "x", "a": 1}}, "tags['a']: a int, expected a str"),
    "tags name": (("c", "e", PAYLOAD), {"tags": {2: "x"}}, "tags: a int as a name, expected a str"),
    "tags no mapping": (("c", "e", PAYLOAD), {"tags": [PAYLOAD]}, "tags: a list, expected a mapping"),
    "extras list": (("c", "e", PAYLOAD), {"extras": [PAYLOAD]}, "extras: a list, expected a mapping"),
    "extras str": (("c", "e", PAYLOAD), {"extras": PAYLOAD}, "extras: a str, expected a mapping"),
    "no channel at all": ((None, "e", PAYLOAD), {}, "channel: a NoneType, expected a str or a sequence of str"),
}


@pytest.mark.parametrize(("args", "kwargs", "message"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("how", ["delay", "apply_async", "countdown", "now"])
def test_bad_input_raises_at_the_caller_and_stores_nothing(
    stack: Stack, how: str, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    """By every way to call it: a ValueError that names what is wrong, and an empty Redis."""
    ways = {
        "delay": lambda: publish.delay(*args, **kwargs),
        "apply_async": lambda: publish.apply_async(args, kwargs, expires=60),
        "countdown": lambda: publish.apply_async(args, kwargs, countdown=60),
        "now": lambda: publish(*args, **kwargs),
    }
    if how == "now" and "extras.headers" in message:
        not_for_this_case("a direct call may carry them: it is not resent when its fate is unknown")
    with pytest.raises(ValidationError) as caught:
        ways[how]()
    assert isinstance(caught.value, ValueError)
    assert message in str(caught.value)
    assert PAYLOAD not in str(caught.value)
    assert stack.redis.keys("*:stream") == []
    assert stack.redis.llen("sockudo") == 0


@pytest.mark.parametrize("args", [(), ("c",), ("c", "e"), ("c", "e", 1, 2)])
def test_wrong_number_of_arguments_is_a_type_error(stack: Stack, args: tuple[Any, ...]) -> None:
    """As Python has it."""
    with pytest.raises(TypeError, match=r"Publish\.delay\(\)"):
        publish.delay(*args)
    with pytest.raises(TypeError, match=r"publish\(\)"):
        publish.apply_async(args)
    with pytest.raises(TypeError, match="'nonsense'"):
        publish.delay("c", "e", 1, nonsense=1)


@pytest.mark.parametrize(
    "url",
    ["", "http://k:very-secret@h/apps/", "ftp://k:very-secret@h/apps/a", "http://very-secret@h/apps/a", "very-secret"],
)
def test_missing_or_malformed_url_is_an_error_without_the_secret(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """It names SOCKUDO_URL and what is expected."""
    monkeypatch.setenv("SOCKUDO_URL", url)
    configure()
    with pytest.raises(ConfigurationError) as caught:
        publish.delay("c", "e", 1)
    assert "SOCKUDO_URL" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_option_that_no_worker_can_take_stores_and_sends_nothing(stack: Stack) -> None:
    """By every way that takes options, also where the call would be stored at once."""
    options: list[dict[str, Any]] = [
        {"serializer": "pickle"},
        {"eta": "not a date"},
        {"compression": "rot13"},
        {"expires": 1e300},
    ]
    for option in options:
        name = next(iter(option))
        with pytest.raises(ValidationError, match=name):
            publish.apply_async(("c", "e", PAYLOAD), **option)
        with pytest.raises(ValidationError, match=name):
            publish.s("c", "e", PAYLOAD).apply_async(**option)
        with pytest.raises(ValidationError, match=name):
            publish.s("c", "e", PAYLOAD).set(**option).delay()
    with pytest.raises(TypeError, match="got key as an option"):
        publish.apply_async(("c", "e", PAYLOAD), key="k")
    assert stack.redis.keys("*:stream") == []
    assert stack.redis.llen("sockudo") == 0


def test_full_backlog_refuses_and_stores_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """At SOCKUDO_MAX_BACKLOG events a lane `delay` raises BacklogFull; several channels are stored all or say which."""
    monkeypatch.setenv("SOCKUDO_MAX_BACKLOG", "3")
    configure()
    for n in range(3):
        publish.delay("c", "e", n)
    with pytest.raises(BacklogFull, match="SOCKUDO_MAX_BACKLOG"):
        publish.delay("c", "e", 3)
    with pytest.raises(BacklogFull):
        publish.delay("c", "e", 3, key="k")
    (stream,) = stack.redis.keys("*:stream")
    assert stack.redis.xlen(stream) == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("c", "e"), "a tuple of 2, expected (channel, name, data)"),
        ({"channel": "c", "name": "e"}, "event: no data"),
        (
            {"channel": "c", "name": "e", "data": 1, "nonsense": 2},
            "unknown field 'nonsense', expected channel, collapse, ",
        ),
        (7, "event: a int, expected"),
        (Event("c", "e", 1, idempotency_key="k"), "idempotency_key: not for queued events"),
        (Event("c", "e", 1, info="user_count"), "info: not for queued events"),
        (Event("c", "e", 1, extras=["x"]), "extras: a list, expected a mapping"),  # type: ignore[arg-type]
        (Event("c", "e", 1, tags={"t": 5}), "tags['t']: a int, expected a str"),  # type: ignore[dict-item]
        ((None, "e", 1), "channel: a NoneType, expected a str"),
        (("c", "", 1), "event name: empty"),
        (Event("c", "e", float("inf")), "NaN or an infinite number"),
        (("c", "e", "x" * 10_241), "data: 10241 bytes, limit 10240"),
    ],
)
def test_publish_many_stores_and_counts_all_before_a_bad_event(stack: Stack, bad: Any, message: str) -> None:
    """`.index` is the bad event's place, `.stored` what is stored: all before it."""
    events = [*((f"c{n % 5}", "e", n) for n in range(2345)), bad, ("c", "e", "after")]
    with pytest.raises(ValidationError) as caught:
        publish_many(events)
    assert message in str(caught.value)
    assert (caught.value.index, caught.value.stored) == (2345, 2345)
    depths = [int(stack.redis.hget(key, "depth") or 0) for key in stack.redis.keys("*:state")]
    assert sum(depths) == 2345


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"key_prefix": ""}, ValidationError, "key_prefix: empty"),
        ({"key_prefix": 42}, ValidationError, "key_prefix: a int, expected a str"),
        ({"progress": 5}, TypeError, "progress: a int"),
        ({"total": "9"}, TypeError, "total: a str, expected a whole number"),
        ({"total": -1}, ValidationError, "total: -1"),
    ],
)
def test_publish_many_checks_its_options_before_the_first_event(
    stack: Stack, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """An option that is wrong costs no event: none is taken from the iterable."""
    events = iter([("c", "e", 1)])
    with pytest.raises(kind, match=message):
        publish_many(events, **options)
    assert next(events) == ("c", "e", 1)


def test_conflicting_countdown_on_several_channels_marks_none(stack: Stack) -> None:
    """All channels are looked at before any is marked: the key stays free for another event on the others."""
    first, second = stack.channels(2)
    publish.apply_async((second, "e", "one"), {"key": "k"}, countdown=600)
    with pytest.raises(IdempotencyConflict):
        publish.apply_async(([first, second], "e", "two"), {"key": "k"}, countdown=600)
    assert [key for key in stack.redis.keys("*ledger*") if first.encode() in key] == []
    assert publish.delay(first, "e", "three", key="k").id == "k"

"""The bounds of `extras`, without a server; that a server has the same: test_caller_and_server_agree.py."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from sockudo_publisher.client.wire import stock_server
from sockudo_publisher.client.wire.encoding import Encoder, _item_head
from sockudo_publisher.errors import ValidationError
from tests.support.verdicts import ACCEPTED, CONFIGURED, REFUSED, STRICTER, nested

pytestmark = pytest.mark.unit

ENCODER = Encoder()


def item(**fields: Any) -> bytes:
    fields = {"channel": "c", "name": "e", "data": "x", "message_id": "m", **fields}
    return ENCODER.item(fields.pop("channel"), fields.pop("name"), ENCODER.payload(fields.pop("data")), **fields)


@pytest.mark.parametrize("form", [*ACCEPTED.values(), *(form for form, _ in CONFIGURED.values())])
def test_accepted_form(form: dict[str, Any]) -> None:
    assert item(**form)


@pytest.mark.parametrize(("form", "complaint"), {**REFUSED, **STRICTER}.values(), ids={**REFUSED, **STRICTER})
def test_refused_form_is_named_without_its_value(form: dict[str, Any], complaint: str) -> None:
    """Field, limit and size; never what was in it."""
    with pytest.raises(ValidationError) as caught:
        item(**form)
    assert complaint in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("bracket", ["[", "{"])
@pytest.mark.parametrize(("levels", "accepted"), [(124, True), (125, False)])
def test_levels_of_a_batch(bracket: str, levels: int, accepted: bool) -> None:
    """`extras` itself is the first; lists and objects count alike, tuples as lists."""
    extras = {"wide": [[]] * 200, "deep": (nested(levels - 2, bracket),)}
    if accepted:
        assert item(extras=extras)
        return
    with pytest.raises(ValidationError, match=f"extras: {levels} levels of JSON, limit 124"):
        item(extras=extras)


def test_circle_and_depth_beyond_the_encoder_name_the_limit() -> None:
    """What Python's own encoder cannot walk through."""
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, nested(100_000)):  # the depth differs between Python versions
        with pytest.raises(ValidationError, match="extras: not JSON, circular or too deep, limit 124 levels"):
            item(extras={"z": value})


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**30, 10**400])
def test_integer_beyond_64_bits_is_refused_by_its_place(value: int) -> None:
    """Anywhere in extras."""
    with pytest.raises(ValidationError) as caught:
        item(extras={"a": {"b c": [0, {"d": value}]}})
    assert str(caught.value).startswith("extras['a']['b c'][1]['d']: an integer of ")
    assert str(value) not in str(caught.value)


def test_integer_that_python_does_not_write_is_refused() -> None:
    """More than 4,300 digits."""
    with pytest.raises(ValidationError, match=r"extras\.z: "):
        item(extras={"z": 10**5000})


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), True, 1e300, "1" * 50])
def test_what_keeps_its_value_is_accepted(value: Any) -> None:
    assert item(extras={"z": value})


def test_data_has_no_such_bounds() -> None:
    """It travels as text, which the server does not look into."""
    assert item(data={"n": 2**80, "deep": nested(200)})


def test_a_key_in_extras_is_bounded_where_it_is_the_id() -> None:
    """Beside a message id it means nothing to the server."""
    for key in ("", "k" * 129):
        with pytest.raises(ValidationError, match=r"extras\.idempotencyKey: "):
            item(extras={"idempotencyKey": key}, message_id=None)
        assert item(extras={"idempotencyKey": key})


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The warnings of a process that has not warned of anything yet."""
    monkeypatch.setattr(stock_server, "_warned", {})
    _item_head.cache_clear()
    caplog.set_level(logging.WARNING, "sockudo_publisher.client")
    return caplog


def test_namespace_is_warned_of_once_a_process(warned: pytest.LogCaptureFixture) -> None:
    """However many channels, threads and kinds of calls."""

    def publish(thread: int) -> None:
        for number in range(50):
            item(channel=f"private-user:{thread}-{number}")
            ENCODER.event([f"user:{thread}-{number}", "plain"], "e", "x")

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [record] = warned.records
    assert "namespace=user" in record.getMessage()


def test_each_kind_of_warning_is_given_once(warned: pytest.LogCaptureFixture) -> None:
    """A namespace, a name of AI Transport, its extras: three things to configure; and a class of channels."""
    for _ in range(2):
        for form, _words in CONFIGURED.values():
            item(**form)
    assert len(warned.records) == 4


def test_refused_channel_is_not_warned_of(warned: pytest.LogCaptureFixture) -> None:
    """The caller has the error."""
    for channel in ("user 1:x", "u:" + "x" * 200):
        with pytest.raises(ValidationError):
            item(channel=channel)
    assert warned.records == []

"""Batches in one request or several: limits, joined answers, and what the error of a failed one says."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.client.wire.event import Event
from sockudo_publisher.errors import BadRequest, CallError, ConfigurationError, PayloadTooLarge, ValidationError
from tests.support.wire import wired

pytestmark = pytest.mark.unit

KEY = "zyrm8pvV2C9fJcBfhyXzvxbJVN/H7QLmbe0xJi1GhPU="


def events(count, **options):
    return [Event(f"c{number}", "e", str(number), **options) for number in range(count)]


def sizes(wire):
    return [len(sent.json()["batch"]) for sent in wire.sent]


def published(wire):
    """Everything that a server would have published, in its order."""
    return [item["data"] for sent in wire.sent if sent.accepted for item in sent.json()["batch"]]


class Limited:
    """A server with limits of its own, that answers item by item and fails where a test makes it."""

    def __init__(self, most=None, max_bytes=None, fail_at=None, error=(500, {})):
        self.most, self.max_bytes, self.fail_at, self.error = most, max_bytes, fail_at, error
        self.seen = 0

    def __call__(self, sent):
        items = sent.json()["batch"]
        sent.accepted = False
        if self.max_bytes is not None and len(sent.body) > self.max_bytes:
            return 413, "length limit exceeded"
        if self.most is not None and len(items) > self.most:
            complaint = f"Batch size ({len(items)}) exceeds limit ({self.most})"
            return 400, {"error": complaint, "code": "limit_exceeded", "status": 400}
        self.seen += 1
        if self.seen == self.fail_at:
            return self.error
        sent.accepted = True
        if not any("info" in item or "message_id" in item for item in items):
            return {}
        return {"batch": [{"acknowledgement_id": item["data"]} for item in items]}


def test_one_request_unless_split_is_asked_for():
    """Nothing is split silently; the error has the server's text about the size."""
    with wired() as wire:
        wire.answer = Limited(most=50)
        with pytest.raises(BadRequest, match=r"Batch size \(51\) exceeds limit \(50\)") as caught:
            wire.client.trigger_batch(events(51))
        assert (caught.value.sent, caught.value.accepted, caught.value.doubtful) == (False, 0, range(0))
        assert sizes(wire) == [51]


def test_more_than_the_client_was_told_is_refused_here():
    """Before anything is sent; the error says what to do."""
    with wired(max_batch_events=10) as wire:
        with pytest.raises(ValidationError, match=r"^events: 11, limit 10 \(split=True sends several requests\)$"):
            wire.client.trigger_batch(events(11))
        assert wire.sent == []
        wire.client.trigger_batch(events(10))
        assert sizes(wire) == [10]


def test_more_bytes_than_a_request_holds_are_refused_here():
    """To the byte: the body counts as it is sent."""
    body = len(b'{"batch":[{"channel":"c0","name":"e","data":"0"},{"channel":"c1","name":"e","data":"1"}]}')
    with wired(max_batch_bytes=body) as wire:
        wire.client.trigger_batch(events(2))
        assert len(wire.only.body) == body
    with wired(max_batch_bytes=body - 1) as wire:
        with pytest.raises(ValidationError, match=rf"^events: {body} bytes, limit {body - 1} "):
            wire.client.trigger_batch(events(2))
        assert wire.sent == []


def test_ten_mebibytes_unless_told_otherwise():
    """The server's own limit of a request."""
    big = [("c", "e", "x" * 10_000) for _ in range(1050)]
    with wired() as wire:
        with pytest.raises(ValidationError, match="limit 10485760"):
            wire.client.trigger_batch(big)
        wire.client.trigger_batch(big, split=True)
        assert sum(sizes(wire)) == 1050
        assert len(wire.sent) == 2
        assert all(len(sent.body) <= 10_485_760 for sent in wire.sent)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 25])
def test_split_sends_several_and_joins_their_answers(count):
    """In order, none larger than allowed, one answer an event."""
    with wired(max_batch_events=10) as wire:
        wire.answer = Limited(most=10)
        answer = wire.client.trigger_batch(events(count, info="subscription_count"), split=True)
        assert [item["acknowledgement_id"] for item in answer["batch"]] == [str(number) for number in range(count)]
        assert published(wire) == [str(number) for number in range(count)]
        assert len(wire.sent) == -(-count // 10)


def test_parts_of_which_nothing_was_asked_keep_their_places():
    """The server answers {} for such a part; the answer of event 12 is still the thirteenth."""
    given = events(12) + events(1, info="subscription_count") + events(9)
    with wired(max_batch_events=5) as wire:
        wire.answer = Limited()
        answer = wire.client.trigger_batch(given, split=True)["batch"]
        assert len(answer) == 22
        assert [index for index, item in enumerate(answer) if item] == [10, 11, 12, 13, 14]
    with wired(max_batch_events=5) as wire:
        assert wire.client.trigger_batch(events(22), split=True) == {}


def test_split_learns_the_limit_of_the_app():
    """From one refusal, of which nothing was published; and keeps it for the next batch."""
    with wired() as wire:
        wire.answer = Limited(most=40)
        wire.client.trigger_batch(events(100), split=True)
        assert sizes(wire) == [100, 40, 40, 20]
        assert published(wire) == [str(number) for number in range(100)]
        wire.client.trigger_batch(events(50), split=True)
        assert sizes(wire)[4:] == [40, 10]


def test_split_learns_from_a_proxy_that_takes_less():
    """413 names no number: half as many, until it fits."""
    with wired() as wire:
        wire.answer = Limited(max_bytes=2000)
        wire.client.trigger_batch(events(200), split=True)
        assert published(wire) == [str(number) for number in range(200)]
        assert sizes(wire)[:4] == [200, 100, 50, 25]


def test_one_event_too_large_for_a_proxy():
    """Cannot be split any further: what came before it is out."""
    given = [*events(3), ("c", "e", "x" * 9000), *events(3)]
    with wired() as wire:
        wire.answer = Limited(max_bytes=5000)
        with pytest.raises(PayloadTooLarge) as caught:
            wire.client.trigger_batch(given, split=True)
        assert (caught.value.sent, caught.value.accepted, caught.value.doubtful) == (False, 3, range(3, 3))
        assert published(wire) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("error", "sent"), [((500, {}), True), ((400, {"error": "x", "code": "invalid_input"}), True), ((401, {}), False)]
)
def test_error_in_the_middle_says_what_is_out(error, sent):
    """The parts before it are; of its own part something may be; what comes after was not sent."""
    with wired(max_batch_events=10) as wire:
        wire.answer = Limited(fail_at=3, error=error)
        with pytest.raises(CallError) as caught:
            wire.client.trigger_batch(events(45), split=True)
        assert caught.value.accepted == 20
        assert caught.value.doubtful == (range(20, 30) if sent else range(20, 20))
        assert sizes(wire) == [10, 10, 10]


def test_error_of_a_single_request():
    """Nothing is sure, and all of it in doubt."""
    with wired() as wire:
        wire.answer = Limited(fail_at=1)
        with pytest.raises(CallError) as caught:
            wire.client.trigger_batch(events(5))
        assert (caught.value.accepted, caught.value.doubtful) == (0, range(5))


def test_a_bad_event_is_found_before_the_first_part():
    """Not after half of the batch is published."""
    with wired(max_batch_events=2) as wire:
        with pytest.raises(ValidationError, match=r"^event 7: ") as caught:
            wire.client.trigger_batch([*events(7), ("bad channel", "e", 1)], split=True)
        assert caught.value.index == 7
        assert wire.sent == []


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 9), st.integers(40, 900))
def test_parts_are_a_cut_of_the_batch(lengths, most, max_bytes):
    """Whatever the limits: every event once, in order, in parts as large as they may be."""
    given = [("c", "e", f"{index}:" + "x" * length) for index, length in enumerate(lengths)]
    with wired(max_batch_events=most, max_batch_bytes=max_bytes) as wire:
        wire.client.trigger_batch(given, split=True)
        bodies = [sent.json()["batch"] for sent in wire.sent]
        assert [item["data"] for body in bodies for item in body] == [data for _, _, data in given]
        for body, sent in zip(bodies, wire.sent, strict=True):
            assert len(body) <= most
            assert len(sent.body) <= max_bytes or len(body) == 1
        for first, second, sent in zip(bodies, bodies[1:], wire.sent, strict=False):
            item = len(json.dumps(second[0], separators=(",", ":")))
            assert len(first) == most or len(sent.body) + 1 + item > max_bytes


def test_what_the_caller_gave_is_left_alone():
    """Other SDKs write keys and ciphertext into it (docs/sdks.md, G1), which the next call then sends."""
    given = [
        {"channel": "private-encrypted-c", "name": "e", "data": {"x": [1]}, "key": "a"},
        {"channel": "c", "name": "e", "data": {"x": 1}, "idempotency_key": True, "tags": {"a": "b"}},
        Event("private-encrypted-c", "e", {"x": 1}, extras={"headers": {"a": 1}}),
    ]
    before = copy.deepcopy(given)
    with wired(encryption_master_key_base64=KEY) as wire:
        wire.client.trigger_batch(given)
        wire.client.trigger_batch(given, split=True)
        assert given == before
        first, second = (sent.json()["batch"] for sent in wire.sent)
        assert first[0]["data"] == second[0]["data"], "under one id it is one payload, however often it is sealed"
        assert first[2]["data"] != second[2]["data"], "without one it is sealed anew: another call"
        assert first[1]["idempotency_key"] != second[1]["idempotency_key"]


def test_an_events_key_is_its_message_id():
    """As in queued publishes."""
    with wired() as wire:
        wire.client.trigger_batch([{"channel": "c", "name": "e", "data": 1, "key": "order-1"}])
        (item,) = wire.only.json()["batch"]
        assert item["message_id"] == "order-1"
        assert "key" not in item
        with pytest.raises(ValidationError, match=r"^event 0: message_id: 129 bytes, limit 128"):
            wire.client.trigger_batch([Event("c", "e", 1, key="x" * 129)])


def test_batch_is_another_name_of_events():
    """Which users of pusher may have given by name."""
    with wired() as wire:
        wire.client.trigger_batch(batch=[{"channel": "c", "name": "e", "data": 1}])
        assert len(wire.only.json()["batch"]) == 1
        assert wire.client.trigger_batch() == {}
        with pytest.raises(ValidationError, match=r"^batch: given together with events"):
            wire.client.trigger_batch([("c", "e", 1)], batch=[("c", "e", 1)])


def test_trigger_multi_is_trigger():
    """The name that other SDKs have for several channels."""
    with wired() as wire:
        wire.client.trigger_multi(["a", "b"], "e", 1)
        assert wire.only.json()["channels"] == ["a", "b"]


@pytest.mark.parametrize("option", ["max_batch_events", "max_batch_bytes", "max_event_bytes"])
@pytest.mark.parametrize("bad", [0, -1, "10", 1.5, True])
def test_bad_limits(option, bad):
    """Found at construction, by fields and by URL."""
    for make in (
        lambda **options: Sockudo("a", "k", "s", **options),
        lambda **options: Sockudo.from_url("http://k:s@h/apps/a", **options),
    ):
        with pytest.raises(ConfigurationError, match=f"^{option}: "):
            make(**{option: bad})

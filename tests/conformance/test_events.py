"""One event: what is answered, what subscribers get."""

from __future__ import annotations

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import SECOND, Node

pytestmark = pytest.mark.integration

SOURCE = "13-one-event"


@fact(
    "event.plain_answer", "Without `info` and `message_id` the answer is `ok`", promise=Promise.OUTCOME, source=SOURCE
)
def test_plain_answer(plain: Node, name: str):
    return plain.event(channel=name, name="e", data="d").line


@fact(
    "event.receipt",
    "With a `message_id` the answer has it back as `acknowledgement_id`, by channel",
    promise=Promise.ONCE,
    source=SOURCE,
    quick=True,
)
def test_receipt(plain: Node, name: str):
    return plain.event(channels=[f"{name}-1", f"{name}-2"], name="e", data="d", message_id=name).line


@fact("event.info", "`info` adds counts to the answer", promise=Promise.CLIENT, source=SOURCE)
def test_info(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        info = "subscription_count,user_count"
        # Without an id the server makes one, another each time.
        without_id = plain.event(channel=name, name="e", data="d", info="").json["channels"][name]
        return {
            "public": plain.event(channel=name, name="e", data="d", message_id=name, info=info).line,
            "presence": plain.event(channel=f"presence-{name}", name="e", data="d", message_id=name, info=info).line,
            "presence, users alone": plain.event(
                channel=f"presence-{name}", name="e", data="d", message_id=f"{name}-3", info="user_count"
            ).line,
            "unknown names": plain.event(channel=name, name="e", data="d", message_id=f"{name}-2", info="x,y").line,
            "empty, without an id": sorted(without_id),
        }


@fact(
    "event.frame",
    "A subscriber gets `event`, `channel` and `data`, and nothing else",
    promise=Promise.CLIENT,
    source="11-websockets",
    quick=True,
)
def test_frame(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        more = {"tags": {"a": "b"}, "message_id": name, "extras": {"x": 1}, "info": "user_count"}
        plain.event(channel=name, name="é", data="d", **more)
        return [frame for frame in (socket.next(),) if frame]


@fact(
    "event.data",
    "`data` is text: anything else is delivered as its JSON, keys sorted",
    promise=Promise.CLIENT,
    source=SOURCE,
)
def test_data(plain: Node, name: str):
    cases = {
        "text": 'ü\u2028"/</\x7f\x01 😀',
        "empty": "",
        "null": None,
        "true": True,
        "number": 2.5,
        "list": [],
        "object": {"b": 1, "a": [1, None, "ü"]},
    }
    with plain.socket() as socket:
        socket.subscribe(name)
        found = {}
        for case, data in cases.items():
            plain.event(channel=name, name="e", data=data)
            found[case] = socket.wait_for_texts(1)[0]
        plain.event(channel=name, name="e")
        found["absent"] = socket.wait_for_texts(1)[0]
        return found


@fact(
    "event.numbers",
    "Integers keep their value up to 64 bits; others become floats",
    promise=Promise.CHECKED,
    source="36-extras",
)
def test_numbers(plain: Node, name: str):
    cases = {
        "-2^63": "-9223372036854775808",
        "2^64-1": "18446744073709551615",
        "2^64": "18446744073709551616",
        "1e309": "1e309",
    }
    with plain.socket() as socket:
        socket.subscribe(name)
        found = {}
        for case, number in cases.items():
            answer = plain.post("/events", b'{"channel":"%s","name":"e","data":%s}' % (name.encode(), number.encode()))
            found[case] = socket.wait_for_texts(1)[0] if answer.status == 200 else answer.code
        return found


@fact(
    "event.channels",
    "A list of `channels` overrides `channel`; a channel named twice gets an event without an id twice",
    promise=Promise.ONCE,
    source=SOURCE,
)
def test_channels(plain: Node, name: str):
    first, second, other = f"{name}-1", f"{name}-2", f"{name}-3"
    with plain.socket() as socket:
        for channel in (first, second, other):
            socket.subscribe(channel)
        answers = [
            plain.event(channels=[first, second, first], name="e", data="plain", channel=other).line,
            plain.event(channels=[first, second, first], name="e", data="once", message_id=name).line,
        ]
        frames = [frame for frame in socket.settle() if frame["event"] == "e"]
        delivered = {
            channel: sorted(frame["data"] for frame in frames if frame["channel"] == channel)
            for channel in (first, second, other)
        }
        return {"answers": answers, **delivered}


@fact(
    "event.bad_channel",
    "One bad channel of several: the answer is its error, the others get the event",
    promise=Promise.OUTCOME,
    source=SOURCE,
)
def test_bad_channel(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        answer = plain.event(channels=["a b", name], name="e", data="d")
        return {"answer": answer.code, "delivered": socket.wait_for_texts(1)}


@fact("event.unknown_fields", "Unknown fields are ignored", promise=Promise.CLIENT, source=SOURCE)
def test_unknown_fields(plain: Node, name: str):
    return plain.event(channel=name, name="e", data="d", whatever={"a": 1}).line


@fact(
    "event.left_out",
    "The socket of `socket_id` does not get the event; a malformed id, or one of no socket, is ignored",
    promise=Promise.CLIENT,
    source="43-a-socket-that-is-left-out",
    quick=True,
)
def test_socket_left_out(plain: Node, name: str):
    with plain.socket() as one, plain.socket() as other:
        one.subscribe(name)
        other.subscribe(name)
        plain.event(channel=name, name="e", data="for the other", socket_id=one.id)
        plain.event(channel=name, name="e", data="for all", socket_id="nonsense")
        plain.event(channel=name, name="e", data="for all again", socket_id="1.1")
        return {"left out": one.wait_for_texts(2), "other": other.wait_for_texts(3)}


@fact(
    "event.apps",
    "Apps are separate: an event reaches the subscribers of its app alone",
    promise=Promise.ACCESS,
    source="2-signing",
)
def test_apps_are_separate(plain: Node, name: str):
    second = plain.of(SECOND)
    with plain.socket() as mine, second.socket() as theirs:
        mine.subscribe(name)
        theirs.subscribe(name)
        plain.event(channel=name, name="e", data="mine")
        second.event(channel=name, name="e", data="theirs")
        return {"first": mine.wait_for_texts(1), "second": theirs.wait_for_texts(1)}


@fact(
    "event.no_subscriber",
    "An event that no socket receives is a success, and is not kept",
    promise=Promise.KEPT,
    source="13-one-event",
)
def test_event_without_subscribers(plain: Node, name: str):
    answer = plain.event(channel=name, name="e", data="early")
    with plain.socket() as socket:
        socket.subscribe(name)
        plain.event(channel=name, name="e", data="late")
        return {"answer": answer.line, "delivered": socket.wait_for_texts(1)}


@fact(
    "order.batches",
    "Events of sequential requests arrive in their order, over many batches",
    promise=Promise.ORDER,
    source="6-order",
    quick=True,
)
def test_order_of_batches(plain: Node, name: str):
    with plain.socket() as socket:
        socket.subscribe(name)
        items = [{"channel": name, "name": "e", "data": str(n), "message_id": f"{name}-{n}"} for n in range(500)]
        for start in range(0, 500, 50):
            plain.batch(*items[start : start + 50])
        found = [int(text) for text in socket.wait_for_texts(500)]
        return {"events": len(found), "in order": found == sorted(found)}


@fact("order.one_by_one", "So do single events, on channels that take turns", promise=Promise.ORDER, source="6-order")
def test_order_of_single_events(plain: Node, name: str):
    channels = [f"{name}-{n}" for n in range(3)]
    with plain.socket() as socket:
        for channel in channels:
            socket.subscribe(channel)
        for n in range(60):
            plain.event(channel=channels[n % 3], name="e", data=str(n))
        found = [int(text) for text in socket.wait_for_texts(60)]
        return {"events": len(found), "in order": found == sorted(found)}

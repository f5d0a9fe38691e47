"""Limits of an event and of a batch, and the order in which they are checked."""

from __future__ import annotations

import pytest

from tests.conformance.fact import Promise, fact
from tests.conformance.targets import Node

pytestmark = pytest.mark.integration

EVENT = {"channel": "c", "name": "e", "data": "d"}
SOURCE = "42-rules-of-an-event-in-their-order"
WHERE = "41-where-they-are-set"


def both(node: Node, **fields) -> str:
    """The answer to an event; a batch of it must be refused alike, and the connection be closed."""
    event = {**EVENT, **fields}
    alone, in_batch = node.post("/events", event), node.batch(event)
    assert alone.status == in_batch.status
    assert [answer.headers.get("connection") for answer in (alone, in_batch)] == ["close", "close"]
    assert alone.status == 200 or alone.line == in_batch.line
    return alone.line


@fact("limits.no_name", "An event needs a name", promise=Promise.CHECKED, source=SOURCE)
def test_no_name(plain: Node):
    return both(plain, name=None)


@fact(
    "limits.long_name",
    "An event's name has at most 200 bytes; the code is the batch size's",
    promise=Promise.OUTCOME,
    source=SOURCE,
    quick=True,
)
def test_long_name(plain: Node):
    return {"200": both(plain, name="n" * 200), "201": both(plain, name="n" * 201).replace("n" * 201, "n...n")}


@fact("limits.name_in_bytes", "Names are measured in bytes", promise=Promise.CHECKED, source=SOURCE)
def test_name_in_bytes(plain: Node):
    return {
        f"{count} of two bytes": both(plain, name="é" * count).replace("é" * count, "é...é") for count in (100, 101)
    }


@fact("limits.empty_name", "An empty name and an empty channel are accepted", promise=Promise.CHECKED, source=SOURCE)
def test_empty_name(plain: Node):
    return {"name": both(plain, name=""), "channel": both(plain, channel="")}


@fact(
    "limits.payload",
    "`data` over the app's limit is 413 in JSON, measured in bytes",
    promise=Promise.OUTCOME,
    source=SOURCE,
    quick=True,
)
def test_payload(limited: Node):
    return {
        "1024 bytes": both(limited, data="x" * 1024),
        "1025 bytes": both(limited, data="x" * 1025),
        "513 of two bytes": both(limited, data="ü" * 513),
    }


@fact(
    "limits.no_payload_limit",
    "Without `policy.limits` an app has no limit of data, batch or channels",
    promise=Promise.CHECKED,
    source=WHERE,
)
def test_no_limits(plain: Node, name: str):
    return {
        "one MiB of data": plain.event(channel=name, name="e", data="x" * (1 << 20)).line,
        "2,001 items": plain.batch(*[{**EVENT, "channel": name}] * 2001).line,
        "150 channels": plain.event(channels=[f"{name}-{n}" for n in range(150)], name="e", data="d").line,
    }


@fact(
    "limits.no_channel",
    "An event needs a channel; an empty list is refused even beside one",
    promise=Promise.CHECKED,
    source=SOURCE,
)
def test_no_channel(plain: Node):
    return {"none": both(plain, channel=None), "empty list": both(plain, channels=[])}


@fact("limits.channels", "The number of channels is limited by the app", promise=Promise.CHECKED, source=SOURCE)
def test_channels(limited: Node):
    return {"3": both(limited, channels=["a", "b", "c"]), "4": both(limited, channels=["a", "b", "c", "d"])}


@fact("limits.channel_characters", "Characters of a channel's name", promise=Promise.CHECKED, source=SOURCE)
def test_channel_characters(plain: Node):
    names = ("aZ09-_=@.,;", ".", "..", "a b", "a/b", "ä", "a\n", "a%20b", "a*b")
    return {name.replace("\n", "<line feed>"): both(plain, channel=name) for name in names}


@fact("limits.channel_length", "A channel's name has at most 200 bytes", promise=Promise.CHECKED, source=SOURCE)
def test_channel_length(plain: Node):
    return {str(count): both(plain, channel="c" * count) for count in (200, 201)}


@fact(
    "limits.namespace",
    "A colon needs a namespace, except in a user's channel; `#` is for users",
    promise=Promise.CHECKED,
    source=SOURCE,
)
def test_namespace(plain: Node):
    names = ("a:b", "private-a:b", "a#b", "#server-to-user-1", "#server-to-user-a:b")
    return {name: both(plain, channel=name) for name in names}


@fact("limits.message_id", "A `message_id` has 1 to 128 bytes", promise=Promise.ONCE, source="31-settings", quick=True)
def test_message_id(plain: Node, name: str):
    values = {"empty": "", "128": name.ljust(128, "m"), "129": "m" * 129, "65 of two bytes": "é" * 65}
    answers = {case: both(plain, message_id=value) for case, value in values.items()}
    # The receipt has the id, which is another in each run.
    return {**answers, "128": answers["128"].partition(" ")[0]}


@fact("limits.key_length", "An `idempotency_key` has 1 to 128 bytes too", promise=Promise.CHECKED, source="31-settings")
def test_key_length(plain: Node):
    return {"empty": both(plain, idempotency_key=""), "129": both(plain, idempotency_key="k" * 129)}


@fact(
    "limits.batch", "A batch over the app's limit is refused whole", promise=Promise.OUTCOME, source=SOURCE, quick=True
)
def test_batch(limited: Node, name: str):
    item = {**EVENT, "channel": name}
    with limited.socket() as socket:
        socket.subscribe(name)
        answers = {str(count): limited.batch(*[item] * count).line for count in (5, 6)}
        return {**answers, "delivered": len(socket.wait_for_texts(5))}


@fact(
    "limits.order",
    "The order of checks: what is named first where everything is wrong",
    promise=Promise.DOCTOR,
    source=SOURCE,
)
def test_order_of_checks(limited: Node):
    wrong = {
        "batch size": {},
        "name": {"name": None},
        "name's length": {"name": "n" * 201},
        "data": {"data": "x" * 1025},
        "number of channels": {"channels": ["a b", "b", "c", "d"]},
        "channel's name": {"channel": "a b"},
        "id": {"message_id": ""},
    }
    found = {}
    rest = list(wrong)
    while rest:
        fields = {}
        for rule in reversed(rest):
            fields.update(wrong[rule])
        count = 6 if "batch size" in rest else 1
        answer = limited.batch(*[{**EVENT, **fields}] * count)
        found[f"{len(found) + 1}. {rest.pop(0)}"] = answer.code
    return found


@fact(
    "limits.item_by_item",
    "Items are checked one by one, after those before them are delivered",
    promise=Promise.OUTCOME,
    source=SOURCE,
)
def test_item_by_item(limited: Node, name: str):
    good = {**EVENT, "channel": name}
    with limited.socket() as socket:
        socket.subscribe(name)
        answer = limited.batch(good, {**good, "data": "x" * 1025}, {**good, "data": "behind"})
        limited.batch({**good, "data": "after"})
        return {"answer": answer.code, "delivered": socket.wait_for_texts(2)}

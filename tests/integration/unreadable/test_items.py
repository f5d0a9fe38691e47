"""Items that are no event, or several, against the real server: they leave alone, and all else arrives once."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.delivery import watch
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.wiring.stop import wait_or_stop
from sockudo_publisher.workerapp import run_drain
from tests.support.cases import in_depth
from tests.support.oracle import numbers
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

APP = "default"


@pytest.fixture(autouse=True)
def _one_lane(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is in lane 0, and an empty lane is not watched."""
    from sockudo_publisher import configure

    monkeypatch.setenv("SOCKUDO_LANES", "1")
    monkeypatch.setattr(watch, "HOT_S", 0.0)
    monkeypatch.setattr(watch, "SCARCE_HOT_S", 0.0)
    configure()


def event(channel: str, message_id: str | None, n: int) -> bytes:
    given = {"channel": channel, "name": "n", "data": json.dumps({"n": n}), "message_id": message_id}
    return json.dumps({name: value for name, value in given.items() if value is not None}).encode()


def add(stack: Stack, channel: str, *bodies: bytes, count: int | None = None) -> None:
    """One entry, as a stranger may write it: its meta fits its bytes."""
    meta = {"n": [len(one) for one in bodies], "c": [channel] * len(bodies)}
    fields = {"v": "1", "n": str(count or len(bodies)), "x": "0", "m": json.dumps(meta), "b": b",".join(bodies)}
    keys = lane_keys(APP, 0)
    stack.redis.xadd(keys.stream, fields)
    stack.redis.hincrby(keys.state, "depth", len(bodies))


def spoiled(channel: str, kind: str) -> bytes:
    """An item that is not exactly one event, or has no id."""
    first, second = event(channel, "one-" + channel, 100), event(channel, "two-" + channel, 101)
    return {
        "two events": first + b"," + second,
        "three events": first + b"," + second + b"," + event(channel, "three-" + channel, 102),
        "two without ids": event(channel, None, 100) + b"," + event(channel, None, 101),
        "no id": event(channel, None, 100),
        "an empty id": event(channel, "", 100),
        "an id that is too long": event(channel, "x" * 200, 100),
        "half an event": first[:-9],
        "no JSON": b"\xff\x00",
        "a number": b"17",
        "a list": b"[1,2]",
        "null": b"null",
        "nothing but a blank": b" ",
        "no channel": json.dumps({"name": "n", "data": "x", "message_id": "m"}).encode(),
        "a bracket too many": first + b"]}",
    }[kind]


KINDS = [
    *("two events", "three events", "two without ids", "no id", "an empty id", "an id that is too long"),
    *("half an event", "no JSON", "a number", "a list", "null", "nothing but a blank", "no channel"),
    "a bracket too many",
]


#: Each kind among others, and elsewhere those that differ there: an item of several events, one without an id, and
#: no JSON.
ITEMS = {f"{kind}, {place}": (kind, place) for place in ("alone", "among others", "in a pack") for kind in KINDS}
QUICK = [
    *(item for item, (_, place) in ITEMS.items() if place == "among others"),
    *("two events, alone", "no JSON, alone", "two events, in a pack", "no id, in a pack", "half an event, in a pack"),
]


@pytest.mark.parametrize("item", in_depth(ITEMS, quick=QUICK))
def test_item_that_is_no_event_leaves_alone(stack: Stack, item: tuple[str, str]) -> None:
    """It becomes the only dead letter; the app never pauses for good; its neighbours arrive once and in order."""
    kind, place = item
    channel = stack.channel()
    seen = stack.subscribe(channel)
    bad = spoiled(channel, kind)
    before = [event(channel, f"b{n}-{channel}", n) for n in range(3)]
    after = [event(channel, f"a{n}-{channel}", n) for n in range(3, 6)]
    if place == "in a pack":
        add(stack, channel, *before, bad, *after)
    else:
        for one in before if place == "among others" else ():
            add(stack, channel, one)
        add(stack, channel, bad)
        for one in after if place == "among others" else ():
            add(stack, channel, one)
    expected = [] if place == "alone" else list(range(6))
    keys = lane_keys(APP, 0)
    for _ in range(40):  # a pause in between ends a drain
        run_drain.run_guarded(APP, 0)
        if not stack.redis.xlen(keys.stream):
            break
        wait_or_stop(0.2)
    assert stack.redis.xlen(keys.stream) == 0
    seen.wait_for_count(len(expected), 20)
    arrived = numbers(seen.events()).get(channel, [])
    assert [n for n in arrived if n < 100] == expected
    strange = [n for n in arrived if n >= 100]
    assert len(strange) == len(set(strange)), "what it holds comes once at most: without an id the server cannot tell"
    [letter] = operations.dead_list(get_settings(), APP, 10)
    assert letter.item == bad
    assert letter.reason in ("unreadable", "refused", "miscounted")
    done = operations.dead_replay(get_settings(), APP, [letter.id], new_id=True)
    assert (done.replayed, [one.id for one in done.refused]) == (0, [letter.id])
    assert operations.dead_show(get_settings(), APP, letter.id).data is not ...
    assert operations.dead_purge(get_settings(), APP, [letter.id]).purged == 1
    assert stack.redis.hget(keys.counts, "drain_failed") is None


def test_two_objects_in_one_item_may_have_been_delivered(stack: Stack) -> None:
    """Nothing pauses: a culprit that its bytes name costs few requests."""
    channel = stack.channel()
    stack.subscribe(channel)
    add(stack, channel, spoiled(channel, "two events"))
    publish.delay(channel, "n", {"n": 0})
    run_drain.run_guarded(APP, 0)
    [letter] = operations.dead_list(get_settings(), APP, 10)
    assert (letter.reason, letter.maybe_delivered) == ("unreadable", True)
    assert letter.message.startswith("200 with 3 receipts for a batch of 2")
    [shown] = operations.status()
    assert (shown.pause, shown.lanes[0].depth) == (None, 0)

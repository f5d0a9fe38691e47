"""A server whose memory of ids is full from the first second: it delivers events and answers "still in progress".

No fault is injected: that number of requests at once is all it takes. What the answers are is in docs/server.md.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from sockudo_publisher import operations, publish_many
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.integration.canary.conftest import MakeStack
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

APP = "default"

CAPACITY = 1_000
EVENTS = 20_000
#: Events after which a server that has not lied once is believed to be mended (seen: one in some thousand first sends).
MAX_EVENTS = 200_000

#: Seconds for what takes a few on an idle machine.
PATIENCE_S = 100.0


def counters() -> dict[str, int]:
    return operations.status()[0].counters


def waiting() -> int:
    return sum(lane.depth + lane.held for lane in operations.status()[0].lanes)


def publish_until(stack: Stack, names: list[str], is_enough: Callable[[], bool]) -> int:
    """At least EVENTS, and more until the server has lied; how many."""
    count = 0
    while count < EVENTS or not is_enough():
        if count >= MAX_EVENTS:
            pytest.fail(f"{count} events and no first send was answered 'in progress': has the server been mended?")
        publish_many((names[n % len(names)], "tick", {"n": n}) for n in range(count, count + 5_000))
        count += 5_000
        assert wait_for(lambda: waiting() == 0, PATIENCE_S), counters()
    return count


def seen_times(subscriber: Subscriber, at_least: set[int]) -> Counter[int]:
    """How often each number was seen, once all of these were."""
    until = time.monotonic() + PATIENCE_S
    while True:
        seen = Counter(json.loads(data)["n"] for data in subscriber.data())
        if at_least <= seen.keys() or time.monotonic() > until:
            return seen
        time.sleep(0.1)


def stack_with_full_memory(make_stack: MakeStack, on_uncertain: str) -> tuple[Stack, list[str], Subscriber]:
    """Small batches in every lane at once: the more requests, the more often the server lies."""
    stack = make_stack(
        {"SOCKUDO_DEDUP_WINDOW": "120", "SOCKUDO_ON_UNCERTAIN": on_uncertain, "SOCKUDO_BATCH_MAX_EVENTS": "5"},
        dedup_ttl_s=120,
        cache_max_capacity=CAPACITY,
    )
    names = stack.channels(16)
    subscriber = stack.subscribe(*names)
    stack.worker()
    return stack, names, subscriber


@pytest.mark.long
def test_full_memory_repeats_nothing_under_park(make_stack: MakeStack) -> None:
    """What one attempt has carried is parked instead of sent again; all the rest arrives, in order."""
    stack, names, subscriber = stack_with_full_memory(make_stack, "park")
    count = publish_until(stack, names, lambda: counters()["parked_uncertain"] > 0)
    counts = counters()
    letters = operations.dead_list(get_settings(), APP, count)
    parked = {json.loads(json.loads(letter.item)["data"])["n"] for letter in letters}
    assert {letter.reason for letter in letters} == {"uncertain"}
    assert counts["settled"] + counts["parked_uncertain"] == count
    assert counts["resent_after_window"] == 0
    seen = seen_times(subscriber, set(range(count)) - parked)
    assert {n: times for n, times in seen.items() if times > 1} == {}
    assert set(range(count)) - parked <= seen.keys()
    for name in names:
        numbers = [json.loads(event.data)["n"] for event in subscriber.events() if event.channel == name]
        assert numbers == sorted(numbers)


@pytest.mark.long
def test_full_memory_counts_what_it_repeats(make_stack: MakeStack) -> None:
    """Under `resend` everything arrives, and each copy is among those that are counted."""
    stack, names, subscriber = stack_with_full_memory(make_stack, "resend")
    count = publish_until(stack, names, lambda: counters()["resent_after_window"] > 0)
    seen = seen_times(subscriber, set(range(count)))
    assert set(seen) == set(range(count))
    copies = sum(seen.values()) - len(seen)
    assert 0 < copies <= counters()["resent_after_window"]
    assert operations.status()[0].memory.verdict == "forgets"

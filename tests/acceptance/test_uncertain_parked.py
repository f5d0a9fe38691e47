"""`SOCKUDO_ON_UNCERTAIN=park` past the window: events of unknown fate are parked, and never sent again."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher import operations, publish_many
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from tests.acceptance.conftest import MakeProxied
from tests.support.oracle import compare, numbers
from tests.support.proxy import Hang, Pass

pytestmark = pytest.mark.acceptance

#: Seconds that the server remembers, and of one attempt: a resend may start in the first one then, and a dead
#: worker's lease lasts for six.
TTL_S, TIMEOUT_S = 9, 3
CHANNELS, BATCH, BEHIND, LATER = 4, 40, 60, 20


def test_uncertain_batch_is_parked_and_its_channels_flow_on(make_proxied: MakeProxied) -> None:
    """Delivered, but its worker died without the answer: every event of it a dead letter, nothing twice."""
    proxied = make_proxied(
        TTL_S,
        SOCKUDO_ON_UNCERTAIN="park",
        SOCKUDO_DELIVERY_TIMEOUT=str(TIMEOUT_S),
        SOCKUDO_LANES="1",
        SOCKUDO_BATCH_MAX_EVENTS=str(BATCH),
    )
    stack, proxy = proxied.stack, proxied.proxy
    channels = stack.channels(CHANNELS)
    seen = stack.subscribe(*channels)
    victim = stack.worker()

    def publish(first: int, count: int) -> None:
        publish_many((channels[n % CHANNELS], "n", {"n": n}) for n in range(first, first + count))

    proxy.behaviour = Hang(forward=True)
    publish(0, BATCH)
    seen.wait_for_count(BATCH, 30)
    assert wait_for(lambda: any(one.fired and one.answer for one in proxied.batches()), 60), (
        "answered, but to no client"
    )
    publish(BATCH, BEHIND)
    victim.kill()
    proxy.behaviour = Pass()
    assert [one.item_count for one in proxied.batches()] == [BATCH]

    stack.worker()
    assert wait_for(lambda: proxied.counts().get("parked_uncertain", 0) >= BATCH, 60)
    publish(BATCH + BEHIND, LATER)
    seen.wait_for_count(BATCH + BEHIND + LATER, 30)
    seen.wait_until_quiet(1.0)
    total = BATCH + BEHIND + LATER
    verdict = compare({channels[c]: list(range(c, total, CHANNELS)) for c in range(CHANNELS)}, numbers(seen.events()))
    assert verdict.is_exact, verdict
    assert wait_for(lambda: proxied.depth() == 0, 60)
    assert [n for batch in proxied.sent()[1:] for n in batch] == list(range(BATCH, total)), "no resend was even tried"
    assert proxied.counts() == {"parked_uncertain": BATCH, "settled": BEHIND + LATER}
    letters = operations.dead_list(get_settings(), "default", 1000)
    assert sorted(json.loads(json.loads(one.item)["data"])["n"] for one in letters) == list(range(BATCH))
    assert {(one.reason, one.maybe_delivered) for one in letters} == {("uncertain", True)}
    assert all(f"the server has forgotten the id ({TTL_S} s)" in one.message for one in letters), letters[0].message

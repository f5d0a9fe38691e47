"""Workers behave as one client to a server that is away: one asks at a time; when it is back all go on at once."""

from __future__ import annotations

import time

import pytest

from sockudo_publisher import publish_many
from sockudo_publisher.delivery.backoff import CAP_S
from sockudo_publisher.journal.keys import lane_of
from tests.support.oracle import compare, numbers
from tests.support.proxy import Hang, Pass, Proxy
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

LANES = 8
#: Events of a channel.
COUNT = 40
#: Seconds of one attempt: short, so that some fit into a test.
ATTEMPT_S = 3
#: Seconds for what a busy machine does beside: the lanes' doorbells have to be answered.
BUSY_S = 2.0


def test_one_worker_asks_at_a_time_and_every_lane_flows_when_the_server_is_back(stack: Stack) -> None:
    """Eight lanes, two workers: no answer for a while, then refused connections, then the server again."""
    channels = stack.channels(64)
    lanes = {channel: lane_of(channel, LANES) for channel in channels}
    assert set(lanes.values()) == set(range(LANES))
    seen = stack.subscribe(*channels)
    with Proxy(stack.server.port, Hang()) as proxy:
        stack.environ["SOCKUDO_URL"] = proxy.url(stack.server.url)
        stack.environ["SOCKUDO_DELIVERY_TIMEOUT"] = str(ATTEMPT_S)
        for _ in range(2):
            stack.worker()
        publish_many((channel, "n", {"n": n}) for n in range(COUNT) for channel in channels)
        wait_until_all_have_asked(proxy)

        before, most = len(proxy.connections), 0
        until = time.monotonic() + 4 * ATTEMPT_S
        while time.monotonic() < until:
            most = max(most, sum(not connection.closed for connection in proxy.connections))
            time.sleep(0.005)
        assert most == 1, "one worker asks at a time"
        assert len(proxy.connections) > before + 1, "and again and again"

        proxy.refuse()
        proxy.behaviour = Pass()
        time.sleep(ATTEMPT_S + 2 * CAP_S)  # whoever asked is told, and the waits have grown to their cap
        assert seen.count == 0
        back_at = time.monotonic()
        proxy.listen()
        seen.wait_for_count(64 * COUNT, 60)
    events = seen.events()
    verdict = compare({channel: list(range(COUNT)) for channel in channels}, numbers(events))
    assert verdict.is_exact, verdict
    first = {lane: min(event.at for event in events if lanes[event.channel] == lane) for lane in range(LANES)}
    took_s = max(first.values()) - back_at
    assert took_s < CAP_S + BUSY_S, f"the last lane began {took_s:.1f} s after the server was back"


def wait_until_all_have_asked(proxy: Proxy) -> None:
    """Each lane may have sent before the first heard that nobody answers."""
    deadline = time.monotonic() + 60
    while not proxy.connections:
        assert time.monotonic() < deadline, "no worker has asked"
        time.sleep(0.02)
    time.sleep(ATTEMPT_S + 1)  # all of them are in a pause then, or have lost the right to send

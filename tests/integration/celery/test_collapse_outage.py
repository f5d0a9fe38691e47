"""Sockudo is away while ticks come: when it is back, each key's latest goes out, and not what it replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sockudo_publisher import Event, configure, operations, publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from tests.integration.journal.raw import read_lane
from tests.support.proxy import Hang, Pass, Proxy
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

LANES = 4
CHANNELS = 8
#: Seconds of one attempt, so that a frozen server is noticed in a test's time.
ATTEMPT_S = 3


@dataclass(frozen=True)
class Outage:
    """``ticks`` on ``keys`` collapse keys while the server is away for ``seconds``."""

    ticks: int
    keys: int
    seconds: float


SHORT = Outage(2_000, 16, 4.0)
#: The figures of docs/publishing.md.
WHOLE = Outage(100_000, 64, 60.0)


def refuses(proxy: Proxy) -> None:
    """No program listens: nothing is sent."""
    proxy.refuse()


def hangs(proxy: Proxy) -> None:
    """Connections are taken and no answer comes: one batch of each lane may be out."""
    proxy.behaviour = Hang()


def comes_back(proxy: Proxy) -> None:
    proxy.behaviour = Pass()
    proxy.listen()


@pytest.mark.parametrize(
    ("outage", "away"),
    [
        pytest.param(SHORT, refuses, id="refuses"),
        pytest.param(SHORT, hangs, id="hangs"),
        pytest.param(WHOLE, refuses, id="whole-refuses", marks=pytest.mark.long),
        pytest.param(WHOLE, hangs, id="whole-hangs", marks=pytest.mark.long),
    ],
)
def test_only_the_latest_go_out_after_an_outage(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, outage: Outage, away: Callable[[Proxy], None]
) -> None:
    """At most one for each key and what was marked; each key's last arrives; a channel is in order."""
    channels = stack.channels(CHANNELS)
    seen = stack.subscribe(*channels)
    with Proxy(stack.server.port, Pass(), closes=True) as proxy:
        stack.environ |= {
            "SOCKUDO_URL": proxy.url(stack.server.url),
            "SOCKUDO_DELIVERY_TIMEOUT": str(ATTEMPT_S),
            "SOCKUDO_LANES": str(LANES),
        }
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        configure()
        stack.worker()
        away(proxy)
        publish_ticks(channels, outage)
        marked = sum(len(read_lane(stack.redis, "default", lane).queue.marked) for lane in range(LANES))
        comes_back(proxy)
        assert wait_for(lambda: waiting() == 0, 120)
        counters = operations.status()[0].counters
        seen.wait_for_count(counters["settled"], 60)
        events = seen.events()
    assert counters["settled"] + counters["collapsed"] == outage.ticks
    assert len(events) == counters["settled"] <= outage.keys + marked
    of_channel: dict[str, list[int]] = {}
    last: dict[int, int] = {}
    for event in events:
        n = json.loads(event.data)["n"]
        of_channel.setdefault(event.channel, []).append(n)
        last[n % outage.keys] = max(n, last.get(n % outage.keys, -1))
    assert all(numbers == sorted(set(numbers)) for numbers in of_channel.values()), "each once, in order"
    assert last == {n % outage.keys: n for n in range(outage.ticks - outage.keys, outage.ticks)}


def publish_ticks(channels: list[str], outage: Outage) -> None:
    """All of them, spread over the outage. Key ``k`` is on the channel ``k`` modulo their number."""
    parts = 20
    size = outage.ticks // parts
    started = time.monotonic()
    for part in range(parts):
        numbers = range(part * size, (part + 1) * size)
        publish_many(
            Event(channels[n % outage.keys % len(channels)], "tick", {"n": n}, collapse=f"key-{n % outage.keys}")
            for n in numbers
        )
        time.sleep(max(0.0, started + (part + 1) * outage.seconds / parts - time.monotonic()))


def waiting() -> int:
    return sum(lane.depth + lane.held for lane in operations.status()[0].lanes)

"""A way to the server that refuses us (403), then lets us through: workers go on, by themselves or told to."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from click.testing import CliRunner

from sockudo_publisher import cli, operations, publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.journal.keys import lane_of
from tests.support.oracle import compare, numbers
from tests.support.proxy import Answer, Pass, Proxy
from tests.support.stack import Stack
from tests.support.timing import in_time

pytestmark = pytest.mark.integration

LANES = 8
CHANNELS = 64
#: Events of a channel.
COUNT = 20
#: As a firewall says it, not Sockudo.
REFUSED = Answer.http(403, b"<html>Forbidden</html>")


def paused_for_s(stack: Stack) -> float:
    """Seconds that the app's pause for a misconfiguration still lasts; 0.0: there is none."""
    pause = operations.status()[0].pause
    if pause is None or pause.reason != "misconfigured":
        return 0.0
    seconds, micros = stack.redis.time()
    return max(0.0, pause.until_ms / 1000 - seconds - micros / 1e6)


def lanes_began_s(seen: Subscriber, channels: Sequence[str], since: float) -> list[float]:
    """Seconds until each lane's first event."""
    began: dict[int, float] = {}
    for event in seen.events():
        began.setdefault(lane_of(event.channel, LANES), event.at - since)
    assert set(began) == {lane_of(channel, LANES) for channel in channels} == set(range(LANES))
    return sorted(began.values())


def test_workers_go_on_by_themselves_when_the_cause_is_mended(stack: Stack) -> None:
    """All lanes, within the five seconds between two questions and two more; without a restart or a resume."""
    channels = stack.channels(CHANNELS)
    with Proxy(stack.server.port, REFUSED) as proxy, stack.subscribe(*channels) as seen:
        stack.environ["SOCKUDO_URL"] = proxy.url(stack.server.url)
        worker = stack.worker()
        publish_many((channel, "n", {"n": n}) for n in range(COUNT) for channel in channels)
        assert wait_for(lambda: paused_for_s(stack) > 0, 60)
        asked = proxy.fired
        assert wait_for(lambda: proxy.fired > asked, 60), "it asks again while it is refused"
        assert seen.count == 0
        assert wait_for(lambda: paused_for_s(stack) > 4, 60), "the worst moment: it has just asked"
        mended_at = time.monotonic()
        proxy.behaviour = Pass()
        seen.wait_for_count(CHANNELS * COUNT, 60)
        seen.wait_until_quiet()
        began_s = lanes_began_s(seen, channels, mended_at)
        assert began_s[0] > 3.0, "no worker asked before the time in the log"
        assert began_s[-1] < 5.0 + 2.0
        verdict = compare({channel: list(range(COUNT)) for channel in channels}, numbers(seen.events()))
        assert verdict.is_exact, verdict
        assert worker.is_running
        assert not any(lane.dead for lane in operations.status()[0].lanes)


def test_resume_makes_a_running_worker_go_on_at_once(stack: Stack) -> None:
    """The cause is mended while the pause still lasts for seconds: all lanes begin within two of the command."""
    in_time(lambda: resume_a_paused_worker(stack), lambda began_s: began_s, 2.0)


def resume_a_paused_worker(stack: Stack) -> float:
    """How long the last lane took to begin, in seconds."""
    server_url = stack.environ["SOCKUDO_URL"]
    channels = stack.channels(CHANNELS)
    with Proxy(stack.server.port, REFUSED) as proxy, stack.subscribe(*channels) as seen:
        stack.environ["SOCKUDO_URL"] = proxy.url(stack.server.url)
        worker = stack.worker()
        publish_many((channel, "n", {"n": n}) for n in range(COUNT) for channel in channels)
        assert wait_for(lambda: paused_for_s(stack) > 4, 60)
        assert seen.count == 0
        proxy.behaviour = Pass()
        left_s, resumed_at = paused_for_s(stack), time.monotonic()
        assert left_s > 3.0, "by itself it would go on later than that"
        told = CliRunner().invoke(cli.main, ["resume"])
        assert (told.exit_code, told.output) == (0, "default resumed.\n")
        seen.wait_for_count(CHANNELS * COUNT, 60)
        seen.wait_until_quiet()
        began_s = lanes_began_s(seen, channels, resumed_at)[-1]
        verdict = compare({channel: list(range(COUNT)) for channel in channels}, numbers(seen.events()))
        assert verdict.is_exact, verdict
        assert worker.is_running
        worker.stop()
    stack.environ["SOCKUDO_URL"] = server_url
    return began_s

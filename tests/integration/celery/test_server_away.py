"""Workers behave as one client to a server that is away: one asks at a time; when it is back all go on at once.

The numbers are those of docs/reliability.md ("When the server is away"), written out: two seconds are two seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.drained import settled
from sockudo_publisher import configure, operations, publish_many
from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer, WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.journal.keys import lane_of
from tests.support.oracle import compare, numbers
from tests.support.proxy import Answer, Hang, Pass, Proxy
from tests.support.stack import Stack
from tests.support.timing import BUSY_S
from tests.support.warm import Warm

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.integration

LANES = 8
#: Events of a channel.
COUNT = 40
#: Seconds of one attempt: short, so that some fit into a test.
ATTEMPT_S = 3
#: Events that last for the whole test at a rate that batches of ten bound to a quarter of the machine's.
BACKLOG = 250_000
#: Times that a trouble is tried until one is free of other programs' load.
TRIES = 5


@pytest.mark.long
def test_one_worker_probes_and_all_lanes_flow_on_return(stack: Stack) -> None:
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
        time.sleep(ATTEMPT_S + 3)  # the probe has timed out, and the waits have grown to their cap
        assert seen.count == 0
        back_at = time.monotonic()
        proxy.listen()
        seen.wait_for_count(64 * COUNT, 60)
    events = seen.events()
    verdict = compare({channel: list(range(COUNT)) for channel in channels}, numbers(events))
    assert verdict.is_exact, verdict
    first = {lane: min(event.at for event in events if lanes[event.channel] == lane) for lane in range(LANES)}
    took_s = max(first.values()) - back_at
    assert took_s < 2.0 + BUSY_S, f"the last lane began {took_s:.1f} s after the server was back"


def wait_until_all_have_asked(proxy: Proxy) -> None:
    """A lane, or a canary, may have sent just before the first request timed out: its own takes as long."""
    deadline = time.monotonic() + 60
    while not proxy.connections:
        assert time.monotonic() < deadline, "no worker has asked"
        time.sleep(0.02)
    time.sleep(2 * ATTEMPT_S + 1)  # all of them are in a pause then, or have lost the right to send


@dataclass
class Away:
    """A server behind a proxy, and the ways in which it is away until a block ends."""

    stack: Stack
    proxy: Proxy

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """No program listens."""
        self.proxy.refuse()
        try:
            yield
        finally:
            self.proxy.listen()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections, and nothing comes."""
        self.stack.server.pause()
        try:
            yield
        finally:
            self.stack.server.resume()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """It answers 500."""
        self.proxy.behaviour = Answer.http(500, b'{"error":"internal_error"}', content_type="application/json")
        try:
            yield
        finally:
            self.proxy.behaviour = Pass()


TROUBLES = {"refused": Away.refusing, "frozen": Away.frozen, "500": Away.failing}


@pytest.mark.long
def test_full_speed_two_seconds_after_the_servers_return(stack: Stack) -> None:
    """Refusing, frozen for longer than an attempt, answering 500: every lane begins in time, and the rate is back.

    The rate of the seconds 2 to 4 is held against that of the two seconds before the trouble. Other programs may slow
    one try down; a worker that comes back slowly would fail in all of them.
    """
    channels = stack.channels(64)
    watched = [next(channel for channel in channels if lane_of(channel, LANES) == lane) for lane in range(LANES)]
    stack.environ["SOCKUDO_DELIVERY_TIMEOUT"] = str(ATTEMPT_S)
    stack.environ["SOCKUDO_BATCH_MAX_EVENTS"] = "10"
    with Proxy(stack.server.port) as proxy, settled(stack.redis_server.url) as look:
        stack.environ["SOCKUDO_URL"] = proxy.url(stack.server.url)
        stored = publish_many((channels[n % 64], "n", {"n": n}) for n in range(BACKLOG)).count
        seen = stack.subscribe(*watched)
        stack.worker()
        assert wait_for(lambda: look() > 1_000, 60)
        for name, trouble in TROUBLES.items():
            away = Away(stack, proxy)
            tries: list[tuple[float, float]] = []
            while len(tries) < TRIES and not any(share >= 0.8 and begin_s < 2.0 for share, begin_s in tries):
                if look() > stored - BACKLOG / 2:  # a try must not run out of work
                    stored += publish_many((channels[n % 64], "n", {"n": n}) for n in range(BACKLOG)).count
                tries.append(share_after(trouble(away), look, seen, watched))
            last_try = tries[-1]
            assert last_try[0] >= 0.8, f"{name}: the rate beside that before, and seconds until the last lane: {tries}"
            assert last_try[1] < 2.0, f"{name}: the rate beside that before, and seconds until the last lane: {tries}"
            assert look() < stored, "there was enough to do"


def share_after(
    trouble: AbstractContextManager[None], look: Callable[[], int], seen: Subscriber, watched: Sequence[str]
) -> tuple[float, float]:
    """The rate of the seconds 2 to 4 after a trouble, beside that before it; when the last lane began."""
    before = rate_of_two_seconds(look)
    with trouble:
        assert wait_for(lambda: operations.status()[0].pause is not None, 60), "the app is paused"
        time.sleep(3)  # the waits have grown to their cap
    back_at = time.monotonic()
    time.sleep(2)
    share = rate_of_two_seconds(look) / before
    return share, last_begins_s(seen, watched, back_at)


def rate_of_two_seconds(look: Callable[[], int]) -> float:
    """Events settled a second."""
    first, start = look(), time.monotonic()
    time.sleep(2)
    return (look() - first) / (time.monotonic() - start)


def last_begins_s(seen: Subscriber, watched: Sequence[str], since: float) -> float:
    """Seconds until each of these channels had an event."""
    first: dict[str, float] = {}
    for event in seen.events():
        if event.at >= since:
            first.setdefault(event.channel, event.at - since)
    assert set(first) == set(watched), f"silent since: {set(watched) - set(first)}"
    return max(first.values())


# -- who sees to it -------------------------------------------------------------------------------


class SeldomSweeping(Warm, WorkerProcess):
    """A worker in which no sweep finds what was not rung."""

    def _command(self) -> list[str]:
        app = "tests.integration.celery.seldom_sweeping"
        return [sys.executable, "-m", "celery", "-A", app, "worker", "--without-mingle", *self._arguments]


@pytest.fixture
def stack_of_look_alike(
    redis_server: RedisServer,
    redis_url: str,
    devserver: DevServerProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """As `stack`, with the embedded server: which one it is that was away is no matter here."""
    with ExitStack() as ends:
        stack = Stack(redis_server, devserver, tmp_path, ends)
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        configure()
        yield stack
    monkeypatch.undo()
    configure()


def test_worker_whose_question_is_answered_rings_every_lane(stack_of_look_alike: Stack, tmp_path: Path) -> None:
    """Without a sweep: all of eight lanes begin within two seconds of the return."""
    stack = stack_of_look_alike
    channels = stack.channels(64)
    watched = [next(channel for channel in channels if lane_of(channel, LANES) == lane) for lane in range(LANES)]
    with Proxy(stack.server.port) as proxy:
        proxy.refuse()
        environ = {**stack.environ, "SOCKUDO_URL": proxy.url(stack.server.url), "PYTHONPATH": str(ROOT)}
        seen = stack.subscribe(*watched)
        with SeldomSweeping(environ, directory=tmp_path):
            publish_many((channel, "n", {"n": n}) for n in range(COUNT) for channel in channels)
            assert wait_for(lambda: operations.status()[0].pause is not None, 60), "the app is paused"
            time.sleep(4)  # workers that waited for another's probe have released their lanes
            back_at = time.monotonic()
            proxy.listen()
            time.sleep(2)
            assert last_begins_s(seen, watched, back_at) < 2.0

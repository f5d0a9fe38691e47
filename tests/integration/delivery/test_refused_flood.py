"""Many refused events in one queue: the requests that they cost, the order of their neighbours, the letters."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sockudo_publisher import configure, operations, publish_many
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.dev.embedded import RedisServer, SockudoApp, SockudoServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.wiring.app import App as PublisherApp
from sockudo_publisher.workerapp import run_drain
from tests.integration.delivery.world import DrainWorld
from tests.support.cases import in_depth
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

#: An app whose server refuses an event of more than a kilobyte.
SMALL = SockudoApp(id="small", key="small-key", secret="small-secret", limits={"max_event_payload_in_kb": 1})

#: Events of a flood.
COUNT = 160

PATTERNS = {
    "every second": (lambda n: n % 2 == 1, 3 * COUNT // 2 + 12),
    "all": (lambda n: True, COUNT + 12),
    "the second half": (lambda n: n >= COUNT // 2, COUNT // 2 + 30),
    "few": (lambda n: n % 40 == 27, 1 + 4 * 18),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_refused_events_of_a_lane_cost_a_request_each(world: DrainWorld, name: str) -> None:
    """Real journal: each culprit becomes one letter, in order, and its neighbours arrive in order."""
    is_bad, max_requests = PATTERNS[name]
    channel = world.channel()
    ids = world.append(channel, COUNT)
    bad = [one for n, one in enumerate(ids) if is_bad(n)]
    world.server.poison = set(bad)
    world.drain()
    world.check(without=bad)
    assert [json.loads(letter["item"])["message_id"] for letter in world.letters()] == bad
    assert len(world.server.requests) <= max_requests


def test_refused_events_of_a_held_queue_cost_a_request_each(world: DrainWorld) -> None:
    """They were queued behind a stuck event of their channel."""
    channel = world.channel()
    first = world.append(channel)
    world.server.claim(first[0], channel)
    world.drain()
    assert world.holds() == [channel]
    ids = world.append(channel, COUNT)
    bad = ids[1::2]
    world.server.poison = set(bad)
    world.server.release(first[0], channel)
    before = len(world.server.requests)
    world.settle_down()
    world.check(without=bad)
    assert len(world.letters()) == COUNT // 2
    assert len(world.server.requests) - before <= 3 * COUNT // 2 + 12


# -- the real server -----------------------------------------------------------------------------------------


@pytest.fixture
def small(
    redis_server: RedisServer,
    redis_url: str,
    sockudo: SockudoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """A server with that app, one lane, and the settings in this process' environment."""
    with ExitStack() as ends:
        server = ends.enter_context(SockudoServer(tmp_path / "sockudo", [SMALL]))
        stack = Stack(redis_server, server, tmp_path, ends)
        monkeypatch.setenv("SOCKUDO_LANES", "1")
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        configure()
        yield stack
    monkeypatch.undo()
    configure()


@pytest.mark.parametrize("name", in_depth(PATTERNS.keys(), quick=["every second"]))
def test_real_server_refuses_many_events(
    small: Stack, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same from `publish_many` to a subscriber; the requests of the canaries, a few a second, are not counted."""
    is_bad, max_requests = PATTERNS[name]
    channel = small.channel()
    subscriber: Subscriber = small.subscribe(channel)
    requests = 0
    post: Callable[[PublisherApp, bytes, float], Reply | NoReply] = run_drain.post_batch

    def counted(app: PublisherApp, body: bytes, timeout_s: float) -> Reply | NoReply:
        nonlocal requests
        requests += channel.encode() in body
        return post(app, body, timeout_s)

    monkeypatch.setattr(run_drain, "post_batch", counted)
    publish_many((channel, "tick", {"n": n, "text": "x" * (2000 if is_bad(n) else 10)}) for n in range(COUNT))
    began = time.monotonic()
    with caplog.at_level(logging.ERROR, "sockudo_publisher.delivery"):
        while run_drain.run("default", 0) is not None:
            pass
    took_s = time.monotonic() - began
    bad = [n for n in range(COUNT) if is_bad(n)]
    letters = operations.dead_list(get_settings(), "default", COUNT)
    assert sorted(json.loads(json.loads(letter.item)["data"])["n"] for letter in letters) == bad
    assert {letter.reason for letter in letters} == {"refused"}
    expected = [n for n in range(COUNT) if not is_bad(n)]
    assert wait_for(lambda: len(subscriber.data()) >= len(expected), 60)
    assert [json.loads(data)["n"] for data in subscriber.data()] == expected
    # By the time that it took: beside busy processes a run of more than five seconds needs some requests more.
    assert requests <= max_requests + 12 * (1 + took_s // 5)

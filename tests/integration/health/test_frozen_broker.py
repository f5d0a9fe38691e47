"""A broker of its own that is frozen: the worker says that it is not ready, in time, and delivers all the same."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher import configure, publish
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.workerapp import health as judgements
from sockudo_publisher.workerapp.broker_probe import FRESH_S, BrokerProbe
from tests.integration.health.test_probes import health, probe
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_frozen_broker_is_unready_and_alive(stack: Stack, tmp_path: Path) -> None:
    """Each answer within its second; events are delivered, by the sweep."""
    port = free_port()
    with RedisServer(tmp_path / "broker") as broker:
        stack.environ["SOCKUDO_BROKER_URL"] = broker.url
        seen = stack.subscribe(channel := stack.channel())
        stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
        assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 20)
        assert "ok broker\n" in probe(port, "/readyz")[1]
        _freeze(broker, port)
        assert "ok redis\n" in probe(port, "/readyz")[1]
        assert probe(port, "/healthz")[0] == 200
        publish.delay(channel, "e", "by the sweep")
        seen.wait_for_count(1, 30)
        broker.resume()


@pytest.mark.long
def test_command_follows_a_frozen_broker_and_its_return(stack: Stack, tmp_path: Path) -> None:
    """The worker announces it, and both probes are content again by themselves."""
    port = free_port()
    with RedisServer(tmp_path / "broker") as broker:
        stack.environ["SOCKUDO_BROKER_URL"] = broker.url
        worker = stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
        assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 20)
        _freeze(broker, port)
        assert wait_for(lambda: health(stack, worker)[0] == 1, 20)
        broker.resume()
        assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 40), worker.log_tail()
        assert wait_for(lambda: health(stack, worker)[0] == 0, 20)


def _freeze(broker: RedisServer, port: int) -> None:
    """Stop the process (SIGSTOP), and see the worker unready within the time that the page names."""
    broker.pause()
    frozen_at = time.monotonic()
    while True:
        began = time.monotonic()
        status, text = probe(port, "/readyz")
        assert time.monotonic() - began < 1.0
        if status == 503:
            break
        assert began - frozen_at < FRESH_S + 1
        time.sleep(0.2)
    assert "failed broker: does not answer" in text


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.mark.parametrize(("scheme", "place"), [("redis", "0"), ("amqp", "/")])
def test_silent_broker_is_found_in_time(stack: Stack, silent: str, scheme: str, place: str) -> None:
    """Of each transport; the URL and its password are in no text."""
    configure(
        url=stack.server.url,
        redis_url=stack.redis_server.url,
        broker_url=f"{scheme}://user:s3cr3t@127.0.0.1:{silent}/{place}",
    )
    began = time.monotonic()
    problem = BrokerProbe().find_problem()
    assert time.monotonic() - began < 1.0
    assert problem is not None
    assert problem.startswith("does not answer")
    assert "s3cr3t" not in problem


def test_broker_that_is_away_is_named(stack: Stack) -> None:
    broker_url = f"redis://127.0.0.1:{free_port()}/0"
    configure(url=stack.server.url, redis_url=stack.redis_server.url, broker_url=broker_url)
    asked = BrokerProbe()
    assert (asked.find_problem() or "").startswith("does not answer: ")
    assert asked.is_known_to_be_away()


def test_broker_that_is_the_journal_is_not_asked(stack: Stack) -> None:
    """`redis` is its check."""
    asked = BrokerProbe()
    assert asked.find_problem() is None
    assert not asked.is_known_to_be_away()
    ready = judgements.judge_readiness(
        is_consuming=True, is_ending=False, queue="q", redis_problem="", settings_problem="", broker_problem=None
    )
    assert [one.name for one in ready] == ["settings", "redis", "consumer", "worker"]

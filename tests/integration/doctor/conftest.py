"""Looking at real parts, one at a time: what a look found, judged, by the finding's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.client.http.credentials import Credentials
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer, find_sockudo
from sockudo_publisher.doctor.checks.access import judge_access
from sockudo_publisher.doctor.checks.dedup_memory import judge_dedup_memory
from sockudo_publisher.doctor.checks.delivering import DeliveryFacts, judge_delivering
from sockudo_publisher.doctor.checks.limits import LimitFacts, judge_limits
from sockudo_publisher.doctor.checks.redis import judge_redis
from sockudo_publisher.doctor.facts import sockudo as facts
from sockudo_publisher.doctor.facts.redis import collect_redis_facts
from sockudo_publisher.doctor.facts.sockudo import SockudoFacts, Wanted, collect_sockudo_facts
from sockudo_publisher.doctor.facts.values import Access
from sockudo_publisher.doctor.finding import CheckFinding

Findings = dict[str, CheckFinding]

#: Limits that cost the server nothing to check, for tests of other findings.
SMALL = Wanted(batch_events=2, batch_bytes=1000, event_bytes=100)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxies are not these tests'."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def no_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut requests, and the second before the canaries are asked for, have tests of their own."""
    leave_out_cuts(monkeypatch)


@pytest.fixture
def few_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each `GET /stats` Sockudo reads about all processes of the machine, for 20 to 200 ms."""
    monkeypatch.setattr(facts, "LOADS", 2)


@pytest.fixture
def loads_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as tell one node from three that take turns. The command asks more: nodes may be chosen at random."""
    monkeypatch.setattr(facts, "LOADS", 8)


def leave_out_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here to the end of the test."""
    monkeypatch.setattr(facts, "CUT_EVENTS", 1)  # of the batch that asks for the app's limit
    monkeypatch.setattr(facts, "MIN_AGE_S", 0.0)


@pytest.fixture
def redis_as(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start a Redis of the test's own."""
    running = []

    def start(*args: str, **options: object) -> RedisServer:
        directory = tmp_path / f"redis-{len(running)}"
        directory.mkdir()
        server = RedisServer(directory, args=args, password="", **options)  # type: ignore[arg-type]
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.kill()


@pytest.fixture
def sockudo_as(tmp_path: Path, sockudo: SockudoServer) -> Iterator[Callable[..., SockudoServer]]:
    """Start a real Sockudo of the test's own (skipped where `sockudo` is)."""
    assert find_sockudo() is not None
    running = []

    def start(*args: object, **options: object) -> SockudoServer:
        server = SockudoServer(tmp_path / f"sockudo-{len(running)}", *args, **options)  # type: ignore[arg-type]
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.kill()


def redis_findings(url: str, **options: Any) -> Findings:
    """What is found of the Redis of this URL."""
    return by_name(judge_redis(collect_redis_facts(url, **options)))


def sockudo_findings(
    url: str, *, wanted: Wanted | None = None, within_s: float = 60.0, app_id: str = "app"
) -> Findings:
    """What is found of the Sockudo of this URL, as `diagnosis` would put it together."""
    found = SockudoFacts(Access("SOCKUDO_URL", app_id, failure="not asked"))
    credentials = Credentials.from_url(url)
    wanted = wanted or Wanted(500, 4 * 1024 * 1024, 10_240)
    until = time.monotonic() + within_s
    collect_sockudo_facts(found, Sockudo.from_url(url), credentials, wanted, until=until)
    limits = LimitFacts(found.batch_events, found.batch_bytes, found.event_bytes, found.event_name, found.channel_name)
    delivery = DeliveryFacts(
        cuts=found.cuts,
        through=found.through,
        answered=found.answered,
        limit=found.rate_limit,
        limited=found.rate_limited,
        history=found.history,
    )
    return by_name(
        [
            *judge_access(found.access),
            *judge_limits(limits),
            *judge_dedup_memory(found.canaries, found.answers, None, window_s=120.0, loads=found.loads),
            *judge_delivering(delivery),
        ]
    )


def by_name(findings: list[CheckFinding]) -> Findings:
    """Each name once."""
    found = {finding.name: finding for finding in findings}
    assert len(found) == len(findings)
    return found

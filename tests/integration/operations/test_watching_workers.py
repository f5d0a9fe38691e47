"""The workers of an app that can stay at quiet lanes, and the place of each among them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sockudo_publisher import configure
from sockudo_publisher.workerapp.presence import Presence
from sockudo_publisher.workerapp.steps.sweep import watches_quiet_lanes

pytestmark = pytest.mark.integration

NAME = "default"


@pytest.fixture(autouse=True)
def app(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", redis_url)
    monkeypatch.setenv("SOCKUDO_LANES", "8")
    configure()
    yield
    monkeypatch.undo()
    configure()


def test_each_worker_has_its_place() -> None:
    """One in whose process no drain runs has none, and takes none from the others."""
    prefork = Presence("prefork@host")
    workers = [Presence(f"w{n}@host", watches=True) for n in range(3)]
    for one in (prefork, *workers, prefork, *workers):
        one._next.clear()
        one.beat(NAME)
    assert prefork.place_among(NAME) is None
    places = [one.place_among(NAME) for one in workers]
    assert sorted(place for place in places if place) == [(0, 3), (1, 3), (2, 3)]
    workers[0].leave()
    for one in workers[1:]:
        one._next.clear()
        one.beat(NAME)
    assert sorted(one.place_among(NAME) or (-1, -1) for one in workers[1:]) == [(0, 2), (1, 2)]


def test_worker_that_does_not_read_the_queue_has_no_place() -> None:
    """Its consumer was cancelled: it will be stopped, or is broken."""
    reads = True
    one, other = Presence("a@host", lambda: reads, watches=True), Presence("b@host", lambda: True, watches=True)
    one.beat(NAME)
    other.beat(NAME)
    assert other.place_among(NAME) in {(0, 2), (1, 2)}
    reads = False
    for worker in (one, other):
        worker._next.clear()
        worker.beat(NAME)
    assert (one.place_among(NAME), other.place_among(NAME)) == (None, (0, 1))


@pytest.mark.parametrize(
    ("pool", "concurrency", "watches"),
    [
        ("celery.concurrency.thread", 12, True),
        ("celery.concurrency.gevent", 12, True),
        ("celery.concurrency.thread", 8, False),
        ("celery.concurrency.prefork", 100, False),
        ("celery.concurrency.solo", 100, False),
    ],
)
def test_workers_with_slots_to_spare_watch(pool: str, concurrency: int, watches: bool) -> None:
    worker = SimpleNamespace(pool_cls=SimpleNamespace(__module__=pool), concurrency=concurrency)
    assert watches_quiet_lanes(worker) is watches

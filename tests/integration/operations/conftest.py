"""Two apps on an empty Redis, and a doorbell whose rings are looked at where a worker would find them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest
import redis

from sockudo_publisher import configure
from sockudo_publisher.config.settings import QUEUE, Settings, get_settings
from sockudo_publisher.operations import pausing, replaying
from sockudo_publisher.wiring.doorbell import Doorbell
from tests.integration.journal.one_lane import OneLane

#: No server answers there: nothing is sent.
URL = "http://key:secret-of-mine@127.0.0.1:1/apps/app"
OTHER = "other {app}"


@pytest.fixture
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """One lane an app; the broker is the same Redis."""
    environ = {
        "SOCKUDO_URL": URL,
        "SOCKUDO_APPS": json.dumps({OTHER: URL}),
        "SOCKUDO_REDIS_URL": redis_url,
        "SOCKUDO_BROKER_URL": redis_url,
        "SOCKUDO_LANES": "1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    configure()
    # The process' own may know a broker of an earlier test, or be skipping one that was away.
    bell = Doorbell()
    for module in (replaying, pausing):
        monkeypatch.setattr(module, "doorbell", bell)
    yield get_settings()
    bell._close()
    monkeypatch.undo()
    configure()


@pytest.fixture
def lane(settings: Settings) -> Iterator[OneLane]:
    """The default app's."""
    lane = OneLane(settings.redis_url, "default")
    yield lane
    lane.close()


@pytest.fixture
def other(settings: Settings) -> Iterator[OneLane]:
    """The other app's."""
    lane = OneLane(settings.redis_url, OTHER)
    yield lane
    lane.close()


@pytest.fixture
def rung(redis_url: str) -> Iterator[Callable[[], list[list[object]]]]:
    """What has been rung since the last look: (app, lane, held channel or None)."""
    with redis.Redis.from_url(redis_url) as client:

        def read() -> list[list[object]]:
            messages = [json.loads(message) for message in client.lrange(QUEUE, 0, -1)]
            client.delete(QUEUE)
            return [json.loads(base64.b64decode(message["body"]))[0] for message in reversed(messages)]

        yield read

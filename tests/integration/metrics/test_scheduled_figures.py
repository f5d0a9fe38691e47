"""What a scrape says of scheduled events: how many, how late the first is, and those that wait for a person."""

from __future__ import annotations

import pytest

from sockudo_publisher.config.settings import Settings
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.schedule.outcomes import ClaimResult
from sockudo_publisher.metrics.collector import GAUGES
from sockudo_publisher.metrics.figures import AppFigures, read_figures
from tests.integration.journal.one_schedule import FUTURE, OneSchedule

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def one(redis_url: str) -> OneSchedule:
    """Of the app that settings without a name have."""
    return OneSchedule(redis_url, "default")


def figures(url: str) -> AppFigures:
    settings = Settings(url="http://key:secret@127.0.0.1:1/apps/app", redis_url=url)
    return read_figures(RedisLink(url, timeout_s=4.0), settings).apps["default"]


def shown(url: str) -> dict[str, float | None]:
    seen = figures(url)
    return {name: value(seen) for name, _, value in GAUGES if name.startswith("scheduled")}


def test_nothing_scheduled_is_nothing_late(redis_url: str, one: OneSchedule) -> None:
    assert shown(redis_url) == {"scheduled_events": 0, "scheduled_parked_events": 0, "scheduled_late_seconds": 0.0}
    one.add("1", FUTURE)
    assert shown(redis_url) == {"scheduled_events": 1, "scheduled_parked_events": 0, "scheduled_late_seconds": 0.0}


def test_due_event_that_no_worker_stores_is_late(redis_url: str, one: OneSchedule) -> None:
    one.add("1", one.producer.now_ms() - 7_000)
    late_s = shown(redis_url)["scheduled_late_seconds"]
    assert late_s is not None
    assert 7.0 <= late_s < 60.0


def test_parked_event_is_counted_and_late_no_more(redis_url: str, one: OneSchedule) -> None:
    """Its key was used for another event: no worker tries it again."""
    one.add("1")
    [event] = one.claim() or []
    one.claim("me", (ClaimResult.PARKED, event.name))
    assert shown(redis_url) == {"scheduled_events": 1, "scheduled_parked_events": 1, "scheduled_late_seconds": 0.0}

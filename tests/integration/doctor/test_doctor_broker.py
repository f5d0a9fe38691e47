"""Which workers the doctor finds behind a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockudo_publisher import __version__
from sockudo_publisher.config.settings import Settings
from sockudo_publisher.dev.embedded import free_port
from sockudo_publisher.doctor.checks.broker import judge_broker
from sockudo_publisher.doctor.facts import broker as room
from sockudo_publisher.doctor.facts.broker import collect_broker_facts
from tests.support.celery_worker import ForeignWorker

from .conftest import by_name

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.integration


def broker_findings(broker_url):
    return judged(collect_broker_facts(Settings(broker_url=broker_url)))


def judged(facts, *, app="default", lanes=8):
    return by_name(judge_broker(facts, app=app, lanes=lanes, version=__version__, queue="sockudo"))


def test_our_workers_are_counted_and_others_are_not(stack):
    """Our worker reports its version; a worker of another Celery app on the same broker is not counted."""
    environ = {**stack.python(), "MY_BROKER": stack.redis_server.url, "MY_REGISTER": "0"}
    other = ForeignWorker("tests.integration.celery.their_app", "theirs", environ, stack.directory, ROOT)
    with other:
        stack.worker(concurrency=2)
        facts = collect_broker_facts(Settings(redis_url=stack.redis_server.url))
    told = judged(facts)
    assert told["broker"].state.value == "fine"
    assert (told["workers"].state.value, told["workers"].why) == ("fine", f"1 alive, version {__version__}")
    assert judged(facts, lanes=4)["workers"].state.value == "risk"
    unknown_app = judged(facts, app="other")["workers"]
    assert unknown_app.state.value == "broken"
    assert "SOCKUDO_APPS" in unknown_app.change


def test_no_worker_is_broken(redis_url, monkeypatch):
    """What is published waits for one."""
    monkeypatch.setattr(room, "ANSWERS_S", (0.2, 0.5))
    told = broker_findings(redis_url)
    assert told["broker"].state.value == "fine"
    assert told["workers"].state.value == "broken"
    assert "sockudo-publisher worker" in told["workers"].change


def test_a_broker_that_is_away_is_broken():
    """Without its URL's secret; the workers are unknown then."""
    told = broker_findings(f"redis://:of-mine@127.0.0.1:{free_port()}/0")
    assert told["broker"].state.value == "broken"
    assert "refused" in told["broker"].why
    assert "of-mine" not in told["broker"].why
    assert told["workers"].state.value == "unknown"


def test_rabbitmq_that_is_away_is_broken():
    """Without its URL's secret; a transport that does not exist is refused with the settings."""
    told = broker_findings(f"amqp://guest:of-mine@127.0.0.1:{free_port()}//")
    assert told["broker"].state.value == "broken"
    assert "of-mine" not in told["broker"].why + told["broker"].change

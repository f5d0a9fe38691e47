"""`/metrics` of real workers: what they count is what they did, in every pool; the journal's figures are Redis'."""

from __future__ import annotations

import itertools
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockudo_publisher import JournalUnavailable, configure, publish, publish_many
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.telemetry.names import COUNTERS, HISTOGRAMS, JOURNAL_SECONDS, LABEL_VALUES
from tests.integration.metrics.page import Page, scrape, wait_for_page, wait_for_value
from tests.support.cases import in_depth
from tests.support.stack import SharedStack, Stack
from tests.support.warm import run_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.mark.parametrize("pool", in_depth(["threads", "prefork", "gevent", "solo"], quick=["threads", "prefork"]))
def test_worker_counts_what_it_delivers(stack: Stack, pool: str) -> None:
    channels = stack.channels(6)
    seen = stack.subscribe(*channels)
    port = free_port()
    stack.worker(pool, 2, env={"SOCKUDO_METRICS_PORT": str(port)})
    publish_many((channel, "n", {"n": n}) for n in range(40) for channel in channels)
    for channel in channels[:3]:
        publish.delay(channel, "n", {"n": 40})
    seen.wait_for_count(243, 60)

    def counts_all(page: Page) -> None:
        assert page.value("events_settled_total") == 243
        assert page.value("journal_seconds_count") == 243, "every event has an age"
        assert (page.value("journal_seconds_sum") or 0) > 0
        assert page.value("batch_events_sum") == 243
        assert page.value("posts_total", outcome="accepted") == page.value("batch_events_count")
        assert page.value("post_seconds_count") == page.value("batch_events_count")

    page = wait_for_page(port, counts_all)
    assert page.value("events_dead_total", reason="refused") == 0, "begins at 0, so that a rate sees the first one"
    assert page.value("workers") == page.value("workers_consuming") == 1
    assert page.samples["redis_up", frozenset()] == 1
    page = wait_for_value(port, "backlog_events", 0)
    assert page.value("oldest_event_age_seconds") == 0
    assert page.value("journal_readable") == 1


def test_children_and_parent_are_counted_together(stack: Stack) -> None:
    """Every child of a prefork pool has a part; the sum is what was published, whichever of them delivered it."""
    port = free_port()
    worker = stack.worker("prefork", 3, env={"SOCKUDO_METRICS_PORT": str(port), "SOCKUDO_LANES": "8"})
    total = 0
    for number in range(4):
        publish_many((channel, "n", {"n": number}) for channel in stack.channels(30))
        total += 30
        wait_for_value(port, "events_settled_total", total)
    children = set(re.findall(r"ForkPoolWorker-\d+", worker.log_text()))
    assert len(worker.pids) >= 4, children
    wait_for_value(port, "journal_seconds_count", total)


def test_page_shows_what_leaves_otherwise(stack: Stack) -> None:
    """A dead letter, an expired event: each is counted once, by its reason."""
    channel = stack.channel()
    publish.delay(channel, "ai-output", "x")  # refused for Sockudo's rules
    publish.apply_async((channel, "n", {"n": 1}), expires=0.05)
    publish.delay(channel, "n", {"n": 2})
    time.sleep(0.2)
    port = free_port()
    stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
    wait_for_value(port, "events_settled_total", 1)
    wait_for_value(port, "events_expired_total", 1)
    page = wait_for_value(port, "events_dead_total", 1, reason="refused")
    assert page.total("events_dead_total") == 1
    page = wait_for_value(port, "dead_letters", 1)
    assert page.total("events_uncertain_total") == 0


def test_expired_event_that_is_kept_is_a_dead_letter_too(stack: Stack) -> None:
    stack.environ["SOCKUDO_ON_EXPIRED"] = "dead"
    publish.apply_async((stack.channel(), "n", 1), expires=0.05)
    time.sleep(0.2)
    port = free_port()
    stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
    wait_for_value(port, "events_dead_total", 1, reason="expired")
    wait_for_value(port, "events_expired_total", 1)


@pytest.fixture(scope="module")
def port(shared: SharedStack) -> int:
    """Of one worker for several tests, of which only the last one publishes."""
    port = free_port()
    shared.base.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
    return port


@pytest.fixture
def running(shared: SharedStack, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with shared.of_test(monkeypatch) as stack:
        yield stack


def test_every_documented_name_is_on_the_page(port: int) -> None:
    """From the first scrape on: a dashboard of a new deployment has no holes."""
    page = wait_for_value(port, "backlog_events", 0)
    wanted = {f"{one.name}_total" for one in COUNTERS}
    wanted |= {f"{one.name}_{part}" for one, part in itertools.product(HISTOGRAMS, ("bucket", "sum", "count"))}
    wanted |= {f"{JOURNAL_SECONDS.name}_bucket"}
    wanted |= {"backlog_events", "oldest_event_age_seconds", "dead_letters", "held_channels", "paused", "workers"}
    assert wanted <= page.names()
    for name, (label, values) in LABEL_VALUES.items():
        for value in values:
            assert page.value(f"{name}_total", **{label: value}) is not None, (name, value)


def test_page_follows_the_format_that_is_asked_for(port: int) -> None:
    wait_for_value(port, "workers", 1)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.read().decode().endswith("# EOF\n")


def test_number_of_series_is_bounded(running: Stack, port: int) -> None:
    """200 channels, events and ids add no series, and none of their names is on the page."""
    stack = running
    publish.delay(stack.channel("first"), "name", 1)
    before = wait_for_value(port, "events_settled_total", 1)
    publish_many((f"secret-channel-{n}-{stack.unique}", f"secret-name-{n}", n) for n in range(200))
    publish.delay(stack.channel(), "ai-output", "x", key="secret-key")
    wait_for_value(port, "events_settled_total", 201)
    page = wait_for_value(port, "events_dead_total", 1, reason="refused")
    assert len(page.samples) == len(before.samples)
    assert "secret" not in page.text
    assert stack.unique not in page.text
    labels = {name for _, pairs in page.samples for name, _ in pairs}
    assert labels <= {"app", "le", *(label for label, _ in LABEL_VALUES.values())}


def test_frozen_redis_is_answered_within_a_second(stack: Stack, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "own-redis") as own:
        port = free_port()
        stack.environ["SOCKUDO_REDIS_URL"] = own.url
        stack.environ["SOCKUDO_BROKER_URL"] = stack.redis_server.url
        stack.worker(env={"SOCKUDO_METRICS_PORT": str(port)})
        wait_for_value(port, "workers", 1)
        own.pause()
        try:
            time.sleep(1.2)  # beyond the second for which figures are shown again
            for _ in range(3):
                page = scrape(port)
                assert page.took_s < 1.0
                assert "sockudo_publisher_redis_up 0" in page.text
                assert "backlog_events" not in page.names(), "old figures would hide the trouble"
                assert page.value("events_settled_total") == 0, "counters are this process' own"
        finally:
            own.resume()
        page = wait_for_value(port, "backlog_events", 0)
        assert page.samples["redis_up", frozenset()] == 1


def test_worker_without_a_port_counts_nothing(stack: Stack) -> None:
    """Off is off: no metrics library is loaded, no thread is started."""
    code = (
        "import sys, threading\n"
        "from sockudo_publisher import publish, configure\n"
        "publish.delay('c', 'e', 1)\n"
        "from sockudo_publisher.wiring.app import app_named\n"
        "from sockudo_publisher.telemetry.observer import NOTHING\n"
        "assert app_named().observer is NOTHING\n"
        "assert app_named().journal.observer is NOTHING\n"
        "assert 'prometheus_client' not in sys.modules\n"
        "assert not [t for t in threading.enumerate() if 'telemetry' in t.name]\n"
    )
    env = {**os.environ, **stack.environ}
    done = run_python(["-c", code], env=env, timeout=60)
    assert done.returncode == 0, done.stderr


def test_caller_counts_what_it_stores(stack: Stack) -> None:
    """In this process: by `SOCKUDO_TELEMETRY=prometheus`, in prometheus_client's own registry."""
    from prometheus_client import REGISTRY

    configure(telemetry="prometheus")
    name = "sockudo_publisher_events_stored_total"
    try:
        before = REGISTRY.get_sample_value(name, {"app": "default"}) or 0
        publish_many((stack.channel(), "n", n) for n in range(25))
        publish.delay(stack.channel(), "n", 1, key="k")
        publish.delay(stack.channel(), "n", 1, key="k")
        assert REGISTRY.get_sample_value(name, {"app": "default"}) == before + 26, "what a key had stored counts once"
    finally:
        configure()


def test_caller_counts_a_redis_that_is_away(stack: Stack) -> None:
    from prometheus_client import REGISTRY

    configure(telemetry="prometheus", redis_url=f"redis://127.0.0.1:{free_port()}/0")
    name, labels = "sockudo_publisher_redis_errors_total", {"app": "default", "where": "append"}
    try:
        before = REGISTRY.get_sample_value(name, labels) or 0
        for _ in range(2):
            with pytest.raises(JournalUnavailable):
                publish.delay(stack.channel(), "n", 1)
        assert REGISTRY.get_sample_value(name, labels) == before + 2
    finally:
        configure()

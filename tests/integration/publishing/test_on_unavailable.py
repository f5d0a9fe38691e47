"""`SOCKUDO_ON_UNAVAILABLE=log`: callers go on while the journal is away; each loss is counted and logged."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, chain, signature
from prometheus_client import REGISTRY

from sockudo_publisher import (
    BacklogFull,
    BulkError,
    ConfigurationError,
    IdempotencyConflict,
    JournalUnavailable,
    ValidationError,
    configure,
    publish,
    publish_many,
    register,
)
from sockudo_publisher.config.settings import temporary_settings
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.schedule.writer import Schedule
from sockudo_publisher.publishing.unstored import UnstoredCounts, unstored_events
from sockudo_publisher.tasks import on_commit
from tests.support.stored import stored_data

pytestmark = pytest.mark.integration

PAYLOAD = "a payload that no log shows"
LOGGER = "sockudo_publisher.tasks"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own; this process goes on without it."""
    with RedisServer(tmp_path / "journal") as server:
        configure(
            url="http://key:secret@127.0.0.1:9/apps/app",
            redis_url=server.url,
            broker_url="redis://127.0.0.1:9/0",
            on_unavailable="log",
        )
        yield server
        server.resume()
        configure()


def counted() -> UnstoredCounts:
    return unstored_events().get("default", UnstoredCounts())


def test_result_of_a_stored_event_says_so(journal: RedisServer) -> None:
    result = publish.delay("c", "e", 1)
    assert (result.stored, result.state, result.get()) == (True, "SUCCESS", result.id)


WAYS = {
    "delay": lambda: publish.delay("c", "e", PAYLOAD),
    "adelay": lambda: asyncio.run(publish.adelay("c", "e", PAYLOAD)),
    "apply_async": lambda: publish.apply_async(("c", "e", PAYLOAD)),
    "expires": lambda: publish.apply_async(("c", "e", PAYLOAD), expires=60),
    "countdown": lambda: publish.apply_async(("c", "e", PAYLOAD), countdown=60),
    "for a user": lambda: publish.delay(None, "e", PAYLOAD, user_id="42"),
}


@pytest.mark.parametrize("way", WAYS)
def test_caller_goes_on_and_the_loss_is_seen(journal: RedisServer, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Counted, and logged at ERROR with app, channel, event and id, never with the payload."""
    journal.kill()
    before = counted()
    with caplog.at_level(logging.ERROR, LOGGER):
        result = WAYS[way]()
    after = counted()
    assert (after.lost, after.unknown) == (before.lost + 1, before.unknown)
    assert (result.stored, result.state, result.failed(), result.ready()) == (False, "FAILURE", True, True)
    assert isinstance(result.get(propagate=False), JournalUnavailable)
    with pytest.raises(JournalUnavailable):
        result.get()
    channel = "#server-to-user-42" if way == "for a user" else "c"
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert f"app=default channel={channel} event=e message_id={result.id} stored=no" in record.getMessage()
    assert PAYLOAD not in caplog.text
    assert (record.channel, record.message_id) == (channel, result.id)


def test_loss_is_a_metric(journal: RedisServer) -> None:
    """By what is known of it, an event on each channel of its own."""
    configure(
        url="http://key:secret@127.0.0.1:9/apps/app",
        redis_url=journal.url,
        on_unavailable="log",
        telemetry="prometheus",
    )

    def value(outcome: str) -> float:
        found = REGISTRY.get_sample_value(
            "sockudo_publisher_events_unstored_total", {"app": "default", "outcome": outcome}
        )
        return found or 0

    publish.delay("c", "first", 0)
    before = value("lost"), value("unknown")
    journal.pause()
    publish.delay("c", "e", 1)
    journal.resume()
    journal.kill()
    publish.delay(["c", "d"], "e", 1)
    publish.apply_async(("c", "e", 1), countdown=60)
    assert (value("lost") - before[0], value("unknown") - before[1]) == (3, 1)


def test_countdown_at_the_commit_goes_on(
    journal: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis goes between the call and the commit: the callback raises nothing, and the log has the call's id."""
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(on_commit, "_run_on_commit", lambda store, *_: waiting.append(store))
    before = counted()
    options = {"user_id": "42", "collapse": "x", "tags": {"a": "b"}}
    ids = [
        publish.apply_async_on_commit((None, "e", PAYLOAD), options, countdown=60),
        publish.apply_async_on_commit(("c", "e", PAYLOAD), {"key": "k"}, countdown=60, expires=90),
        publish.delay_on_commit(["c", "d"], "e", PAYLOAD),
    ]
    journal.kill()
    with caplog.at_level(logging.ERROR, LOGGER):
        for store in waiting:
            store()
    assert [record.message_id for record in caplog.records] == ids
    assert counted().lost == before.lost + 4
    assert PAYLOAD not in caplog.text


def test_frozen_before_it_is_scheduled_is_certainly_lost(journal: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is not answered stores nothing: only the script that stores leaves it unknown."""
    publish.apply_async(("c", "e", 0), countdown=60)
    check_bound, run_replicated = Schedule._check_bound, Producer.run_replicated

    def freeze_and_check(*args: Any) -> None:
        journal.pause()
        check_bound(*args)

    def freeze_and_run(*args: Any) -> Any:
        journal.pause()
        return run_replicated(*args)

    with monkeypatch.context() as patch, temporary_settings(max_scheduled=1000):
        patch.setattr(Schedule, "_check_bound", freeze_and_check)
        assert publish.apply_async(("c", "e", 1), countdown=60).stored is False
        journal.resume()
    with monkeypatch.context() as patch:
        patch.setattr(Producer, "run_replicated", freeze_and_run)
        assert publish.apply_async(("c", "e", 1), countdown=60).stored is None
        journal.resume()


def test_frozen_redis_leaves_the_loss_unknown(journal: RedisServer) -> None:
    """It may have stored the event: the call is repeated safely with the id of the result."""
    publish.delay("c", "first", 0)
    journal.pause()
    before = counted()
    result = publish.delay("c", "e", 1)
    assert (result.stored, counted().unknown) == (None, before.unknown + 1)
    journal.resume()
    assert publish.delay("c", "e", 1, key=result.id).stored is True


def test_channels_that_are_stored_are_not_counted(journal: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A call with several channels, of which the lane of some is full."""
    full, free = "c0", next(name for name in map("c{}".format, range(99)) if lane_of(name, 8) != lane_of("c0", 8))
    with temporary_settings(max_backlog=2):
        publish_many([(full, "e", n) for n in range(2)])
        before = counted()
        with caplog.at_level(logging.ERROR, LOGGER):
            result = publish.delay([full, free], "e", "both")
    assert (result.stored, counted().unknown) == (None, before.unknown + 1)
    assert f"channel={full} event=e" in caplog.records[-1].getMessage()
    with redis.Redis.from_url(journal.url) as client:
        assert stored_data(client)[free] == ["both"]


def test_full_backlog_is_no_error_either(journal: RedisServer) -> None:
    with temporary_settings(max_backlog=1):
        publish.delay("c", "e", 1)
        results = [publish.delay("c", "e", 2), publish.apply_async(("c", "e", 3), {"key": "k"})]
        assert [result.stored for result in results] == [False, False]
        assert results[1].id == "k"
        with pytest.raises(BacklogFull):
            results[0].get()


def test_bad_input_still_raises(journal: RedisServer) -> None:
    """While Redis is away too: the caller is at fault, and a repeat does not help."""
    publish.delay("c", "e", 1, key="k")
    with pytest.raises(IdempotencyConflict):
        publish.delay("c", "e", 2, key="k")
    journal.kill()
    for call in (publish.delay, lambda *args: publish.apply_async(args, expires=5)):
        with pytest.raises(ValidationError):
            call("not a channel", "e", 1)
        with pytest.raises(ValidationError):
            call("c", "e", {"not", "json"})
    with pytest.raises(ConfigurationError):
        publish.delay("c", "e", 1, app="unknown")
    with pytest.raises(TypeError):
        publish.apply_async(("c", "e"))


def test_jobs_that_can_be_repeated_raise(journal: RedisServer) -> None:
    """A bulk job, and a canvas, whose next tasks would wait for ever."""
    theirs = Celery("theirs", broker="redis://127.0.0.1:9/0", set_as_current=False)
    theirs.conf.task_publish_retry = False
    register(theirs)
    journal.kill()
    before = counted()
    with pytest.raises(BulkError):
        publish_many([("c", "e", 1)])
    steps = chain(publish.s("c", "e", 1), signature("theirs.next", app=theirs))
    with pytest.raises(JournalUnavailable):
        steps.apply_async()
    assert counted() == before


def test_raises_unless_it_is_asked_for(journal: RedisServer) -> None:
    configure(url="http://key:secret@127.0.0.1:9/apps/app", redis_url=journal.url)
    journal.kill()
    before = counted()
    for way in ("delay", "adelay", "apply_async", "expires"):
        with pytest.raises(JournalUnavailable):
            WAYS[way]()
    assert counted() == before


def test_result_survives_pickle(journal: RedisServer) -> None:
    """For process pools: with its error, and without its payload."""
    journal.kill()
    written = pickle.dumps(publish.delay("c", "e", PAYLOAD))
    assert PAYLOAD.encode() not in written
    again = pickle.loads(written)
    assert (again.stored, again.state) == (False, "FAILURE")
    assert repr(again) == f"<UnstoredResult: {again.id} stored=False>"


def test_fork_counts_from_zero(journal: RedisServer) -> None:
    journal.kill()
    publish.delay("c", "e", 1)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before = dict(unstored_events())
            publish.delay("c", "e", 2)
            os.write(writer, repr((len(before), counted().lost)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    assert os.read(reader, 100) == b"(0, 1)"
    os.close(reader)

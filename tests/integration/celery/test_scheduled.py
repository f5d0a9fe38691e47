"""Events that are due later, with real workers: when they arrive, that they can be taken back, who stores them."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from celery.exceptions import TaskRevokedError

from sockudo_publisher import ValidationError, operations, publish
from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.wiring.app import app_named
from tests.support.caller import call
from tests.support.oracle import numbers
from tests.support.stack import SharedStack, Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def worker(shared: SharedStack) -> None:
    """Of two apps."""
    shared.base.environ["SOCKUDO_APPS"] = json.dumps({"eu": shared.base.server.url})
    shared.base.worker()


@pytest.fixture
def running(shared: SharedStack, worker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """With the file's worker. Each test waits until nothing of it is scheduled any more."""
    with shared.of_test(monkeypatch) as stack:
        yield stack


HOLDER = AppKeys.of("default").due_holder


def has_holder(stack: Stack) -> bool:
    return stack.redis.exists(HOLDER) == 1


def due_in(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def test_events_arrive_when_they_are_due_in_call_order(stack: Stack) -> None:
    """Several channels, equal times, a time given as text; no message waits in the broker."""
    channels = stack.channels(3)
    seen = stack.subscribe(*channels)
    at = due_in(3)
    for n in range(60):
        publish.apply_async((channels, "n", {"n": n}), eta=at if n % 2 else at.isoformat())
    publish.apply_async((channels[0], "n", {"n": 60}), countdown=4)
    stack.worker()
    seen.wait_for_count(3 * 60 + 1, 30)
    assert stack.redis.llen(QUEUE) <= 8, "doorbells alone"
    order = list(range(60))
    assert numbers(seen.events()) == {channels[0]: [*order, 60], channels[1]: order, channels[2]: order}
    assert time.time() >= at.timestamp()


def test_due_event_keeps_its_options(running: Stack) -> None:
    """`socket_id` and `tags` are in the bytes; the expiry lets it through, as it is after the due time."""
    seen = running.subscribe(running.channel())
    result = publish.apply_async(
        (running.channel(), "e", "x"),
        {"socket_id": "1.2", "tags": {"a": "b"}, "key": "mine"},
        countdown=0.2,
        expires=60,
    )
    assert (result.id, result.get(), result.state) == ("mine", "mine", "SUCCESS")
    assert seen.take(1, 20) == ["x"]


def test_expiry_before_the_due_time_is_refused(stack: Stack) -> None:
    """Whatever form the two times have; nothing is stored."""
    given = [
        {"countdown": 5, "expires": 5},
        {"countdown": 5, "expires": 0.5},
        {"countdown": 60, "expires": due_in(30)},
        {"eta": due_in(60), "expires": due_in(60 - 1)},
        {"eta": due_in(60), "expires": 30},
    ]
    for options in given:
        with pytest.raises(ValidationError, match=r"^expires: .* before the event is due"):
            publish.apply_async((stack.channel(), "e", 1), **options)
    assert operations.scheduled() == []
    publish.apply_async((stack.channel(), "e", 1), countdown=5, expires=6)
    assert len(operations.scheduled()) == 1


@pytest.mark.parametrize(
    "options", [{"countdown": 0}, {"countdown": -5}, {"eta": due_in(-60)}], ids=["0", "-5", "past"]
)
def test_event_that_is_due_already_is_stored_at_once(stack: Stack, options: dict[str, object]) -> None:
    publish.apply_async((stack.channel(), "e", 1), **options)
    assert operations.scheduled() == []
    [app] = operations.status()
    assert sum(lane.depth for lane in app.lanes) == 1


def test_revoked_event_is_not_sent(stack: Stack) -> None:
    """By its result, by `operations.cancel`, by the id alone; its key is free again."""
    seen = stack.subscribe(stack.channel())
    results = [
        publish.apply_async((stack.channel(), "e", n), {"key": f"{stack.unique}-{n}"}, countdown=1.5) for n in range(3)
    ]
    results[0].revoke()
    assert operations.cancel(results[1].id).channels == (stack.channel(),)
    assert [result.state for result in results] == ["REVOKED", "REVOKED", "SUCCESS"]
    assert [result.successful() for result in results] == [False, False, True]
    with pytest.raises(TaskRevokedError):
        results[0].get(timeout=5)
    assert isinstance(results[0].get(propagate=False), TaskRevokedError)
    again = publish.apply_async((stack.channel(), "e", "again"), {"key": results[0].id}, countdown=1)
    assert again.state == "SUCCESS"
    stack.worker()
    seen.wait_for_count(2, 20)
    seen.wait_until_quiet(1.5)
    assert sorted(seen.data()) == ["2", "again"]
    results[2].revoke()
    assert results[2].state == "SUCCESS", "it was sent: too late"


def test_result_is_asked_from_another_process(stack: Stack) -> None:
    """It is pickled with its app's name."""
    result = publish.apply_async((stack.channel(), "e", 1), countdown=60)
    said = call(
        stack,
        f"""
import json
import pickle
result = pickle.loads({pickle.dumps(result)!r})
say([result.id, result.state])
result.revoke()
say(result.state)
""",
    )
    assert said == [[result.id, "SUCCESS"], "REVOKED"]
    assert result.state == "REVOKED"


def test_key_is_one_event_while_it_waits_and_after(running: Stack) -> None:
    """A repeat, with another time too, adds nothing; a `delay` of the same sends it now, and once."""
    stack = running
    seen = stack.subscribe(stack.channel())
    key = f"{stack.unique}-k"
    for countdown in (1.5, 1.5, 60):
        publish.apply_async((stack.channel(), "e", "once"), {"key": key}, countdown=countdown)
    assert len(operations.scheduled()) == 1
    publish.delay(stack.channel(), "e", "once", key=key)
    seen.wait_for_count(1, 20)
    assert wait_for(lambda: operations.scheduled() == [], 20)
    publish.apply_async((stack.channel(), "e", "once"), {"key": key}, countdown=0.1)
    seen.wait_until_quiet(1.5)
    assert seen.data() == ["once"]


def test_every_app_has_a_schedule_of_its_own(running: Stack) -> None:
    """`app=`: another list, another right, the same workers."""
    seen = running.subscribe(running.channel())
    publish.apply_async((running.channel(), "e", "ours"), countdown=4)
    publish.apply_async((running.channel(), "e", "theirs"), {"app": "eu"}, countdown=4)
    assert [one.app for one in operations.scheduled()] == ["default"]
    assert [one.app for one in operations.scheduled("eu")] == ["eu"]
    seen.wait_for_count(2, 20)
    assert sorted(seen.data()) == ["ours", "theirs"]


@pytest.mark.long
def test_successor_stores_what_a_dead_worker_was_to_store(stack: Stack) -> None:
    """The right expires after three seconds; both workers together store each event once."""
    channels = stack.channels(4)
    seen = stack.subscribe(*channels)
    first = stack.worker()
    assert wait_for(lambda: has_holder(stack), 20)
    holder = stack.redis.get(HOLDER)
    stack.worker()
    assert stack.redis.get(HOLDER) == holder, "one worker at a time"
    for n in range(40):
        publish.apply_async((channels[n % 4], "n", {"n": n}), countdown=1 + n * 0.1)
    time.sleep(2.5)
    first.kill()
    seen.wait_for_count(40, 40)
    seen.wait_until_quiet(1.0)
    found = numbers(seen.events())
    assert found == {channel: list(range(index, 40, 4)) for index, channel in enumerate(channels)}


def test_warm_shutdown_hands_the_right_on_at_once(stack: Stack) -> None:
    worker = stack.worker()
    assert wait_for(lambda: has_holder(stack), 20)
    worker.stop()
    assert stack.redis.get(HOLDER) is None


@pytest.mark.long
def test_lane_change_under_due_events_keeps_their_order(stack: Stack) -> None:
    """They wait beside the lanes, so the number of lanes does not matter to them."""
    channels = stack.channels(8)
    seen = stack.subscribe(*channels)
    first = stack.worker()
    for n in range(160):
        publish.apply_async((channels[n % 8], "n", {"n": n}), {"key": f"{stack.unique}:{n}"}, countdown=1 + n * 0.05)
    time.sleep(3)
    first.stop()
    stack.environ["SOCKUDO_LANES"] = "3"
    stack.worker()
    seen.wait_for_count(160, 60)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events()) == {channel: list(range(index, 160, 8)) for index, channel in enumerate(channels)}


def test_full_lane_leaves_the_event_scheduled(stack: Stack) -> None:
    """It can be cancelled meanwhile; with room again it is stored."""
    stack.environ.update({"SOCKUDO_MAX_BACKLOG": "1", "SOCKUDO_LANES": "1"})
    seen = stack.subscribe(stack.channel())
    said = call(
        stack,
        """
from sockudo_publisher import operations
from sockudo_publisher.workerapp.due_events import DueMover
publish.delay(C, "e", "full")
later = [publish.apply_async((C, "e", f"later {n}"), countdown=0.1) for n in range(3)]
time.sleep(0.3)
mover = DueMover("default")
say(mover.beat())
say([one.is_being_stored for one in operations.scheduled()])
say(operations.cancel(later[1].id).is_cancelled)
mover.stop()
""",
    )
    assert said == [0, [False, False, False], True]
    stack.worker()
    seen.wait_for_count(3, 30)
    assert seen.data() == ["full", "later 0", "later 2"]


def test_frozen_holder_stores_nothing_twice(stack: Stack) -> None:
    """Between its claim and its append; its successor has stored everything when it goes on."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    frozen = stack.worker(env={"SOCKUDO_FAULTPOINT": "claimed:1:stop"})
    assert wait_for(lambda: has_holder(stack), 20)
    for n in range(20):
        publish.apply_async((channel, "n", {"n": n}), countdown=1)
    time.sleep(2)
    stack.worker()
    seen.wait_for_count(20, 40)
    frozen.resume()
    seen.wait_until_quiet(2.0)
    assert numbers(seen.events()) == {channel: list(range(20))}
    assert app_named().schedule_book().summary().count == 0

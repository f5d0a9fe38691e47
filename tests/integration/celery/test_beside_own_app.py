"""An application with a Celery app, workers and a broker of its own; `publish` in its canvases and tasks.

Two brokers: a message in the wrong one is never run, so arriving shows the way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from sockudo_publisher import publish_many
from sockudo_publisher.embedded import RedisServer
from sockudo_publisher.embedded.process import wait_for
from tests.support.caller import ROOT, call
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

APP = "tests.integration.celery.their_app"
PRELUDE = f"""
from celery import chain, chord, group
from {APP} import app, audit, failed, give, long_text, work
"""


@pytest.fixture(scope="module")
def their_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("their-broker"), appendonly=False) as server:
        yield server


class Theirs:
    """Their broker, their worker and ours, and calls from a process that has their app."""

    def __init__(self, stack: Stack, broker: RedisServer, client: redis.Redis) -> None:
        self.stack = stack
        self.broker = broker
        self.redis = client

    def call(self, source: str, **env: str) -> list[Any]:
        return call(self.stack, PRELUDE + source, MY_BROKER=self.broker.url, **env)

    def told(self, name: str) -> list[str]:
        return [value.decode() for value in self.redis.lrange(name, 0, -1)]

    def wait_told(self, name: str, count: int) -> list[str]:
        assert wait_for(lambda: len(self.told(name)) >= count, 60), f"{name}: {self.told(name)}"
        return self.told(name)


@pytest.fixture
def theirs(stack: Stack, their_broker: RedisServer, tmp_path: Path) -> Iterator[Theirs]:
    with redis.Redis.from_url(their_broker.url) as client:
        client.flushall()
        environ = {**stack.python(), "MY_BROKER": their_broker.url}
        worker = ForeignWorker(APP, "celery,sockudo", environ, tmp_path, ROOT)
        worker.launch()
        stack.worker()
        with worker:
            worker.wait_until_ready()
            yield Theirs(stack, their_broker, client)


def test_publish_stands_anywhere_in_a_chain(theirs: Theirs) -> None:
    """First, in the middle and last; the next task is given the message id, and every result can be got."""
    seen = theirs.stack.subscribe(theirs.stack.channel())
    first, middle, last, published = theirs.call("""
say(chain(publish.s(C, "first", {"n": 1}), audit.s()).apply_async().get(timeout=20))
say(chain(give.s({"n": 2}), publish.s(channel=C, event="middle"), audit.s()).apply_async().get(timeout=20))
result = chain(give.s("x"), publish.si(C, "last", {"n": 3})).apply_async()
say([result.get(timeout=20), result.id, result.state])
say(chain(give.s({"n": 4}), publish.s(channel=C, event="last")).apply_async().get(timeout=20))
""")
    ids = [first.removeprefix("audited "), middle.removeprefix("audited "), last[0], published]
    assert len(set(ids)) == 4
    assert last == [last[1], last[1], "SUCCESS"]
    seen.wait_for_count(4, 20)
    assert [(event.event, event.data) for event in seen.events()] == [
        ("first", '{"n":1}'),
        ("middle", '{"n":2}'),
        ("last", '{"n":3}'),
        ("last", '{"n":4}'),
    ]


def test_groups_and_chords_mix_with_their_tasks(theirs: Theirs) -> None:
    """Results of mixed groups, chords over `publish`, and `publish` as a chord's body can all be got."""
    seen = theirs.stack.subscribe(theirs.stack.channel())
    mixed, counted, body, body_id = theirs.call("""
say(group(give.s(1), publish.s(C, "in group", "a"), give.s(2)).apply_async().get(timeout=20))
say(chord([publish.s(C, "header", n) for n in range(3)], audit.s()).apply_async().get(timeout=20))
done = chord([give.s(1), give.s(2)], publish.s(channel=C, event="body")).apply_async()
say(done.get(timeout=20))
say(done.id)
""")
    assert mixed[0::2] == [1, 2]
    assert counted.startswith("audited [")
    assert body == body_id
    seen.wait_for_count(5, 20)
    assert {event.event: event.data for event in seen.events()}["body"] == "[1,2]"


def test_bad_data_from_the_task_before_fails_publish_and_not_that_task(theirs: Theirs) -> None:
    """What cannot be an event is `publish`'s failure: the task before has done its work, and stays a success."""
    told = theirs.call("""
result = chain(long_text.s(20_000), publish.s(channel=C, event="e"), audit.s()).apply_async(link_error=failed.s())
try: result.get(timeout=20)
except ValidationError as error: say([str(error), result.parent.state, result.parent.parent.state])
linked = give.apply_async(("x" * 20_000,), link=publish.s(channel=C, event="e"), link_error=failed.s())
linked.get(timeout=20)
say(linked.state)
""")
    assert told == [["data: 20000 bytes, limit 10240", "FAILURE", "SUCCESS"], "SUCCESS"]
    assert theirs.wait_told("failed", 1)[0] == "ValidationError: data: 20000 bytes, limit 10240"
    assert theirs.told("audited") == []


def test_chain_goes_on_behind_an_event_that_was_stored_before(theirs: Theirs) -> None:
    """A repeated key appends nothing, but what waits for `publish` runs: `link`, the chain, the chord."""
    seen = theirs.stack.subscribe(theirs.stack.channel())
    told = theirs.call("""
publish.delay(C, "e", "once", key="k")
say(chain(publish.s(C, "e", "once", key="k"), audit.s()).apply_async().get(timeout=20))
publish.apply_async((C, "e", "once"), {"key": "k"}, link=audit.s())
say(chord([publish.s(C, "e", "once", key="k"), give.s(1)], audit.s()).apply_async().get(timeout=20))
try: chain(give.s(1), publish.si(C, "e", "another", key="k")).apply_async().get(timeout=20)
except IdempotencyConflict as error: say(type(error).__name__)
""")
    assert told == ["audited k", "audited ['k', 1]", "IdempotencyConflict"]
    assert sorted(theirs.wait_told("audited", 3)) == ["['k', 1]", "k", "k"]
    seen.wait_for_count(1, 20)
    seen.wait_until_quiet(0.5)
    assert seen.data() == ["once"]


def test_their_tasks_publish_through_our_broker(theirs: Theirs) -> None:
    """`delay` rings our workers, a countdown waits in our broker, a direct call is sent from their worker."""
    seen = theirs.stack.subscribe(theirs.stack.channel())
    (ids,) = theirs.call("say(work.delay(C).get(timeout=20))")
    assert len(set(ids.split(","))) == 3
    seen.wait_for_count(3, 20)
    assert {event.event: event.data for event in seen.events()} == {
        "queued": '{"n":1}',
        "direct": '{"n":2}',
        "later": '{"n":3}',
    }


def test_countdown_goes_to_our_broker_and_a_link_to_theirs(stack: Stack, their_broker: RedisServer) -> None:
    """No worker runs: where the messages wait shows which broker has them, registered or not."""
    for register in ("1", "0"):
        with redis.Redis.from_url(their_broker.url) as client:
            client.flushall()
            stack.redis.delete("sockudo")
            call(
                stack,
                PRELUDE
                + """
publish.apply_async((C, "e", "x"), countdown=60)
publish.s(C, "e", "x").apply_async(countdown=60)
publish.apply_async((C, "e", "x"), link=audit.s())
""",
                MY_BROKER=their_broker.url,
                MY_REGISTER=register,
            )
            assert stack.redis.llen("sockudo") == 2
            assert client.llen("sockudo") == 1


def test_threads_of_a_web_server_find_their_app_too(theirs: Theirs) -> None:
    """Celery's current app is the main thread's alone; canvases made in other threads go the same ways."""
    told = theirs.call("""
from concurrent.futures import ThreadPoolExecutor
def in_thread():
    say(chain(publish.s(C, "e", 1), audit.s()).apply_async().get(timeout=20)[:7])
    publish.apply_async((C, "e", 2), link=audit.s())
    say(group(publish.s(C, "e", 3), give.s(5)).apply_async().get(timeout=20)[1])
    say(publish.apply_async((C, "e", 4), countdown=0.1).get(timeout=20) != "")
with ThreadPoolExecutor(1) as pool: pool.submit(in_thread).result()
""")
    assert told == ["audited", 5, True]
    assert len(theirs.wait_told("audited", 2)) == 2


def test_link_of_an_app_that_did_not_register(stack: Stack, their_broker: RedisServer) -> None:
    """In a thread without a current app the linked task tells where the message belongs."""
    with redis.Redis.from_url(their_broker.url) as client:
        client.flushall()
        call(
            stack,
            PRELUDE
            + """
from threading import Thread
one = Thread(target=lambda: publish.apply_async((C, "e", "x"), link=audit.s(), link_error=[failed.s()]))
one.start(); one.join()
""",
            MY_BROKER=their_broker.url,
            MY_REGISTER="0",
        )
        (message,) = client.lrange("sockudo", 0, -1)
        assert json.loads(message)["headers"]["task"] == "sockudo_publisher.publish"


def test_eager_apps_publish_now(stack: Stack) -> None:
    """`task_always_eager`, theirs or ours, needs neither broker nor Redis, whatever the options; chains run on."""
    seen = stack.subscribe(stack.channel())
    nobody = "redis://127.0.0.1:1/0"
    ours = "from celery import chain\nfrom sockudo_publisher.celery_app import celery_app as app\n"
    for prelude in (PRELUDE, ours):
        told = call(
            stack,
            prelude
            + """
app.conf.task_always_eager = True
result = publish.apply_async((C, "e", "with options"), countdown=5, expires=60)
say([type(result).__name__, result.get().message_id == result.id])
say(type(chain(publish.s(C, "e", "chained"), publish.si(C, "e", "on")).apply_async().get()).__name__)
try: publish.delay(C, "", "x")
except ValidationError as error: say(str(error))
""",
            MY_BROKER=nobody,
            SOCKUDO_REDIS_URL=nobody,
        )
        assert told == [["EagerResult", True], "Receipt", "event name: empty, expected 1 to 200 bytes"]
    assert seen.take(6) == ["with options", "chained", "on"] * 2


def test_their_workers_on_our_broker_deliver_and_stop_warmly(stack: Stack, tmp_path: Path) -> None:
    """Where one Redis is everybody's broker their workers take doorbells too; SIGTERM ends a busy drain in time."""
    seen = stack.subscribe(stack.channel())
    environ = {**stack.python(), "MY_BROKER": stack.redis_server.url, "SOCKUDO_BATCH_MAX_EVENTS": "20"}
    with ForeignWorker(APP, "celery,sockudo", environ, tmp_path, ROOT) as worker:
        publish_many((stack.channel(), "n", n) for n in range(40_000))
        seen.wait_for_count(1000, 20)
        started = time.monotonic()
        assert worker.stop(30) == 0
        assert time.monotonic() - started < 10, "the delivery timeout"
    assert seen.count < 40_000, "there must have been more to drain"
    stack.worker()
    seen.wait_for_count(40_000, 40)
    assert [int(data) for data in seen.data()] == list(range(40_000))

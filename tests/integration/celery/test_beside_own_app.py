"""An application with a Celery app, workers and a broker of its own; `publish` in its canvases and tasks.

Two brokers: a message in the wrong one is never run, so arriving shows the way.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher import publish_many
from sockudo_publisher.dev.embedded import RedisServer
from tests.integration.celery.theirs import APP, PRELUDE, Theirs
from tests.support.caller import ROOT, call
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import SharedStack, Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def workers(shared: SharedStack, their_broker: RedisServer) -> Iterator[RedisServer]:
    """Their worker and our worker, and their broker."""
    with redis.Redis.from_url(their_broker.url) as client:
        worker = Theirs(shared.base, their_broker.url, client).worker(shared.base.directory)
    worker.launch()
    shared.base.worker()
    with worker:
        worker.wait_until_ready()
        yield their_broker


@pytest.fixture
def theirs(shared: SharedStack, workers: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theirs]:
    """With the file's workers."""
    with shared.of_test(monkeypatch) as stack, redis.Redis.from_url(workers.url) as client:
        theirs = Theirs(stack, workers.url, client)
        theirs.forget_lists()
        yield theirs


@pytest.fixture
def idle_broker(stack: Stack) -> str:
    """A broker of their app, empty, from which no worker reads: another database."""
    return re.sub(r"/\d*$", "/3", stack.redis_server.url)


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


def test_bad_data_fails_publish_and_not_the_task_before(theirs: Theirs) -> None:
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
    assert theirs.wait_for_list("failed", 1)[0] == "ValidationError: data: 20000 bytes, limit 10240"
    assert theirs.read_list("audited") == []


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
    assert sorted(theirs.wait_for_list("audited", 3)) == ["['k', 1]", "k", "k"]
    seen.wait_for_count(1, 20)
    seen.wait_until_quiet(0.5)
    assert seen.data() == ["once"]


def test_their_tasks_publish_through_our_broker(theirs: Theirs) -> None:
    """`delay` rings our workers, a countdown waits in our journal, a direct call is sent from their worker."""
    seen = theirs.stack.subscribe(theirs.stack.channel())
    (ids,) = theirs.call("say(work.delay(C).get(timeout=20))")
    assert len(set(ids.split(","))) == 3
    seen.wait_for_count(3, 20)
    assert {event.event: event.data for event in seen.events()} == {
        "queued": '{"n":1}',
        "direct": '{"n":2}',
        "later": '{"n":3}',
    }


def test_countdown_needs_no_broker_and_a_link_needs_theirs(stack: Stack, idle_broker: str) -> None:
    """No worker runs: where the messages wait shows which broker and which queue has them."""
    with redis.Redis.from_url(idle_broker) as client:
        call(
            stack,
            PRELUDE
            + """
publish.apply_async((C, "e", "x"), countdown=60)
publish.s(C, "e", "x").apply_async(countdown=60)
publish.apply_async((C, "e", "x"), link=audit.s())
publish.s(C, "e", "x").set(queue="sockudo").apply_async(link=audit.s())
""",
            MY_BROKER=idle_broker,
        )
        assert stack.redis.llen("sockudo") == 0
        assert (client.llen("celery"), client.llen("sockudo")) == (2, 0)


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
    assert len(theirs.wait_for_list("audited", 2)) == 2


@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_canvas_without_register_is_refused(stack: Stack, idle_broker: str, where: str) -> None:
    """In one line at the caller, wherever `publish` stands in it; nothing is sent, and without a canvas all is well."""
    with redis.Redis.from_url(idle_broker) as client:
        told = call(
            stack,
            PRELUDE
            + f"""
from kombu.exceptions import EncodeError
from threading import Thread
made = {{
    "link": lambda: publish.apply_async((C, "e", "x"), link=audit.s()),
    "link_error": lambda: publish.apply_async((C, "e", "x"), link_error=[failed.s()]),
    "first": lambda: chain(publish.s(C, "e", "x"), audit.s()).apply_async(),
    "last": lambda: chain(give.s("x"), publish.s(channel=C, event="e")).apply_async(),
    "group": lambda: group(give.s(1), publish.s(C, "e", "x")).apply_async(),
    "only publish": lambda: group(publish.s(C, "e", "x"), publish.s(C, "e", "y")).apply_async(),
    "header": lambda: chord([publish.s(C, "e", "x"), give.s(1)], audit.s()).apply_async(),
    "body": lambda: chord([give.s(1), give.s(2)], publish.s(channel=C, event="e")).apply_async(),
    "theirs links": lambda: give.apply_async(("x",), link=publish.s(channel=C, event="e")),
    "in a link": lambda: give.apply_async(("x",), link=chain(audit.s(), publish.s(channel=C, event="e"))),
}}
def refused():
    for name, make in made.items():
        try: make(); say([name, "sent"])
        except (ConfigurationError, EncodeError) as error:
            say([name, "register(app)" in str(error) and "theirs" in str(error) and len(str(error).splitlines()) == 1])
    publish.delay(C, "e", "alone")
    publish.s(C, "e", "signature").delay()
    publish.s(C, "e", "later").apply_async(countdown=60)
if {where!r} == "main thread": refused()
else: one = Thread(target=refused); one.start(); one.join()
""",
            MY_BROKER=idle_broker,
            MY_REGISTER="0",
        )
        assert [name for name, refused in told if refused is not True] == []
        assert len(told) == 10
        assert client.keys("*") == []
        assert stack.redis.llen("sockudo") == 1, "a doorbell for the channel's lane"


def test_eager_apps_publish_now(stack: Stack) -> None:
    """`task_always_eager`, theirs or ours, needs neither broker nor Redis, whatever the options; chains run on."""
    seen = stack.subscribe(stack.channel())
    nowhere = "redis://127.0.0.1:1/0"
    ours = "from celery import chain\nfrom sockudo_publisher.wiring.private_celery import celery_app as app\n"
    for prelude in (PRELUDE, ours):
        told = call(
            stack,
            prelude
            + """
app.conf.task_always_eager = True
result = publish.apply_async((C, "e", "with options"), countdown=5, expires=60)
say([type(result).__name__, result.get() == result.id])
say(type(chain(publish.s(C, "e", "chained"), publish.si(C, "e", "on")).apply_async().get()).__name__)
try: publish.delay(C, "", "x")
except ValidationError as error: say(str(error))
""",
            MY_BROKER=nowhere,
            SOCKUDO_REDIS_URL=nowhere,
        )
        assert told == [["EagerResult", True], "str", "event name: empty, expected 1 to 200 bytes"]
    assert seen.take(6) == ["with options", "chained", "on"] * 2


@pytest.mark.parametrize("eager", ["theirs", "ours"])
def test_eager_steps_are_given_the_message_id(stack: Stack, idle_broker: str, eager: str) -> None:
    """By a link, in a chain and as a chord's header, as in production; and unregistered they are refused, as there."""
    seen = stack.subscribe(stack.channel())
    source = f"""
from sockudo_publisher.wiring.private_celery import celery_app
(app if {eager!r} == "theirs" else celery_app).conf.task_always_eager = True
app.conf.task_always_eager = True
"""
    with redis.Redis.from_url(idle_broker) as client:
        (linked,) = call(
            stack,
            PRELUDE
            + source
            + """
say(publish.apply_async((C, "e", "linked"), link=audit.s()).id)
chain(publish.s(C, "e", "chained"), audit.s()).apply_async()
chord([publish.s(C, "e", "header")], audit.s()).apply_async()
""",
            MY_BROKER=idle_broker,
        )
        told = [value.decode() for value in client.lrange("told:audited", 0, -1)]
    assert told[0] == linked
    assert [len(value) for value in told[1:]] == [36, len("['']") + 36], "an id as Celery makes them, and a list of one"
    seen.wait_for_count(3, 20)
    refused = call(
        stack,
        PRELUDE
        + source
        + """
for make in (
    lambda: publish.apply_async((C, "e", "x"), link=audit.s()),
    lambda: chain(publish.s(C, "e", "x"), audit.s()).apply_async(),
    lambda: group(publish.s(C, "e", "x"), audit.s(1)).apply_async(),
):
    try: make(); say("sent")
    except ConfigurationError as error: say("register(app)" in str(error))
say(publish.s(C, "e", "alone").delay().state)
""",
        MY_BROKER=idle_broker,
        MY_REGISTER="0",
    )
    assert refused == [True, True, True, "SUCCESS"]


def test_eager_result_is_used_as_in_production(stack: Stack) -> None:
    """A task that gets its event's id, or revokes the result, does the same where tasks run eagerly."""
    seen = stack.subscribe(stack.channel())
    nowhere = "redis://127.0.0.1:1/0"
    told = call(
        stack,
        PRELUDE
        + """
app.conf.update(task_always_eager=True, task_eager_propagates=True)
@app.task
def uses(channel):
    result, got = publish.delay(channel, "e", "used"), []
    result.revoke(terminate=True)
    result.get(callback=lambda *given: got.extend(given))
    return [result.state, {result.get(), result.wait(), *got} == {result.id}]
say(uses.delay(C).get())
""",
        MY_BROKER=nowhere,
        SOCKUDO_REDIS_URL=nowhere,
    )
    assert told == [["SUCCESS", True]]
    assert seen.take(1) == ["used"]


#: More than a worker drains before it is stopped.
COUNT = 12_000


def test_their_workers_on_our_broker_deliver_and_stop_warmly(stack: Stack, tmp_path: Path) -> None:
    """Where one Redis is everybody's broker their workers take doorbells too; SIGTERM ends a busy drain in time."""
    seen = stack.subscribe(stack.channel())
    environ = {**stack.python(), "MY_BROKER": stack.redis_server.url, "SOCKUDO_BATCH_MAX_EVENTS": "20"}
    with ForeignWorker(APP, "celery,sockudo", environ, tmp_path, ROOT) as worker:
        publish_many((stack.channel(), "n", n) for n in range(COUNT))
        seen.wait_for_count(1000, 20)
        started = time.monotonic()
        assert worker.stop(30) == 0
        assert time.monotonic() - started < 10, "the delivery timeout"
    assert seen.count < COUNT, "there must have been more to drain"
    stack.worker()
    seen.wait_for_count(COUNT, 40)
    assert [int(data) for data in seen.data()] == list(range(COUNT))


def test_typed_data_goes_through_a_canvas(theirs: Theirs) -> None:
    """A date in a later step, in a group and in a link: encoded before a message is made."""
    seen = theirs.stack.subscribe(theirs.stack.channel())
    theirs.call("""
import dataclasses, datetime
@dataclasses.dataclass
class Order:
    at: datetime.date
order = Order(datetime.date(2026, 1, 2))
chain(give.s("x"), publish.si(C, "step", order)).apply_async().get(timeout=20)
group(publish.s(C, "group", order), publish.s(C, "group", {"at": order.at})).apply_async().get(timeout=20)
give.apply_async(("x",), link=publish.si(C, "link", [order])).get(timeout=20)
""")
    seen.wait_for_count(4, 30)
    assert sorted((event.event, event.data) for event in seen.events()) == [
        ("group", '{"at":"2026-01-02"}'),
        ("group", '{"at":"2026-01-02"}'),
        ("link", '[{"at":"2026-01-02"}]'),
        ("step", '{"at":"2026-01-02"}'),
    ]

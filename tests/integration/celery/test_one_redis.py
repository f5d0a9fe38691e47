"""One Redis is the broker of both Celery apps, the commonest deployment: nothing of a canvas gets lost in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.embedded.worker import WorkerProcess
from tests.integration.celery.theirs import Theirs
from tests.support.cases import in_depth
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import SharedStack, Stack

pytestmark = pytest.mark.integration


@pytest.fixture
def theirs(stack: Stack) -> Theirs:
    """Their app on our Redis; each test starts the workers it wants."""
    return Theirs(stack, stack.redis_server.url, stack.redis)


@pytest.fixture(scope="module")
def our_worker(shared: SharedStack) -> WorkerProcess:
    return shared.base.worker()


@pytest.fixture
def beside_ours(shared: SharedStack, our_worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The file's Redis and our worker on it."""
    with shared.of_test(monkeypatch) as stack:
        yield stack


@pytest.fixture(scope="module")
def their_worker(shared: SharedStack, our_worker: WorkerProcess) -> Iterator[ForeignWorker]:
    base = shared.base
    with Theirs(base, base.redis_server.url, base.redis).worker(base.directory) as worker:
        worker.wait_until_ready()
        yield worker


@pytest.fixture
def both(beside_ours: Stack, their_worker: ForeignWorker) -> Theirs:
    """Their app on the file's Redis, where their worker and our worker run."""
    theirs = Theirs(beside_ours, beside_ours.redis_server.url, beside_ours.redis)
    theirs.forget_lists()
    return theirs


def with_settings(stack: Stack, **settings: Any) -> Theirs:
    """Their app with more configuration. With a default queue of its own their worker of the file takes nothing."""
    theirs = Theirs(stack, stack.redis_server.url, stack.redis, **settings)
    theirs.forget_lists()
    return theirs


def test_chains_and_chords_beside_both_workers(both: Theirs) -> None:
    """40 chains and 10 chords with `publish` inside: each step runs, each event arrives, each result can be got."""
    seen = both.stack.subscribe(both.stack.channel())
    told = both.call("""
chains = [chain(give.s({"n": n}), publish.s(channel=C, event="ready"), audit.s()).apply_async() for n in range(40)]
heads = [chord([give.s(n), publish.s(C, "header", n)], audit.s()).apply_async() for n in range(5)]
bodies = [chord([give.s(n), give.s(n)], publish.s(channel=C, event="body")).apply_async() for n in range(5)]
say([one.get(timeout=60)[:7] for one in chains])
say([one.get(timeout=60)[:7] for one in heads])
say([one.get(timeout=60) == one.id for one in bodies])
""")
    assert told == [["audited"] * 40, ["audited"] * 5, [True] * 5]
    assert len(both.wait_for_list("audited", 45)) == 45
    seen.wait_for_count(50, 30)
    by_event = [event.event for event in seen.events()]
    assert {name: by_event.count(name) for name in set(by_event)} == {"ready": 40, "header": 5, "body": 5}


def test_link_waits_for_their_worker_where_only_ours_runs(beside_ours: Stack, tmp_path: Path) -> None:
    """The message waits in their queue, untouched by our worker; when theirs starts, event and link come."""
    queue = beside_ours.channel("link")
    theirs = with_settings(beside_ours, task_default_queue=queue)
    seen = theirs.stack.subscribe(theirs.stack.channel())
    theirs.call("""
publish.apply_async((C, "e", "linked"), link=audit.si("after"))
publish.delay(C, "e", "alone")
""")
    assert seen.take(1) == ["alone"]
    assert theirs.redis.llen(queue) == 1
    with theirs.worker(tmp_path, queue):
        assert theirs.wait_for_list("audited", 1) == ["after"]
        assert seen.take(2) == ["alone", "linked"]


def test_their_worker_alone_stores_and_ours_delivers_later(theirs: Theirs, tmp_path: Path) -> None:
    """Storing needs none of our workers: the chain ends, and the events wait in the journal."""
    with theirs.worker(tmp_path) as worker:
        worker.wait_until_ready()
        assert theirs.call("""
say(chain(give.s({"n": 1}), publish.s(channel=C, event="e"), audit.s()).apply_async().get(timeout=30)[:7])
""") == ["audited"]
    seen = theirs.stack.subscribe(theirs.stack.channel())
    theirs.stack.worker()
    assert seen.take(1) == ['{"n":1}']


def test_groups_links_and_errors_of_each_shape(both: Theirs) -> None:
    """Group, nested canvases, `on_error`, stamps, `replace`, a link of their task, signatures out of JSON."""
    seen = both.stack.subscribe(both.stack.channel())
    told = both.call("""
from celery import signature
from celery.canvas import StampingVisitor
say(len(group(publish.s(C, "group", n) for n in range(3)).apply_async().get(timeout=30)))
say(chain(give.s(1), group(publish.s(channel=C, event="inner"), give.s()), audit.s()).apply_async().get(timeout=30)[:9])
linked = give.apply_async(("text",), link=publish.s(channel=C, event="link"))
linked.get(timeout=30)
say([child.get(timeout=30) == child.id for child in linked.children])
say(replaced.s(C).apply_async().get(timeout=30) != "")
long_text.apply_async(("no number",), link_error=publish.si(C, "errback", "failed"))
bad = chain(give.s("x" * 20_000), publish.s(channel=C, event="e").on_error(failed.s())).apply_async()
try: bad.get(timeout=30)
except ValidationError as error: say(str(error))
class Stamp(StampingVisitor):
    def on_signature(self, sig, **headers): return {"mark": "m"}
stamped = chain(give.s("stamped"), publish.s(channel=C, event="stamped"), audit.s())
stamped.stamp(visitor=Stamp())
say(stamped.apply_async().get(timeout=30)[:7])
again = signature(json.loads(json.dumps(publish.s(C, "json", "x"))))
say(chain(again, audit.s()).apply_async().get(timeout=30)[:7])
say(chain(publish.si(C, "si", 1), publish.si(C, "si", 2), audit.s()).apply_async(countdown=0.2).get(timeout=30)[:7])
""")
    assert told == [
        3,
        "audited [",
        [True],
        True,
        "data: 20000 bytes, limit 10240",
        "audited",
        "audited",
        "audited",
    ]
    assert len(both.wait_for_list("failed", 1)) == 1
    seen.wait_for_count(3 + 1 + 1 + 1 + 1 + 1 + 1 + 2, 30)
    events = [event.event for event in seen.events()]
    assert sorted(events) == sorted(["group"] * 3 + ["inner", "link", "errback", "e", "stamped", "json"] + ["si"] * 2)


def test_canvas_message_that_reaches_our_worker(both: Theirs, our_worker: WorkerProcess) -> None:
    """The event is stored; steps that name a queue are sent there; the log names each task that is not."""
    seen = both.stack.subscribe(both.stack.channel())
    both.call("""
def to_us(*data, **options):
    app.send_task("sockudo_publisher.publish", (C, "e", *data), queue="sockudo", argsrepr="(...)", **options)
known, unknown = audit.s().set(queue="celery"), app.signature("theirs.nowhere")
to_us("links", link=[known, unknown])
to_us("one link", link=app.signature("theirs.one_link"))
to_us("chain", chain=[give.s(), known])
to_us("no chain", chain=[known, app.signature("theirs.second"), app.signature("theirs.first")])
to_us("group", link=group(known, app.signature("theirs.of_group")))
to_us("chord", link=chord([known, app.signature("theirs.of_header")], app.signature("theirs.of_body")))
to_us("part", group_id="g", chord=app.signature("theirs.body"))
to_us("fails", "too many", link_error=[failed.s().set(queue="celery"), app.signature("theirs.errback")])
to_us("not a signature", link=[5])
""")
    # By the links, the chain (whose next step their worker sends), the group.
    assert len(both.wait_for_list("audited", 3)) == 3
    both.wait_for_list("given", 1)
    wanted = ["nowhere", "one_link", "first", "second", "of_group", "of_header", "of_body", "errback"]
    assert wait_for(lambda: all(f"task=theirs.{name} " in our_worker.log_text() for name in wanted), 20), [
        name for name in wanted if f"task=theirs.{name} " not in our_worker.log_text()
    ]
    seen.wait_for_count(8, 20)
    assert {*seen.data()} == {
        *("links", "one link", "chain", "no chain", "group", "chord", "part", "not a signature"),
    }
    assert "task=(a int) " in our_worker.log_text()
    assert "Received unregistered task" not in our_worker.log_text()


@pytest.mark.parametrize("serializer", in_depth(["pickle", "yaml"], quick=["pickle"]))
def test_their_serializer_is_that_of_their_messages(beside_ours: Stack, tmp_path: Path, serializer: str) -> None:
    """An app whose workers read no JSON gets none."""
    other = with_settings(
        beside_ours,
        task_default_queue=beside_ours.channel(serializer),
        task_serializer=serializer,
        result_serializer=serializer,
        accept_content=[serializer],
    )
    seen = beside_ours.subscribe(beside_ours.channel())
    with other.worker(tmp_path, beside_ours.channel(serializer), C_FORCE_ROOT="1") as worker:
        worker.wait_until_ready()
        told = other.call("""
say(group(publish.s(C, "e", n) for n in range(2)).apply_async().get(timeout=30) != [])
try: publish.apply_async((C, "e", "x"), link=audit.s(), serializer="json")
except ConfigurationError as error: say(str(error))
""")
    assert told == [True, "serializer: the workers of the Celery app 'theirs' do not read it (accept_content)"]
    seen.wait_for_count(2, 20)


def test_their_routes_are_followed_and_never_to_our_queue(theirs: Theirs, tmp_path: Path) -> None:
    """`task_routes` by name and pattern; one that names our queue is refused, since our workers read that."""
    source = """
try: publish.apply_async((C, "e", "x"), link=audit.s()); say("sent")
except ConfigurationError as error: say(str(error))
"""
    routed = with_settings(theirs.stack, task_routes={"sockudo_publisher.*": {"queue": "special"}})
    assert routed.call(source) == ["sent"]
    assert theirs.redis.llen("special") == 1
    for settings in ({"task_routes": {"sockudo_publisher.*": "sockudo"}}, {"task_default_queue": "sockudo"}):
        (told,) = with_settings(theirs.stack, **settings).call(source)
        assert "'sockudo'" in told
        assert "name another queue" in told
    assert theirs.redis.llen("sockudo") == 0
    with routed.worker(tmp_path, "celery,special"):
        assert len(routed.wait_for_list("audited", 1)) == 1


ROUTES = {
    "sockudo_publisher.publish": "special-0",
    "sockudo_publisher.*": "special-1",
    "sockudo_publisher.append": "celery",
}


def test_append_follows_the_route_of_publish(theirs: Theirs, tmp_path: Path) -> None:
    """One rule for both tasks: the finished event goes to the queue of `sockudo_publisher.publish`."""
    for number, (pattern, queue) in enumerate(ROUTES.items()):
        routed = with_settings(theirs.stack, task_routes={pattern: {"queue": f"special-{number}"}})
        assert routed.call('publish.apply_async((C, "e", "x"), link=audit.s()); say(1)') == [1]
        messages = [json.loads(raw) for raw in theirs.redis.lrange(queue, 0, -1)]
        assert [one["headers"]["task"] for one in messages] == ["sockudo_publisher.append"], pattern
        assert messages[0]["headers"]["kwargsrepr"] == "(...)", pattern
    with theirs.worker(tmp_path, ",".join(ROUTES.values())):
        assert len(theirs.wait_for_list("audited", len(ROUTES))) == len(ROUTES)


def test_queue_that_their_app_does_not_have(theirs: Theirs) -> None:
    """With `task_create_missing_queues=False` the error is Celery's own, and names the queue; their default works."""
    strict = Theirs(theirs.stack, theirs.stack.redis_server.url, theirs.redis, task_create_missing_queues=False)
    told = strict.call("""
from celery.exceptions import QueueNotFound
try: publish.apply_async((C, "e", "x"), link=audit.s(), queue="missing")
except QueueNotFound as error: say(str(error))
publish.apply_async((C, "e", "x"), link=audit.s())
publish.apply_async((C, "e", "x"), countdown=60, queue="missing")
""")
    assert len(told) == 1
    assert "missing" in told[0]
    assert (theirs.redis.llen("celery"), theirs.redis.llen("sockudo")) == (1, 0)


def test_signature_older_than_the_app_belongs_to_it(both: Theirs) -> None:
    """Made before the app, or before `register`: its messages and results are those of the app it is used in."""
    told = both.call("""
say(group([BEFORE, give.s(5)]).apply_async().get(timeout=30)[1])
say(chain(BEFORE, audit.s()).apply_async().get(timeout=30)[:7])
""")
    assert told == [5, "audited"]


@pytest.mark.parametrize("kind", ["ResultSet", "GroupResult"])
def test_countdown_among_results_of_their_tasks(both: Theirs, kind: str) -> None:
    """First, last and alone: it is ready, as its event is stored."""
    told = both.call(f"""
import pickle
from celery.result import GroupResult, ResultSet
def made(*results): return ResultSet(list(results)) if {kind!r} == "ResultSet" else GroupResult("g", list(results))
for build in (lambda a, b: [a, b], lambda a, b: [b, a], lambda a, b: [a]):
    later, other = publish.apply_async((C, "e", "later"), countdown=0.2), give.delay(7)
    say(made(*build(later, other)).get(timeout=30) == [one.id if one is later else 7 for one in build(later, other)])
later = publish.apply_async((C, "e", "later"), countdown=0.2)
say(pickle.loads(pickle.dumps(later)).get(timeout=30) == later.id)
say([later.get(timeout=30) == later.id, later.state, type(later).__name__])
""")
    assert told == [True] * 4 + [[True, "SUCCESS", "ScheduledResult"]]


def test_revoked_countdown_is_not_stored_whatever_their_broker(beside_ours: Stack) -> None:
    """The revoke needs neither a broker nor a worker."""
    seen = beside_ours.subscribe(beside_ours.channel())
    elsewhere = Theirs(beside_ours, "memory://", beside_ours.redis, result_backend=beside_ours.redis_server.url)
    (state,) = elsewhere.call("""
later = publish.apply_async((C, "e", "revoked"), countdown=2)
later.revoke(wait=True, timeout=10)
try: later.get(timeout=30)
except Exception as error: say(type(error).__name__)
publish.delay(C, "e", "after")
""")
    assert state == "TaskRevokedError"
    assert seen.take(1) == ["after"]

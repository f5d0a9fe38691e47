"""`publish` does what a Celery user expects of a task: each caller a process of its own, a real worker behind it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from celery import Celery

from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded import RedisServer, WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.caller import ROOT, call
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

SECRET_TEXT = "this-payload-is-secret"


def counted(stack: Stack, reason: str) -> int:
    """A counter over all lanes."""
    counts = [stack.redis.hgetall(key) for key in stack.redis.scan_iter("sockudo:*:counts")]
    return sum(int(one.get(reason.encode(), 0)) for one in counts)


def test_delay_answers_at_once_with_the_message_id(debugged: Stack) -> None:
    """`result.id` and `.get()` are the message id, `.state` is SUCCESS: stored; and it survives pickling."""
    seen = debugged.subscribe(debugged.channel())
    ((kind, same, state, ready, pickled),) = call(
        debugged,
        """
import pickle
result = publish.delay(C, "e", {"n": 1})
again = pickle.loads(pickle.dumps(result))
say([type(result).__name__, result.get() == result.id, result.state, result.ready(), again.get() == result.id])
""",
    )
    assert (kind, same, state, ready, pickled) == ("StoredResult", True, "SUCCESS", True, True)
    assert seen.take(1) == ['{"n":1}']


def test_countdown_and_eta_take_their_place_when_they_fall_due(debugged: Stack) -> None:
    """Order is the order of the appends: the countdown event comes after one published later."""
    seen = debugged.subscribe(debugged.channel())
    said = call(
        debugged,
        """
later = publish.apply_async((C, "e", "later"), countdown=1.5)
publish.apply_async((C, "e", "eta"), eta=datetime.now(timezone.utc) + timedelta(seconds=3))
publish.delay(C, "e", "now")
say(later.get(timeout=20) == later.id)
""",
    )
    seen.wait_for_count(3, 20)
    assert seen.data() == ["now", "later", "eta"]
    assert said == [True]


def test_canvas_message_hides_the_payload_in_its_headers(stack: Stack) -> None:
    """`argsrepr` and `kwargsrepr` are hidden and the content is JSON, for signatures too."""
    call(
        stack,
        f"""
next = publish.si(C, "e", "next")
publish.apply_async((C, "e", {{"secret": {SECRET_TEXT!r}}}), countdown=60, link=next)
publish.s(C, "e", {{"secret": {SECRET_TEXT!r}}}).apply_async(countdown=60, link=next)
""",
    )
    waiting = [json.loads(raw) for raw in stack.redis.lrange(QUEUE, 0, -1)]
    assert len(waiting) == 2
    for message in waiting:
        assert SECRET_TEXT not in json.dumps(message["headers"])
        assert message["content-type"] == "application/json"
        assert SECRET_TEXT in base64.b64decode(message["body"]).decode()


def test_worker_log_at_debug_level_has_no_payload(debugged: Stack, debug_worker: WorkerProcess) -> None:
    """Neither Celery's lines nor ours hold what was published, sent or refused."""
    seen = debugged.subscribe(debugged.channel())
    before = len(debug_worker.log_text())
    call(
        debugged,
        f"""
publish.delay(C, "e", {SECRET_TEXT!r})
publish.apply_async((C, "e", {SECRET_TEXT!r}), countdown=0.1)
from sockudo_publisher.wiring.private_celery import celery_app
from celery import group
group([publish.s(C, "e", {SECRET_TEXT!r})]).apply_async()
celery_app.send_task("sockudo_publisher.publish", (C, "", {SECRET_TEXT!r}), argsrepr="(...)")
""",
    )
    seen.wait_for_count(3, 20)
    seen.wait_until_quiet(1)
    log = debug_worker.log_text()[before:]
    assert "sockudo_publisher.publish" in log
    assert "event name: empty" in log
    assert SECRET_TEXT not in log


def test_expired_event_is_dropped_and_counted(stack: Stack) -> None:
    """An event whose expiry has come before it was ever sent is not sent; by seconds and by datetime."""
    seen = stack.subscribe(stack.channel())
    call(
        stack,
        """
publish.apply_async((C, "e", "too late"), expires=0.2)
publish.apply_async((C, "e", "also"), expires=datetime.now(timezone.utc) + timedelta(seconds=0.3))
publish.apply_async((C, "e", "in time"), expires=300)
""",
    )
    time.sleep(0.5)
    stack.worker()
    assert seen.take(1, 20) == ["in time"]
    assert wait_for(lambda: counted(stack, "expired") == 2, 20)
    seen.wait_until_quiet(0.5)
    assert seen.data() == ["in time"]


def test_own_key_is_stored_once_and_refuses_another_payload(debugged: Stack) -> None:
    """Same key and payload: nothing new; another payload: IdempotencyConflict; also while it is only scheduled."""
    seen = debugged.subscribe(debugged.channel())
    said = call(
        debugged,
        """
def attempt(make):
    try: say(make().id)
    except IdempotencyConflict as error: say("conflict")
attempt(lambda: publish.delay(C, "e", {"n": 1}, key="k-1"))
attempt(lambda: publish.delay(C, "e", {"n": 1}, key="k-1"))
attempt(lambda: publish.delay(C, "e", {"n": 2}, key="k-1"))
attempt(lambda: publish.apply_async((C, "e", "s"), {"key": "k-2"}, countdown=1))
attempt(lambda: publish.apply_async((C, "e", "s"), {"key": "k-2"}, countdown=1))
attempt(lambda: publish.apply_async((C, "e", "t"), {"key": "k-2"}, countdown=1))
""",
    )
    assert said == ["k-1", "k-1", "conflict", "k-2", "k-2", "conflict"]
    seen.wait_for_count(2, 20)
    seen.wait_until_quiet(2)
    assert seen.data() == ['{"n":1}', "s"]


def test_message_that_celery_delivers_twice_is_stored_once(stack: Stack) -> None:
    """Under the task's id in the ledger: a redelivered message appends nothing new."""
    seen = stack.subscribe(stack.channel())
    call(stack, 'from celery import group\ngroup([publish.s(C, "e", "once")]).apply_async()')
    (raw,) = stack.redis.lrange(QUEUE, 0, -1)
    copy = json.loads(raw)
    copy["properties"]["delivery_tag"] = "another-delivery"
    stack.redis.lpush(QUEUE, json.dumps(copy))
    stack.worker()
    seen.wait_for_count(1, 20)
    seen.wait_until_quiet(1.5)
    assert seen.data() == ["once"]
    assert counted(stack, "settled") == 1, "the journal took it once, not only the server"


def test_send_task_from_another_program(debugged: Stack) -> None:
    """A program that has only the broker's URL sends raw arguments; the worker validates them."""
    seen = debugged.subscribe(debugged.channel())
    stranger = Celery("stranger", broker=debugged.environ["SOCKUDO_REDIS_URL"], set_as_current=False)
    raw = {"channel": debugged.channel(), "event": "e", "data": "x"}
    stranger.send_task("sockudo_publisher.publish", (debugged.channel(), "e", {"n": 1}), queue=QUEUE)
    stranger.send_task("sockudo_publisher.publish", kwargs=raw, queue=QUEUE)
    stranger.close()
    seen.wait_for_count(2, 20)
    assert sorted(seen.data()) == ["x", '{"n":1}']


def test_group_and_chord_of_our_own(debugged: Stack) -> None:
    """A group's results are the message ids; a chord's body runs when all are stored."""
    seen = debugged.subscribe(debugged.channel())
    (ids,) = call(
        debugged,
        """
from celery import chord, group
say(group(publish.s(C, "e", {"n": n}) for n in range(5)).apply_async().get(timeout=30))
chord([publish.s(C, "e", {"n": n}) for n in range(5, 8)], publish.s(channel=C, event="done")).apply_async()
""",
    )
    assert len(set(ids)) == 5
    seen.wait_for_count(9, 30)
    done = [event for event in seen.events() if event.event == "done"]
    assert len(json.loads(done[0].data)) == 3


def test_signature_by_keywords_takes_the_parents_result_as_data(debugged: Stack) -> None:
    """`publish.s(channel=, event=)` behind another task: its result is what is published."""
    seen = debugged.subscribe(debugged.channel())
    call(
        debugged,
        """
from celery import chain
chain(publish.s(C, "first", "x"), publish.s(channel=C, event="second")).apply_async()
""",
    )
    seen.wait_for_count(2, 20)
    assert [event.event for event in seen.events()] == ["first", "second"]
    assert len(seen.data()[1]) == 36, "the first event's message id: a task id, as Celery makes them"


@pytest.mark.parametrize("whose", ["celery_app", "theirs"])
def test_eager_publishes_now_in_an_eager_result(stack: Stack, whose: str) -> None:
    """`task_always_eager`, of our app or of the user's, sends in this process; bad input raises at the caller."""
    seen = stack.subscribe(stack.channel())
    said = call(
        stack,
        f"""
from celery import Celery
from sockudo_publisher.wiring.private_celery import celery_app
theirs = Celery("theirs", broker="memory://") if {whose!r} == "theirs" else None
{whose}.conf.task_always_eager = True
result = publish.delay(C, "e", "eager")
say([type(result).__name__, type(result.get()).__name__, result.get() == result.id])
try: publish.delay(C, "", "x")
except ValidationError as error: say(str(error))
""",
        SOCKUDO_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert said[0] == ["EagerResult", "str", True]
    assert said[1].startswith("event name: empty")
    assert seen.take(1) == ["eager"]


@pytest.mark.parametrize("whose", ["celery_app", "theirs"])
def test_eager_errors_propagate_where_the_app_says_so(stack: Stack, whose: str) -> None:
    """`task_eager_propagates` of the app that is eager: raised at the call, else kept in the result; as in Celery."""
    (kept, raised) = call(
        stack,
        f"""
from celery import Celery
from sockudo_publisher.wiring.private_celery import celery_app
theirs = Celery("theirs", broker="memory://") if {whose!r} == "theirs" else None
{whose}.conf.task_always_eager = True
result = publish.delay(C, "e", "no server")
say([result.state, type(result.result).__name__])
{whose}.conf.task_eager_propagates = True
try: publish.delay(C, "e", "no server")
except SockudoConnectionError as error: say(error.sent)
""",
        SOCKUDO_URL="http://k:s@127.0.0.1:1/apps/a",
    )
    assert kept == ["FAILURE", "SockudoConnectionError"]
    assert raised is False


def test_hand_made_map_over_publish_sends_nothing(debugged: Stack) -> None:
    """Celery's `starmap` in a worker calls the body directly: it fails, instead of passing the journal by."""
    seen = debugged.subscribe(debugged.channel())
    (error_text,) = call(
        debugged,
        """
from celery import xstarmap
from sockudo_publisher.wiring.private_celery import celery_app
result = xstarmap(publish.s(), [(C, "e", 1), (C, "e", 2)], app=celery_app).apply_async(queue="sockudo")
try: result.get(timeout=20)
except TypeError as error: say(str(error))
""",
    )
    assert "publish_many" in error_text
    seen.wait_until_quiet(0.5)
    assert seen.data() == []


def test_called_directly_returns_a_receipt_and_needs_no_redis(stack: Stack) -> None:
    """`publish(...)` sends now, to several channels too."""
    channels = stack.channels(2)
    seen = stack.subscribe(*channels)
    ((id_, receipts),) = call(
        stack,
        f"receipt = publish({channels!r}, 'e', b'bytes', key='mine')\n"
        "say([receipt.message_id, dict(receipt.acknowledgement_ids)])",
        SOCKUDO_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert id_ == "mine"
    assert set(receipts) == set(channels)
    assert seen.take(2) == ["bytes", "bytes"]


def test_links_and_chains_of_a_foreign_app_with_another_broker(debugged: Stack, tmp_path: Path) -> None:
    """Doorbells use our broker, chains and links theirs; `link` is given the message id."""
    seen = debugged.subscribe(debugged.channel())
    with RedisServer(tmp_path / "their-broker", appendonly=False) as broker:
        env = {**debugged.python(), "MY_BROKER": broker.url}
        with ForeignWorker("examples.own_celery_app", "celery", env, tmp_path, ROOT):
            said = call(
                debugged,
                """
from celery import chain
from examples.own_celery_app import app, audit
publish.delay(C, "e", "plain")
linked = publish.apply_async((C, "e", "linked"), link=audit.s())
say(linked.get(timeout=30) == linked.id)
say([child.get(timeout=30).startswith("stored ") for child in linked.children])
say(chain(publish.s(C, "e", "first"), audit.s()).apply_async().get(timeout=30).startswith("stored "))
failing = app.send_task("sockudo_publisher.publish", (C, "", "x"), link_error=audit.s())
try: failing.get(timeout=30)
except ValidationError as error: say(str(error))
publish.apply_async((C, "e", "later"), countdown=0.2)
""",
                MY_BROKER=broker.url,
            )
    assert said[:3] == [True, [True], True]
    assert said[3].startswith("event name: empty")
    seen.wait_for_count(4, 30)
    assert sorted(seen.data()) == ["first", "later", "linked", "plain"]

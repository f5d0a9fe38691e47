"""The result of `publish` among results of other tasks, in the process that called and in a task's children."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from tests.integration.celery.theirs import Theirs
from tests.support.cases import in_depth
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import SharedStack, Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def worker(shared: SharedStack, their_broker: RedisServer) -> Iterator[ForeignWorker]:
    """Their broker and results are another Redis than ours: a result looked for in the wrong one never ends."""
    with redis.Redis.from_url(their_broker.url) as client:
        theirs = Theirs(shared.base, their_broker.url, client)
    with theirs.worker(shared.base.directory) as worker:
        worker.wait_until_ready()
        yield worker


@pytest.fixture
def theirs(
    shared: SharedStack, worker: ForeignWorker, their_broker: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Theirs]:
    """With their worker, and without one that delivers."""
    with shared.of_test(monkeypatch) as stack, redis.Redis.from_url(their_broker.url) as client:
        yield Theirs(stack, their_broker.url, client)


@pytest.mark.parametrize("kind", in_depth(["ResultSet", "GroupResult"], quick=["GroupResult"]))
def test_sets_of_results_can_be_got(theirs: Theirs, kind: str) -> None:
    """Ours first, last, alone and twice; by each way to wait; and results that come later are got as well."""
    told = theirs.call(f"""
from celery.result import GroupResult, ResultSet
def made(*results): return ResultSet(list(results)) if {kind!r} == "ResultSet" else GroupResult("g", list(results))
def ours(): return publish.delay(C, "e", 1)
ways = {{
    "get": lambda it: it.get(timeout=20),
    "join": lambda it: it.join(timeout=20),
    "native": lambda it: it.join_native(timeout=20) if it.supports_native_join else it.join(timeout=20),
    "callback": lambda it: (got := {{}}, it.get(timeout=20, callback=got.__setitem__), list(got.values()))[2],
    "iterate": lambda it: [meta["result"] for _, meta in it.iter_native(timeout=20)],
}}
for name, way in ways.items():
    for build in (lambda a, b: [a, b], lambda a, b: [b, a], lambda a, b: [a, a], lambda a, b: [a]):
        first, other = ours(), give.delay(7)
        if name == "iterate" and other not in build(first, other): continue  # Celery's own way for what is not native
        results = made(*build(first, other))
        got = way(results)
        wanted = [result.id if result is first else 7 for result in build(first, other)]
        if name == "iterate": got, wanted = sorted(map(str, got)), sorted(map(str, wanted))
        if name == "callback": got, wanted = sorted(map(str, got)), sorted(set(map(str, wanted)))
        if got != wanted: say([name, got, wanted])
        if not (results.ready() and results.successful() and not results.failed() and not results.waiting()): say(name)
        if results.completed_count() != len(results): say([name, "count"])
        results.forget()
say(give.delay(8).get(timeout=20))
""")
    assert told == [8]


def test_each_operation_of_a_result_works(theirs: Theirs) -> None:
    """What Celery's results can do, ours can; what would undo the storing changes nothing."""
    (told,) = theirs.call("""
import copy, pickle
from celery.result import result_from_tuple
result = publish.delay(C, "e", 1)
other = app.AsyncResult("x")
missing = [name for name in dir(other) if not name.startswith("__") and not hasattr(result, name)]
result.revoke(); result.revoke(terminate=True, wait=True, timeout=1); result.revoke_by_stamped_headers({"a": "b"})
result.forget()
thens, calls = [], []
result.then(lambda one: thens.append(one.id))
result.get(timeout=0, callback=lambda *given: calls.append(given), on_message=print, propagate=False, interval=1)
mine = result.id
say({
    "missing": missing,
    "state": [result.state, result.status, result.ready(), result.successful(), result.failed(), result.exists()],
    "values": {value for value in (result.get(), result.wait(), result.result, result.info, result.get_leaf(),
               result.maybe_throw(), str(result), result.task_id)} == {mine},
    "collect": [value for _, value in result.collect()] == [mine],
    "then": thens == [mine], "callback": calls == [(mine, mine)],
    "tuple": result.as_tuple() == ((mine, None), None), "list": result.as_list() == [mine],
    "of tuple": result_from_tuple(result.as_tuple(), app).id == mine,
    "rest": [result.children, result.parent, result.traceback, result.name, result.args, result.kwargs, result.worker,
             result.date_done, result.retries, result.queue, result.ignored, result.supports_native_join],
    "graph": len(result.graph) == 1 and len(result.build_graph()) == 1,
    "equal": result == app.AsyncResult(mine) and result == mine and hash(result) == hash(mine),
    "copies": [copy.copy(result).get() == mine, copy.deepcopy(result).get() == mine,
               pickle.loads(pickle.dumps(result)).get() == mine],
    "app": [result.app is app, result.backend is app.backend],
})
""")
    assert told == {
        "missing": [],
        "state": ["SUCCESS", "SUCCESS", True, True, False, True],
        "values": True,
        "collect": True,
        "then": True,
        "callback": True,
        "tuple": True,
        "list": True,
        "of tuple": True,
        "rest": [[], None, None, "sockudo_publisher.publish", *([None] * 6), False, False],
        "graph": True,
        "equal": True,
        "copies": [True, True, True],
        "app": [True, True],
    }


def test_children_of_a_task_are_its_own_tasks(theirs: Theirs) -> None:
    """Neither a doorbell nor a countdown is a child of the task that calls: their results are in no backend of its."""
    theirs.stack.worker()
    told = theirs.call("""
result = parent.delay(C)
result.get(timeout=20)
say(len(result.children))
say([value for _, value in result.collect(timeout=20)][1:])
linked = give.apply_async((C,), link=parent.s())
linked.get(timeout=20)
say([value for _, value in linked.collect(timeout=20)][-1])
""")
    assert told == [1, ["child"], "child"]


def test_doorbell_carries_nothing_of_the_task_that_rings(stack: Stack, tmp_path: Path) -> None:
    """No ids, headers, priority or expiry of that task, and the application's signal handlers do not see it."""
    broker_url = re.sub(r"/\d*$", "/3", stack.redis_server.url)
    theirs = Theirs(stack, broker_url, stack.redis)
    with theirs.worker(tmp_path) as worker:
        worker.wait_until_ready()
        (ids,) = theirs.call(
            """
say(parent.apply_async((C,), priority=3, expires=60, headers={"trace": "theirs"}).get(timeout=20))
""",
        )
    messages = [json.loads(raw) for raw in stack.redis.lrange("sockudo", 0, -1)]
    doorbells = [one for one in messages if one["headers"]["task"] == "sockudo_publisher.drain"]
    assert len(doorbells) == 1, "the second call finds the lane armed"
    (one,) = doorbells
    assert ids not in str(one)
    assert "trace" not in one["headers"]
    assert one["headers"]["parent_id"] is None
    assert one["headers"]["root_id"] == one["headers"]["id"]
    assert one["headers"]["expires"] is None
    assert "expiration" not in one["properties"]
    assert one["properties"]["priority"] == 0

"""Doorbells that reach no worker: the sweep drains by itself, and health checks and the doctor tell of it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sockudo_publisher import publish
from sockudo_publisher.config.settings import DEFAULT_APP, QUEUE, Settings
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.embedded.worker import WorkerProcess
from sockudo_publisher.doctor.checks.doorbells import judge_doorbells
from sockudo_publisher.doctor.facts.journal import collect_journal_facts
from sockudo_publisher.doctor.finding import State
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.wiring.celery_isolation import PrivateApp
from tests.support.caller import call
from tests.support.cases import in_depth
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[3]


def control(stack: Stack, command: str, **arguments: object) -> list[dict[str, dict[str, str]]]:
    """Celery's remote control, as an operator has it."""
    with PrivateApp("control", broker=stack.redis_server.url) as app:
        # A worker that is ready may not listen to remote control yet.
        assert wait_for(lambda: app.control.ping(timeout=2, limit=1), 20)
        is_answered = command != "shutdown"
        return app.control.broadcast(command, arguments=arguments, reply=is_answered, timeout=10, limit=1) or []


def reads_queue(stack: Stack) -> bool:
    """Whether the one worker says that it reads our queue."""
    [answer] = control(stack, "active_queues")
    [queues] = answer.values()
    return QUEUE in [queue["name"] for queue in queues]  # type: ignore[index]


def health(stack: Stack, worker: WorkerProcess) -> tuple[int, str]:
    """The image's health check: its exit code and what it says."""
    env = {**stack.python(), "CELERY_NODENAME": f"{worker.node}@{socket.gethostname()}", "PYTHONPATH": str(ROOT)}
    done = run_python(["worker/healthcheck.py"], env=env, cwd=ROOT, timeout=60)
    return done.returncode, done.stdout + done.stderr


def doorbells(stack: Stack) -> State:
    """What the doctor finds."""
    settings = Settings(redis_url=stack.redis_server.url)
    return judge_doorbells(collect_journal_facts(settings, DEFAULT_APP).unheard)[0].state


@pytest.mark.parametrize("pool", in_depth(["threads", "prefork", "gevent"], quick=["prefork"]))
def test_cancelled_consumer_delivers_and_is_unhealthy(stack: Stack, pool: str) -> None:
    """The sweep drains what no doorbell reaches; the health check and the doctor tell; add_consumer mends it."""
    channels = stack.channels(16)
    with stack.subscribe(*channels) as seen:
        worker = stack.worker(pool, 4)
        assert reads_queue(stack)
        assert health(stack, worker)[0] == 0
        assert doorbells(stack) is State.FINE
        control(stack, "cancel_consumer", queue=QUEUE)
        assert wait_for(lambda: not reads_queue(stack), 20)
        for channel in channels:
            publish.delay(channel, "n", {"n": 0})
        seen.wait_for_count(16, 30)
        assert "reason=no worker answers its doorbells" in worker.log_text()
        assert doorbells(stack) is State.RISK
        code, error_text = health(stack, worker)
        assert (code, error_text.strip().endswith(f"does not read the queue {QUEUE}")) == (1, True), error_text
        control(stack, "add_consumer", queue=QUEUE)
        assert wait_for(lambda: reads_queue(stack), 20)
        assert health(stack, worker)[0] == 0
        call(stack, f"publish.apply_async(({channels[0]!r}, 'n', {{'n': 1}}), countdown=0.1, group_id='g')")
        seen.wait_for_count(17, 30)
        assert worker.stop() == 0


def test_callers_of_another_broker_are_served(stack: Stack, tmp_path: Path) -> None:
    """A caller whose SOCKUDO_BROKER_URL is not the workers' rings in vain; the workers' sweep rings for it."""
    channel = stack.channel()
    with RedisServer(tmp_path / "elsewhere") as other, stack.subscribe(channel) as seen:
        stack.worker()
        call(stack, "publish.delay(C, 'n', {'n': 0})", SOCKUDO_BROKER_URL=other.url)
        seen.wait_for_count(1, 30)


def test_held_channel_of_an_unheard_lane_is_drained(stack: Stack) -> None:
    """A held channel is rung by the sweep alone: it must not wait for a doorbell that no worker receives."""
    channel = stack.channel()
    with stack.subscribe(channel) as seen:
        publish.delay(channel, "n", {"n": 0})
        journal, lane = app_named(None).journal, lane_of(channel, 8)
        holder = journal.acquire(lane)
        assert holder is not None
        batch = journal.take(holder, max_items=1, max_bytes=1000).batch
        assert batch is not None
        journal.hold(holder, batch, retry_in_s=0)
        journal.hand_over(holder)
        worker = stack.worker(args=["--queues", QUEUE])
        control(stack, "cancel_consumer", queue=QUEUE)
        assert wait_for(lambda: not reads_queue(stack), 20)
        journal.link.call("ZADD", holder.keys.holds, 0, channel)
        seen.wait_for_count(1, 40)
        assert worker.is_running


#: Remote control commands that would cut, slow or stop something; with what each is given.
COMMANDS: dict[str, dict[str, object]] = {
    "time_limit": {"task_name": "sockudo_publisher.drain", "hard": 1, "soft": 1},
    "rate_limit": {"task_name": "sockudo_publisher.drain", "rate_limit": "1/h"},
    "pool_restart": {},
    "pool_shrink": {"n": 100},
    "pool_grow": {"n": 2},
    "autoscale": {"max": 1, "min": 0},
}


@pytest.mark.parametrize("pool", in_depth(["threads", "prefork", "gevent"], quick=["prefork"]))
def test_remote_control_stops_and_loses_nothing(stack: Stack, pool: str) -> None:
    """Each command is answered with an error that says why; then events and countdowns arrive, and shutdown is warm."""
    channels = stack.channels(16)
    with stack.subscribe(*channels) as seen:
        worker = stack.worker(pool, 4)
        for command, arguments in COMMANDS.items():
            [answer] = control(stack, command, **arguments)
            [said] = answer.values()
            assert set(said) == {"error"}, command
        for channel in channels:
            publish.delay(channel, "n", {"n": 0})
        call(stack, f"publish.apply_async(({channels[0]!r}, 'n', {{'n': 1}}), countdown=0.1, group_id='g')")
        seen.wait_for_count(17, 30)
        control(stack, "shutdown")
        assert wait_for(lambda: not worker.is_running, 30)
        assert stack.redis.keys("sockudo:*:lease") == [], "lanes are given back at once"


def subscribers(stack: Stack) -> list[str]:
    """The connections that hear commands or events, the oldest first."""
    listed = [one for one in stack.redis.client_list() if int(one["sub"]) + int(one["psub"]) > 0]
    return [one["id"] for one in sorted(listed, key=lambda one: int(one["id"]))]


@pytest.mark.parametrize("pool", in_depth(["threads", "gevent"], quick=["threads"]))
def test_remote_control_survives_a_cut_connection(stack: Stack, pool: str) -> None:
    """Each connection that hears commands or events is cut alone; in a green pool the commands' has a greenlet."""
    worker = stack.worker(pool, 4)
    assert reads_queue(stack)
    for index in range(len(subscribers(stack))):
        assert wait_for(lambda index=index: len(subscribers(stack)) > index, 20)  # type: ignore[misc]
        stack.redis.client_kill_filter(_id=subscribers(stack)[index])
        assert reads_queue(stack)
    assert worker.is_running
    assert worker.stop() == 0


@pytest.mark.long
def test_health_is_asked_of_our_worker_among_namesakes(stack: Stack, tmp_path: Path) -> None:
    """A worker of another app with the same name and broker answers for itself, and not for ours."""
    env = {**stack.python(), "MY_BROKER": stack.redis_server.url, "PYTHONPATH": str(ROOT)}
    worker = stack.worker()
    theirs = ForeignWorker("their_app", "celery", env, tmp_path, ROOT / "tests" / "integration" / "celery")
    theirs._name = worker.node
    with theirs:
        assert reads_queue_somewhere(stack, nodes=2)
        assert [health(stack, worker)[0] for _ in range(4)] == [0] * 4
        assert worker.stop() == 0
        code, error_text = health(stack, worker)
        assert (code, error_text.strip().endswith(f"does not read the queue {QUEUE}")) == (1, True), error_text


def reads_queue_somewhere(stack: Stack, *, nodes: int) -> bool:
    """True once that number of nodes answers."""
    with PrivateApp("control", broker=stack.redis_server.url) as app:
        return wait_for(lambda: len(app.control.ping(timeout=2, limit=nodes) or ()) == nodes, 30)

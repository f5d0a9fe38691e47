"""Deployments that share a Redis or a broker: a namespace keeps each to itself; without one they do not mix either."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.app.workers import TTL_MS
from sockudo_publisher.journal.keys import Keyspace
from tests.integration.celery.deployments import APPS, Deployment
from tests.support.caller import ROOT
from tests.support.celery_worker import ForeignWorker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

#: Events of each deployment.
COUNT = 40
#: Exit code of wrong settings.
USAGE = 2
#: Seconds for everything to arrive on a busy machine.
ARRIVE_S = 40.0

THEIR_APP = "tests.integration.celery.their_app"

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServerProcess]:
    """One server with two apps."""
    with DevServerProcess(tmp_path_factory.mktemp("devserver"), APPS) as server:
        yield server


@pytest.fixture
def deploy(server: DevServerProcess, redis_url: str, tmp_path: Path) -> Iterator[Deploy]:
    """`deploy(index, **environ)`: the deployment of the first or second app."""
    with ExitStack() as ends:
        yield lambda index, **more: Deployment(server, APPS[index], redis_url, tmp_path, ends, **more)


@pytest.fixture
def channel() -> str:
    return f"c-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def workers_key(namespace: str = "") -> str:
    return Keyspace(namespace).app("default").workers


def test_namespaces_keep_deployments_apart(deploy: Deploy, channel: str, client: redis.Redis) -> None:
    """One Redis, one name of the app: each event reaches its own app once, countdowns too."""
    both = (deploy(0, SOCKUDO_NAMESPACE="blue"), deploy(1, SOCKUDO_NAMESPACE="green"))
    seen = [one.subscribe(channel) for one in both]
    for one in both:
        one.worker()
    for one in both:
        one.publish(channel, COUNT)
        one.publish(channel, 2, "publish.apply_async((C, 'later', n), countdown=0.5)")
    for one in seen:
        one.wait_for_count(COUNT + 2, ARRIVE_S)
    for one in seen:
        one.wait_until_quiet()
        data = one.data(channel)
        assert data[:COUNT] == [str(n) for n in range(COUNT)]
        assert sorted(data[COUNT:]) == ["0", "1"], "two countdowns that end together have no order"


def test_registered_app_needs_no_queue_of_ours(deploy: Deploy, channel: str, redis_url: str, tmp_path: Path) -> None:
    """Its canvases go through its own queue into the journal with the namespace; our worker alone reads our queue."""
    one = deploy(0, SOCKUDO_NAMESPACE="blue")
    environ = {**os.environ, **one.environ, "MY_BROKER": re.sub(r"/\d*$", "", redis_url) + "/3"}
    one.environ["MY_BROKER"] = environ["MY_BROKER"]
    seen = one.subscribe(channel)
    one.worker()
    with ForeignWorker(THEIR_APP, "celery", environ, tmp_path, ROOT) as worker:
        worker.wait_until_ready()
        script = f"""
from celery import chain
from {THEIR_APP} import audit, give
from sockudo_publisher import publish
chain(give.si("x"), publish.si({channel!r}, "e", "in-a-chain"), audit.s()).apply_async().get(timeout=30)
"""
        done = one.run("-c", script)
        assert done.returncode == 0, done.stderr
        seen.wait_for_count(1, ARRIVE_S)
    nodes = one.run("-m", "celery", "-A", "sockudo_publisher.workerapp", "inspect", "active_queues", "--json")
    queues = [queue["name"] for found in json.loads(nodes.stdout).values() for queue in found]
    assert queues == ["sockudo.blue"]
    found = {finding["name"]: finding for finding in json.loads(one.command("doctor", "--json").stdout)["findings"]}
    assert found["workers"]["state"] == "fine"


@pytest.mark.parametrize(
    ("callers", "workers"),
    [
        pytest.param("blue", "", id="worker without"),
        pytest.param("", "blue", id="worker with", marks=pytest.mark.long),
    ],
)
def test_event_waits_for_a_worker_of_its_namespace(
    deploy: Deploy, channel: str, client: redis.Redis, redis_url: str, tmp_path: Path, callers: str, workers: str
) -> None:
    """A worker of another namespace stores nothing, warns once and runs other tasks; the right one stores the event."""
    one = deploy(0, SOCKUDO_NAMESPACE=callers)
    routes = {"task_routes": {"sockudo_publisher.publish": {"queue": "special"}}}
    one.environ |= {"MY_BROKER": re.sub(r"/\d*$", "", redis_url) + "/3", "MY_SETTINGS": json.dumps(routes)}
    environ = {**os.environ, **one.environ}
    script = f"""
import json
from {THEIR_APP} import audit, give
from sockudo_publisher import publish
for n in range(3): publish.apply_async(({channel!r}, "e", n), link=audit.s())
print(json.dumps(give.delay("other work").get(timeout=30)))
"""
    with one.subscribe(channel) as seen:
        one.worker()
        wrong = {**environ, "SOCKUDO_NAMESPACE": workers}
        with ForeignWorker(THEIR_APP, "celery,special", wrong, tmp_path, ROOT) as worker:
            worker.wait_until_ready()
            done = one.run("-c", script)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == "other work"
            assert wait_for(lambda: worker.log_text().count("retry: Retry in") >= 6, ARRIVE_S)
            log = worker.log_text()
            assert log.count("event of another namespace not stored") == 1
            assert f"namespace={callers!r} worker_namespace={workers!r}" in log
            assert "SOCKUDO_NAMESPACE" in log
        prefix = f"{workers}:sockudo:" if workers else "sockudo:{"
        assert not [key for key in client.scan_iter() if key.startswith(prefix.encode())]
        assert seen.count == 0
        with ForeignWorker(THEIR_APP, "celery,special", environ, tmp_path, ROOT):
            seen.wait_for_count(3, ARRIVE_S)
        seen.wait_until_quiet()
        assert sorted(seen.data(channel)) == ["0", "1", "2"]


def test_every_key_has_the_namespace(deploy: Deploy, channel: str, client: redis.Redis) -> None:
    """Of callers, workers and commands; what is left is Celery's own."""
    one = deploy(0, SOCKUDO_NAMESPACE="blue", SOCKUDO_ON_EXPIRED="dead", SOCKUDO_MAX_RATE="1000")
    one.publish(channel, 3, "publish.delay(C, 'e', n, key=f'key-{n}')")
    one.publish(channel, 1, "publish.apply_async((C, 'e', n), expires=0.001)")
    assert {key for key in client.scan_iter() if not key.startswith((b"blue:sockudo:", b"_kombu."))} <= {
        b"sockudo.blue"
    }
    with one.subscribe(channel) as seen:
        one.worker()
        seen.wait_for_count(3, ARRIVE_S)
        assert wait_for(lambda: client.exists(workers_key("blue")) == 1, ARRIVE_S)
        for arguments in (["status", "--json"], ["dead", "list"], ["dead", "replay", "--all"], ["resume"]):
            assert "Traceback" not in one.command(*arguments).stderr
        told = json.loads(one.command("status", "--json").stdout)
        assert told["apps"][0]["counters"]["expired"] == 1
    celerys = re.compile(rb"_kombu\.|sockudo\.blue$|unacked|celery|[\w-]+\.reply\.celery|\w+@\S+\.celery\.pidbox$")
    others = {key for key in client.scan_iter() if not key.startswith(b"blue:sockudo:") and not celerys.match(key)}
    assert others == set()


def test_second_app_id_of_one_name_is_refused(deploy: Deploy, channel: str) -> None:
    """One line and exit code 2, by either command; the events stay where their workers are."""
    blue, green = deploy(0), deploy(1)
    seen, not_seen = blue.subscribe(channel), green.subscribe(channel)
    blue.worker()
    refused = green.worker(wait=False)
    assert refused.wait(ARRIVE_S) == USAGE
    (line,) = [line for line in refused.log_text().splitlines() if line.startswith("Error: ")]
    assert re.search(r"SOCKUDO_URL: app id 'green'.*w\w+@\S+ delivers app 'default'.*app id 'blue'", line)
    assert "SOCKUDO_NAMESPACE" in line
    assert "secret" not in refused.log_text()
    assert "Traceback" not in refused.log_text()
    done = green.run("-m", "sockudo_publisher.cli", "worker")
    assert done.returncode == USAGE, "`sockudo-publisher worker` refuses with the same line and exit code"
    assert "SOCKUDO_NAMESPACE" in done.stderr
    assert "Traceback" not in done.stderr
    blue.publish(channel, COUNT)
    seen.wait_for_count(COUNT, ARRIVE_S)
    assert not_seen.count == 0


def test_further_apps_are_compared_too(deploy: Deploy) -> None:
    """A name of SOCKUDO_APPS is no safer; another name is no conflict."""
    first, second = deploy(0), deploy(1)
    url = second.environ.pop("SOCKUDO_URL")
    second.environ["SOCKUDO_APPS"] = json.dumps({"shop": url})
    first.environ["SOCKUDO_APPS"] = json.dumps({"press": first.environ["SOCKUDO_URL"]})
    first.worker()
    second.worker()
    third = deploy(0)
    third.environ["SOCKUDO_APPS"] = json.dumps({"shop": third.environ["SOCKUDO_URL"]})
    refused = third.worker(wait=False)
    assert refused.wait(ARRIVE_S) == USAGE
    assert "SOCKUDO_APPS['shop']: app id 'blue'" in refused.log_text()


def test_ended_worker_frees_its_name_at_once(deploy: Deploy, client: redis.Redis) -> None:
    """A change of the app id needs a stop and a start, and no wait between them."""
    old = deploy(0).worker()
    assert client.exists(workers_key())
    old.stop()
    assert not client.exists(workers_key())
    deploy(1).worker()


@pytest.mark.long
def test_killed_worker_frees_its_name_soon(deploy: Deploy, client: redis.Redis) -> None:
    """Its record runs out; until then a successor with another app id is refused."""
    deploy(0).worker().kill()
    assert deploy(1).worker(wait=False).wait(ARRIVE_S) == USAGE
    assert wait_for(lambda: not client.exists(workers_key()), TTL_MS / 1000 + 5)
    deploy(1).worker()


def test_another_host_is_warned_of(deploy: Deploy, channel: str) -> None:
    """A rolling change of the host goes on, with the same app id."""
    one = deploy(0)
    seen = one.subscribe(channel)
    old = one.worker()
    new = one.worker(env={"SOCKUDO_URL": one.environ["SOCKUDO_URL"].replace("127.0.0.1", "localhost")})
    assert wait_for(lambda: "workers deliver one app to two hosts app=default" in new.log_text(), ARRIVE_S)
    old.stop()
    one.publish(channel, COUNT)
    seen.wait_for_count(COUNT, ARRIVE_S)


def test_later_worker_ends_when_both_were_alone(deploy: Deploy, client: redis.Redis) -> None:
    """Redis was away at a start, or has lost the records: the one that came second goes, with exit code 2."""
    worker = deploy(1).worker()
    seconds, _ = client.time()
    record = json.dumps({"node": "first@elsewhere", "app_id": "blue", "host": "elsewhere:1"})
    client.delete(workers_key())
    assert wait_for(lambda: bool(client.hset(workers_key(), "first", f"1 {seconds * 1000 + 5000} {record}")), 5)
    assert worker.wait(ARRIVE_S) == USAGE
    assert "first@elsewhere delivers app 'default'" in worker.log_text()


DAMAGED = ["", "x", "1 2", "1 9999999999999 {", "1 9999999999999 []", '1 9999999999999 "a"']


def test_damaged_record_stops_no_worker(deploy: Deploy, client: redis.Redis) -> None:
    """Records are advisory: one that cannot be read is no rival."""
    one = deploy(0)
    for damage in DAMAGED:
        client.hset(workers_key(), f"damaged {damage}", damage)
        done = one.command("status", "--json")
        assert (done.returncode, json.loads(done.stdout)["apps"][0]["workers"]) == (0, []), (damage, done.stderr)
    one.worker()


@pytest.mark.long
def test_status_and_doctor_name_the_other_deployment(deploy: Deploy) -> None:
    """Also where only a caller's URL is another: no worker meets it."""
    blue, green = deploy(0), deploy(1)
    blue.worker()
    mixed = green.command("status", "--json")
    assert mixed.returncode == 1
    told = json.loads(mixed.stdout)["apps"][0]
    assert "app id 'blue'" in told["rival"]
    assert [one["target"]["app_id"] for one in told["workers"]] == ["blue"]
    assert "another deployment" in green.command("status").stdout
    found = {one["name"]: one for one in json.loads(green.command("doctor", "--json").stdout)["findings"]}
    assert found["deployment"]["state"] == "broken"
    assert "'blue'" in found["deployment"]["why"]
    assert "SOCKUDO_NAMESPACE" in found["deployment"]["change"]
    own = {one["name"]: one for one in json.loads(blue.command("doctor", "--json").stdout)["findings"]}
    assert own["deployment"]["state"] == "fine"
    assert blue.command("status").returncode == 0


def test_one_broker_two_databases(deploy: Deploy, channel: str, redis_server: RedisServer) -> None:
    """Journals apart, one broker: namespaces keep doorbells and countdowns apart; the doctor sees it without them."""
    broker = redis_server.url
    other = re.sub(r"/\d*$", "", broker) + "/1"
    both = (
        deploy(0, SOCKUDO_NAMESPACE="blue", SOCKUDO_BROKER_URL=broker),
        deploy(1, SOCKUDO_NAMESPACE="green", SOCKUDO_BROKER_URL=broker, SOCKUDO_REDIS_URL=other),
    )
    seen = [one.subscribe(channel) for one in both]
    for one in both:
        one.worker()
    for one in both:
        one.publish(channel, 10, "publish.apply_async((C, 'later', n), countdown=0.2, group_id='g')")
        one.publish(channel, COUNT)
    for one in seen:
        one.wait_for_count(COUNT + 10, ARRIVE_S)
    for one in seen:
        one.wait_until_quiet()
        assert one.count == COUNT + 10
    mixed = deploy(1, SOCKUDO_BROKER_URL=broker, SOCKUDO_REDIS_URL=other)
    deploy(0, SOCKUDO_BROKER_URL=broker).worker()
    found = {one["name"]: one for one in json.loads(mixed.command("doctor", "--json").stdout)["findings"]}
    assert found["deployment"]["state"] == "broken", "that worker would take its countdowns"


def test_drain_of_another_journal_does_no_harm(deploy: Deploy, channel: str, redis_server: RedisServer) -> None:
    """Without namespaces a worker may take the other's doorbell: its own lane is empty, and the sweep rings again."""
    broker = redis_server.url
    other = re.sub(r"/\d*$", "", broker) + "/1"
    blue, green = deploy(0, SOCKUDO_BROKER_URL=broker), deploy(1, SOCKUDO_BROKER_URL=broker, SOCKUDO_REDIS_URL=other)
    seen, not_seen = blue.subscribe(channel), green.subscribe(channel)
    for one in (blue, green):
        one.worker()
    started = time.monotonic()
    for _ in range(5):
        blue.publish(channel, 8)
    seen.wait_for_count(40, ARRIVE_S)
    assert time.monotonic() - started < ARRIVE_S
    seen.wait_until_quiet()
    assert (seen.data(channel), not_seen.count) == ([str(n) for n in range(8)] * 5, 0)

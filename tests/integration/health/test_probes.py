"""The probes of a real worker: its HTTP port, and `sockudo-publisher health`."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError

from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.embedded.worker import WorkerProcess
from sockudo_publisher.wiring.celery_isolation import PrivateApp
from tests.support.cases import in_depth
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def probe(port: int, path: str) -> tuple[int, str]:
    """The status and the text of one probe; 0: no server there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return 0, ""


def health(stack: Stack, worker: WorkerProcess, *args: str) -> tuple[int, str]:
    """`sockudo-publisher health`: its exit code and what it writes."""
    command = ["-m", "sockudo_publisher.cli", "health", "--worker", f"{worker.node}@{socket.gethostname()}", *args]
    done = run_python(command, env=stack.python(), timeout=60)
    return done.returncode, done.stdout + done.stderr


def control(stack: Stack, command: str, **arguments: object) -> None:
    with PrivateApp("control", broker=stack.redis_server.url) as app:

        def is_answered() -> bool:
            try:
                return bool(app.control.ping(timeout=2, limit=1))
            except (OperationalError, redis.ConnectionError):  # a connection that an earlier test's server has closed
                return False

        assert wait_for(is_answered, 20)
        assert app.control.broadcast(command, arguments=arguments, reply=True, timeout=10, limit=1)


@pytest.mark.parametrize("pool", in_depth(["threads", "prefork", "gevent", "solo"], quick=["prefork"]))
def test_cancelled_consumer_is_seen_by_both_probes(stack: Stack, pool: str) -> None:
    """Ready and healthy; then neither; and again when the consumer is back. The worker is alive all the time."""
    port = free_port()
    worker = stack.worker(pool, 2, env={"SOCKUDO_METRICS_PORT": str(port)})
    assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 20), probe(port, "/readyz")
    assert probe(port, "/readyz")[1] == "ok settings\nok redis\nok consumer\nok worker\n"
    assert probe(port, "/healthz") == (200, "ok sweep\n")
    assert wait_for(lambda: health(stack, worker)[0] == 0, 20), health(stack, worker)

    control(stack, "cancel_consumer", queue=QUEUE)
    assert wait_for(lambda: probe(port, "/readyz")[0] == 503, 20)
    assert f"failed consumer: does not read the queue {QUEUE}" in probe(port, "/readyz")[1]
    assert wait_for(lambda: health(stack, worker)[0] == 1, 20)
    assert f"does not read the queue {QUEUE}" in health(stack, worker)[1]
    assert probe(port, "/healthz")[0] == 200

    control(stack, "add_consumer", queue=QUEUE)
    assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 20)
    assert wait_for(lambda: health(stack, worker)[0] == 0, 20)
    assert worker.stop() == 0
    assert probe(port, "/healthz")[0] == 0


def test_port_of_a_killed_prefork_worker_is_free(stack: Stack) -> None:
    """Children that outlive their parent for a moment keep no port: the next worker starts."""
    port = free_port()
    env = {"SOCKUDO_METRICS_PORT": str(port)}
    first = stack.worker("prefork", 2, env=env)
    assert wait_for(lambda: probe(port, "/healthz")[0] == 200, 20)
    first.kill()
    stack.worker("prefork", 2, env=env)
    assert wait_for(lambda: probe(port, "/healthz")[0] == 200, 20)


def test_worker_with_a_taken_port_does_not_start(stack: Stack) -> None:
    """One line that names the variable, and exit code 2; it says nothing of this kind without a port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**stack.python(), "SOCKUDO_METRICS_PORT": str(port), "PYTHONPATH": str(Path(__file__).parents[3])}
        command = ["-m", "celery", "-A", "worker", "worker", "--concurrency=2"]
        done = run_python(command, env=env, cwd=Path(__file__).parents[3], timeout=60)
    assert done.returncode == 2, done.stderr
    assert f"SOCKUDO_METRICS_PORT: cannot listen on port {port} of 127.0.0.1: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_redis_away_is_unready_and_alive(stack: Stack, tmp_path: Path) -> None:
    """A frozen Redis: `/readyz` answers within its second, and a restart would not help."""
    port = free_port()
    with RedisServer(tmp_path / "own") as own:
        env = {"SOCKUDO_METRICS_PORT": str(port), "SOCKUDO_REDIS_URL": own.url}
        worker = stack.worker(env=env)
        stack.environ["SOCKUDO_REDIS_URL"] = own.url
        assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 20)
        own.pause()
        status, text = probe(port, "/readyz")
        assert (status, "failed redis: Redis" in text) == (503, True)
        assert probe(port, "/healthz")[0] == 200
        code, text = health(stack, worker)
        assert (code, "failed redis" in text) == (1, True), text
        own.resume()
        assert wait_for(lambda: probe(port, "/readyz")[0] == 200, 30)
        worker.kill()


def test_health_names_what_is_missing(stack: Stack) -> None:
    """No such worker, bad settings, and the JSON of both; secrets are in neither."""
    command = ["-m", "sockudo_publisher.cli", "health", "--worker", "none@host", "--json"]
    done = run_python(command, env=stack.python(), timeout=60)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["worker"]) == (1, False, "none@host")
    assert [one["name"] for one in told["checks"]] == ["settings", "redis", "worker app=default"]
    assert told["checks"][-1]["problem"] == "no announcement of none@host within 15 s"
    for variable, value in (("SOCKUDO_URL", "http://a:s3cr3t-text@h/x"), ("SOCKUDO_LANES", "s3cr3t-text")):
        done = run_python(command, env={**stack.python(), variable: value}, timeout=60)
        told = json.loads(done.stdout)
        assert (done.returncode, [one["name"] for one in told["checks"]]) == (1, ["settings"])
        assert told["checks"][0]["problem"].startswith(variable)
        assert "s3cr3t-text" not in done.stdout + done.stderr

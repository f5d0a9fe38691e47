"""The whole bench as a process: on parts of its own, at a deployment, and when something is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.dev.bench.figures import DIRECT
from sockudo_publisher.dev.bench.load import PREFIX
from sockudo_publisher.dev.bench.plan import Plan
from sockudo_publisher.dev.embedded import SockudoServer, find_redis_server
from tests.support.cases import in_depth
from tests.support.parts import not_for_this_case
from tests.support.warm import WarmWorker, start_python

pytestmark = pytest.mark.integration

#: Seconds for a run with few events, on a busy machine.
RUN_S = 120.0
#: A bench that does not wait long for its first event.
IMPATIENT = """
from sockudo_publisher.cli import main
from sockudo_publisher.dev.bench import measure
measure.FIRST_S = 3.0
main()
"""
#: Few events; the light load takes most of the time.
FEW = ("--events", "300", "--channels", "5")
#: Settings that lead nowhere.
NOWHERE = {
    "SOCKUDO_URL": "http://key:of-mine@127.0.0.1:1/apps/app",
    "SOCKUDO_REDIS_URL": "redis://:of-mine@127.0.0.1:1/0",
    "SOCKUDO_BROKER_URL": "amqp://127.0.0.1:1//",
}


@pytest.fixture(autouse=True)
def _has_redis() -> None:
    find_redis_server()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start it with these settings; whatever still runs at the test's end is killed."""
    running = []

    def start(
        *args: str, program: Sequence[str] = ("-m", "sockudo_publisher.cli"), **environ: str
    ) -> subprocess.Popen[bytes]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SOCKUDO_")}
        process: subprocess.Popen[bytes] = start_python(
            [*program, "bench", *args],
            env={**ours, "TMPDIR": str(tmp_path), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()  # what it has started ends with it
        process.communicate()


def read_end(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any], str]:
    """Its exit code, the one object that it wrote, and what it said on stderr."""
    stdout, stderr = process.communicate(timeout=RUN_S)
    assert b"Traceback" not in stderr, stderr.decode()
    assert b"of-mine" not in stdout + stderr
    return process.returncode, json.loads(stdout), stderr.decode()


def check_figures(result: dict[str, Any], plan: Plan) -> None:
    assert result["arrived"] == {
        "published": plan.total,
        "seen": plan.total,
        "lost": 0,
        "repeated": 0,
        "out_of_order": 0,
        "altered": False,
    }
    for times in (result["call_us"], result["latency_ms"]):
        assert set(times) == {"delay", "trigger"}
        assert all(0 < side["p50"] <= side["p95"] for side in times.values())
    assert set(result["events_per_s"]) == {"publish_many", "drained", *DIRECT}
    assert all(0 < rate["least"] <= rate["median"] <= rate["most"] for rate in result["events_per_s"].values())
    assert all(value > 0 for value in result["ratios"].values())


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("server", in_depth(["Sockudo", "embedded Sockudo"], quick=["Sockudo"]))
def test_from_nothing_it_measures_and_ends_what_it_started(bench, tmp_path, request, server):
    """Whatever the caller's settings name is left alone: they lead nowhere."""
    environ = dict(NOWHERE)
    if server != "embedded Sockudo":
        environ["SOCKUDO_BIN"] = str(request.getfixturevalue("sockudo").program)
    else:
        environ["PATH"] = os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "sockudo").exists()
        )
    code, result, _ = read_end(bench(*FEW, "--bytes", "500", "--json", **environ))
    if server == "embedded Sockudo" and not result["server"].startswith(server):
        not_for_this_case("a real Sockudo lies beside the checkout")
    assert code == 0
    assert result["ok"] is True
    assert result["here"] is False
    assert result["server"].startswith(server)
    assert result["load"] == {"events": 300, "channels": 5, "bytes": 500, "rounds": 3}
    check_figures(result, Plan(events=300, channels=5, bytes=500))
    assert list(tmp_path.glob("sockudo-*")) == []
    wait_until_gone(list(result["processes"].values()))


def test_people_get_tables_and_a_verdict(bench):
    """The parts, both tables, and that everything came."""
    stdout, stderr = bench(*FEW).communicate(timeout=RUN_S)
    text = stdout.decode()
    assert stderr == b""
    for part in (
        "Valkey" if "valkey" in find_redis_server().name else "Redis",
        "Sockudo",
        "Celery worker",
        "publish.delay, a call",
        "drained by one worker",
        "trigger_batch",
    ):
        assert part in text, part
    assert f"Each of the {Plan(events=300).total:,} events arrived exactly once, in order." in text


def test_ctrl_c_ends_everything_with_1(bench, tmp_path):
    """In the middle, with a worker that may be frozen."""
    process = bench("--events", "60000", **NOWHERE)
    line = b""
    while b"Celery worker" not in line:
        line = process.stdout.readline()
        assert line
    pids = [int(line.rpartition(b"process ")[2])]
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=RUN_S)
    assert process.returncode == 1, stderr.decode()
    assert list(tmp_path.glob("sockudo-*")) == []
    wait_until_gone(pids)


class TestHere:
    """At a deployment: the Redis, server and worker of a user."""

    def test_it_says_what_it_does_and_touches_its_own_channels_alone(self, bench, stack, subscriber):
        """Before it begins; the announcement is on stderr where stdout is for programs."""
        stack.worker()
        others = stack.subscribe(stack.channel())
        code, result, stderr = read_end(bench("--here", *FEW, "--json", **stack.environ))
        assert code == 0
        assert (result["ok"], result["here"], result["app"]) == (True, True, "default")
        plan = Plan(events=300, channels=5)
        assert f"Publishes {plan.total:,} events of 230 bytes" in stderr
        assert "on 5 channels of its own" in stderr
        assert PREFIX in stderr
        assert stack.server.apps[0].secret not in stderr.replace(PREFIX, "")
        check_figures(result, plan)
        assert others.data() == []
        assert "processes" not in result

    def test_another_app_and_another_way_for_websockets(self, bench, stack):
        """As behind a proxy that passes no upgrades: docker-compose.yml has one."""
        apps = {"SOCKUDO_APPS": json.dumps({"second": stack.server.url})}
        environ = {**stack.environ, **apps, "SOCKUDO_URL": NOWHERE["SOCKUDO_URL"]}
        stack.worker(env={**environ, "SOCKUDO_URL": stack.server.url})
        ws = f"ws://127.0.0.1:{stack.server.port}"
        code, result, _ = read_end(bench("--here", "--app", "second", "--ws", ws, *FEW, "--json", **environ))
        assert (code, result["ok"], result["app"]) == (0, True, "second")

    def test_without_a_worker_an_event_is_missing(self, bench, stack):
        """Exit code 1, after the first event: no more than that one waits in the queue."""
        bench_process = bench("--here", *FEW, "--json", program=("-c", IMPATIENT), **stack.environ)
        code, result, _ = read_end(bench_process)
        assert code == result["exit_code"] == 1
        assert result["error"]["type"] == "EventsMissing"
        assert (result["error"]["published"], result["error"]["lost"]) == (1, 1)
        assert "does a worker run" in result["error"]["message"]

    @pytest.mark.parametrize("away", ["SOCKUDO_URL", "SOCKUDO_REDIS_URL"])
    def test_a_part_that_is_away_ends_with_3(self, bench, stack, away):
        """Nothing was published."""
        code, result, _ = read_end(bench("--here", *FEW, "--json", **{**stack.environ, away: NOWHERE[away]}))
        assert code == result["exit_code"] == 3

    def test_a_server_without_websockets_ends_with_3(self, bench, stack, redis_server):
        """It says where it looked; --ws says otherwise."""
        ws = f"ws://127.0.0.1:{redis_server.port}"
        code, result, _ = read_end(bench("--here", "--ws", ws, "--json", **stack.environ))
        assert code == 3
        assert f"WebSocket at 127.0.0.1:{redis_server.port}" in result["error"]["message"]

    def test_a_server_that_ends_in_the_middle_ends_with_3(self, bench, tmp_path, redis_url, sockudo):
        """The subscriber's connection is gone: what arrived is unknown."""
        with SockudoServer(tmp_path / "server", program=sockudo.program) as server:
            environ = {"SOCKUDO_URL": server.url, "SOCKUDO_REDIS_URL": redis_url}
            worker = WarmWorker(environ, directory=tmp_path).start()
            try:
                process = bench("--here", "--events", "60000", "--json", **environ)
                assert process.stderr.readline().startswith(b"Publishes")
                wait_for_channels(server.url)
                server.kill()
                code, result, _ = read_end(process)
            finally:
                worker.kill()
        assert (code, result["ok"]) == (3, False)


def wait_for_channels(url: str) -> None:
    """Until the bench's subscriber is there."""
    until = time.monotonic() + RUN_S
    with Sockudo.from_url(url) as client:
        while not client.channels_info(prefix_filter=PREFIX)["channels"]:
            assert time.monotonic() < until
            time.sleep(0.05)

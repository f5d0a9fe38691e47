"""The whole demo as a process: it works from nothing, shows itself, and ends all that it started and nothing else."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockudo_publisher.dev.embedded import find_redis_server
from tests.support.cases import in_depth

pytestmark = pytest.mark.integration

#: Seconds for the demo to be ready, or to publish its day, on a busy machine.
READY_S = 90.0
#: Seconds for everything to end: a worker may wait for an answer.
END_S = 60.0


@pytest.fixture(autouse=True)
def _has_redis() -> None:
    find_redis_server()


@pytest.fixture(params=in_depth(["embedded", "real"], quick=["embedded"]))
def server(request: pytest.FixtureRequest) -> list[str]:
    """The demo's option for one server or the other."""
    if request.param == "embedded":
        return []
    request.getfixturevalue("sockudo")  # skips, or fails in CI, where there is none
    return ["--real"]


class Demo:
    """A running demo, with --json."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._directory = directory

    def next_object(self) -> dict[str, Any]:
        """Its next JSON object."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], READY_S)[0], "it says nothing"
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode() if self.process.stderr else "it has ended"
        return json.loads(line)

    def end_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(END_S)

    def temporary(self) -> list[Path]:
        """The directories it has made and not removed."""
        return list(self._directory.glob("sockudo-demo-*"))


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start a demo; the caller's settings lead nowhere, and must not matter."""
    environ = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "SOCKUDO_URL": "http://key:secret@127.0.0.1:1/apps/app",
        "SOCKUDO_REDIS_URL": "redis://127.0.0.1:1/0",
        "SOCKUDO_BROKER_URL": "amqp://127.0.0.1:1//",
        "SOCKUDO_LANES": "3",
    }
    running = []

    def start(*args: str) -> Demo:
        command = [sys.executable, "-m", "sockudo_publisher.cli", "demo", "--json", *args]
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        running.append(process)
        return Demo(process, tmp_path)

    yield start
    for process in running:
        process.kill()  # what it has started ends with it
        process.communicate()


def wait_until_it_publishes(url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + READY_S
    flights: list[Any] = []
    while not flights:
        assert time.monotonic() < until
        with direct.open(f"{url}/board.json", timeout=READY_S) as answer:
            flights = json.load(answer)["flights"]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + END_S
    while any(map(is_alive, pids)):
        assert time.monotonic() < until, [pid for pid in pids if is_alive(pid)]
        time.sleep(0.05)


def test_once_publishes_the_day_and_says_that_all_came(demo, server):
    """Real input, a real worker, a real subscriber: 5,639 events on 18 channels, each once, in order."""
    run = demo("--once", *server)
    stdout, stderr = run.process.communicate(timeout=READY_S)
    assert run.process.returncode == 0, stderr.decode()
    tally = json.loads(stdout)
    assert tally["ok"] is True
    assert (tally["published"], tally["seen"], tally["channels"]) == (5639, 5639, 18)
    assert (tally["lost"], tally["duplicates"], tally["out_of_order"], tally["altered"]) == (0, 0, 0, False)
    assert tally["events_per_s"] > 0
    assert b"127.0.0.1:1/" not in stdout
    assert run.temporary() == []
    wait_until_gone(list(tally["processes"].values()))


def test_the_board_shows_arriving_events(demo, browser, server):
    """In a real browser, over a real WebSocket, from publish.delay in another process."""
    run = demo("--port", "18100", "--speed", "300", "--start", "09:00", *server)
    ready = run.next_object()
    assert ready["event"] == "ready"
    browser.open(ready["url"])
    browser.wait_for("document.querySelector('#link').dataset.link === 'up'")
    browser.wait_for("Number(document.querySelector('#total').textContent.replace(',', '')) > 40", 60)
    assert browser.text("#verdict") == "Every event once and in order"
    rows = "[...document.querySelectorAll('#rows tr')].filter((row) => row.dataset.status).length"
    assert browser.wait_for(f"{rows} >= 8 && {rows}") >= 8
    statuses = "[...new Set([...document.querySelectorAll('#rows tr')].map((row) => row.dataset.status))].length"
    assert browser.wait_for(f"{statuses} >= 3")
    browser.wait_for("document.querySelector('#clock').textContent.trim() !== ''")
    browser.wait_for("document.querySelector('#ticker').children.length > 2")
    assert browser.complaints == []


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGTERM, signal.SIGHUP))]
)
def test_it_ends_what_it_started_and_nothing_else(demo, number):
    """Ctrl-C, SIGTERM, a closed terminal: no process, no file, no port is left; others go on."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        run = demo("--port", "18200")
        ready = run.next_object()
        pids = list(ready["processes"].values())
        assert all(map(is_alive, pids))
        assert run.temporary() != []
        wait_until_it_publishes(ready["url"])
        assert run.end_by(number) == 0
        ended = run.next_object()
        assert ended["event"] == "ended"
        assert ended["published"] >= 979
        wait_until_gone(pids)
        assert run.temporary() == []
        assert bystander.poll() is None
        bystander.communicate(b"\n")


def test_it_ends_cleanly_while_it_starts(demo):
    """A user who ends it in the first second leaves nothing behind either."""
    run = demo()
    until = time.monotonic() + READY_S
    while not (run.temporary() and list(run.temporary()[0].glob("redis/redis.log"))):
        assert time.monotonic() < until
        assert run.process.poll() is None
        time.sleep(0.01)
    assert run.end_by(signal.SIGTERM) == 0
    assert run.temporary() == []
    assert run.process.stdout.read() == b""


def test_killed_it_takes_everything_with_it(demo):
    """Even when it cannot clean up: no worker goes on publishing without a reader."""
    run = demo("--port", "18300")
    pids = list(run.next_object()["processes"].values())
    run.end_by(signal.SIGKILL)
    wait_until_gone(pids)


def test_a_taken_port_is_left_to_its_owner(demo):
    """The page takes the next one, and says which."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ready = demo("--port", str(port)).next_object()
        assert ready["url"].startswith("http://127.0.0.1:")
        assert ready["url"] != f"http://127.0.0.1:{port}"


@pytest.mark.long
def test_two_demos_run_side_by_side(demo):
    """Nothing is assumed about ports, databases or names."""
    first, second = demo(), demo()
    one, other = first.next_object(), second.next_object()
    assert one["url"] != other["url"]
    assert one["sockudo"] != other["sockudo"]
    assert first.end_by(signal.SIGINT) == 0
    assert all(map(is_alive, other["processes"].values()))


@pytest.mark.long
def test_people_are_told_where_to_look(tmp_path):
    """Without --json: what is started, and the page's address."""
    command = [sys.executable, "-m", "sockudo_publisher.cli", "demo"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0) as process:
        text = b""
        until = time.monotonic() + READY_S
        while b"Look here" not in text:
            assert time.monotonic() < until, text
            text += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        text += process.communicate(timeout=END_S)[0]
    assert process.returncode == 0
    for part in ("(Redis|Valkey) ", "Sockudo", "worker", "http://127.0.0.1:"):
        assert re.search(part, text.decode()), part

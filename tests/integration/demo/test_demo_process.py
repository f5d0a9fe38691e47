"""The whole demo as a process: it works from nothing, shows itself, and ends all that it started and nothing else."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from sockudo_publisher.dev.embedded import find_redis_server
from tests.support.cases import in_depth
from tests.support.warm import start_python

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
    """A running demo; ``output`` is what it prints."""

    def __init__(self, process: Any, output: IO[bytes], errors: Path, directory: Path) -> None:
        self.process = process
        self.output = output
        self.errors = errors
        self._directory = directory

    def next_line(self) -> bytes:
        """Its next line."""
        assert select.select([self.output], [], [], READY_S)[0], "it says nothing"
        line = self.output.readline()
        assert line, self.errors.read_text()
        return line

    def next_object(self) -> dict[str, Any]:
        """With --json: its next object."""
        return json.loads(self.next_line())

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
    running: list[Demo] = []

    def start(*args: str) -> Demo:
        reading, writing = os.pipe()
        errors = tmp_path / f"errors-{len(running)}"
        with errors.open("wb") as file, os.fdopen(writing, "wb") as output:
            command = ["-m", "sockudo_publisher.cli", "demo", *args]
            process = start_python(command, env=environ, stdout=output, stderr=file)
        running.append(Demo(process, os.fdopen(reading, "rb", buffering=0), errors, tmp_path))
        return running[-1]

    yield start
    for run in running:
        run.process.kill()  # what it has started ends with it
        run.process.wait()
        run.output.close()


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
    run = demo("--once", "--json", *server)
    tally = run.next_object()
    assert run.process.wait(READY_S) == 0, run.errors.read_text()
    assert run.output.read() == b""
    assert tally["ok"] is True
    assert (tally["published"], tally["seen"], tally["channels"]) == (5639, 5639, 18)
    assert (tally["lost"], tally["duplicates"], tally["out_of_order"], tally["altered"]) == (0, 0, 0, False)
    assert tally["events_per_s"] > 0
    assert "127.0.0.1:1/" not in json.dumps(tally)
    assert run.temporary() == []
    wait_until_gone(list(tally["processes"].values()))


def test_the_board_shows_arriving_events(demo, browser, server):
    """In a real browser, over a real WebSocket, from publish.delay in another process.

    Killed, the demo takes all with it, even when it cannot clean up: no worker goes on publishing without a reader.
    """
    run = demo("--json", "--port", "18100", "--speed", "300", "--start", "09:00", *server)
    ready = run.next_object()
    assert ready["event"] == "ready"
    pids = list(ready["processes"].values())
    browser.open(ready["url"], reduced_motion=True)  # falling flaps have tests of their own
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
    assert all(map(is_alive, pids))
    run.end_by(signal.SIGKILL)
    wait_until_gone(pids)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGTERM, signal.SIGHUP))]
)
def test_it_ends_what_it_started_and_nothing_else(demo, number):
    """Ctrl-C, SIGTERM, a closed terminal: no process, no file, no port is left; others go on.

    A port that is taken is left to its owner: the page takes the next one, and says which.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = demo("--json", "--port", str(port))
        ready = run.next_object()
        assert ready["url"].startswith("http://127.0.0.1:")
        assert ready["url"] != f"http://127.0.0.1:{port}"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
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
        bystander.communicate()


def test_it_ends_cleanly_while_it_starts(demo):
    """A user who ends it in the first second leaves nothing behind either."""
    run = demo("--json")
    until = time.monotonic() + READY_S
    while not (run.temporary() and list(run.temporary()[0].glob("redis/redis.log"))):
        assert time.monotonic() < until
        assert run.process.poll() is None
        time.sleep(0.01)
    assert run.end_by(signal.SIGTERM) == 0
    assert run.temporary() == []
    assert run.output.read() == b""


@pytest.mark.long
def test_two_demos_run_side_by_side(demo):
    """Nothing is assumed about ports, databases or names."""
    first, second = demo("--json"), demo("--json")
    one, other = first.next_object(), second.next_object()
    assert one["url"] != other["url"]
    assert one["sockudo"] != other["sockudo"]
    assert first.end_by(signal.SIGINT) == 0
    assert all(map(is_alive, other["processes"].values()))


@pytest.mark.long
def test_people_are_told_where_to_look(demo):
    """Without --json: what is started, and the page's address."""
    run = demo()
    text = b""
    while b"Look here" not in text:
        text += run.next_line()
    assert run.end_by(signal.SIGINT) == 0
    text += run.output.read()
    for part in ("(Redis|Valkey) ", "Sockudo", "worker", "http://127.0.0.1:"):
        assert re.search(part, text.decode()), part

"""How a worker ends, and what may not end a drain: lanes are given back at once, whatever stops it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from sockudo_publisher import publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.cases import in_depth
from tests.support.oracle import compare, numbers
from tests.support.stack import Stack
from tests.support.timing import BUSY_S
from tests.support.worker_command import WarmCommand

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CHANNELS = 16


class Flow:
    """Events on all channels for as long as it lasts, so that every lane is being drained."""

    def __init__(self, channels: list[str]) -> None:
        self.count = 0
        self._channels = channels
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            publish_many((channel, "n", {"n": self.count}) for channel in self._channels)
            self.count += 1
            time.sleep(0.05)


def leases(stack: Stack) -> int:
    """Lanes that a worker holds."""
    return len(stack.redis.keys("sockudo:*:lease"))


def check_handed_over(
    stack: Stack,
    command: list[str],
    env: dict[str, str],
    signum: int,
    code: int,
    logs: Path,
    *,
    to_group: bool = False,
) -> None:
    """A worker gets a signal in the middle of its work: no lane waits for a lease, nothing is lost or repeated."""
    channels = stack.channels(CHANNELS)
    with stack.subscribe(*channels) as seen, Flow(channels) as flow:
        worker = WarmCommand(command, {**stack.environ, **env}, logs)
        with worker:
            seen.wait_for_count(CHANNELS * 5, 60)
            assert wait_for(lambda: leases(stack) > 0, 20)
            (os.killpg if to_group else os.kill)(worker.pid, signum)
            assert wait_for(lambda: not worker.is_running, 60), worker.log_text()
            assert leases(stack) == 0, "given back at once, and not left to run out"
            assert worker.wait() == code, worker.log_text()
        stack.worker()
        flow.end()
        seen.wait_for_count(CHANNELS * flow.count, 60)
        seen.wait_until_quiet()
        verdict = compare({channel: list(range(flow.count)) for channel in channels}, numbers(seen.events()))
        assert verdict.is_exact, verdict


POOLS = {"threads": [], "prefork": ["-P", "prefork", "-c", "12"], "gevent": ["-P", "gevent"]}
REMAPPED = {"REMAP_SIGTERM": "SIGQUIT"}

each_pool = pytest.mark.parametrize("pool", in_depth(POOLS, quick=["prefork"]))


@pytest.mark.long
@each_pool
def test_remapped_sigterm_gives_lanes_back(stack: Stack, pool: list[str], tmp_path: Path) -> None:
    """REMAP_SIGTERM=SIGQUIT, to the first process alone. Quick: SIGQUIT itself, and the remapped one to the group."""
    check_handed_over(stack, ["celery", "-A", "worker", "worker", *pool], REMAPPED, signal.SIGTERM, 0, tmp_path)


@each_pool
@pytest.mark.parametrize("env", in_depth({"plain": {}, "remapped": REMAPPED}, quick=["remapped"]))
def test_sigterm_to_the_group_gives_lanes_back(
    stack: Stack, pool: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    """As systemd and (remapped) Heroku send it: prefork's children end their drains before they end.

    A cold shutdown would wait for drains that know of no stop.
    """
    command = ["celery", "-A", "worker", "worker", *pool]
    check_handed_over(stack, command, env, signal.SIGTERM, 0, tmp_path, to_group=True)


@each_pool
def test_first_sigquit_gives_lanes_back(stack: Stack, pool: list[str], tmp_path: Path) -> None:
    check_handed_over(stack, ["sockudo-publisher", "worker", *pool], {}, signal.SIGQUIT, 1, tmp_path)


@pytest.mark.parametrize("program", [["celery", "-A", "worker", "worker"], ["sockudo-publisher", "worker"]])
def test_ctrl_c_gives_lanes_back(stack: Stack, program: list[str], tmp_path: Path) -> None:
    """Interrupted: exit code 1 by either command."""
    check_handed_over(stack, program, {}, signal.SIGINT, 1, tmp_path)


def test_no_child_waits_for_a_reader_of_its_result(stack: Stack) -> None:
    """Tasks that the stop finds handed over and not begun: billiard runs them, and nothing reads their results."""
    channels = stack.channels(CHANNELS)
    with stack.subscribe(*channels) as seen:
        worker = stack.worker(pool="prefork", concurrency=4)
        children = [pid for pid in worker.pids if pid != worker.pid]
        assert len(children) >= 4
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        publish_many((channel, "n", {"n": 0}) for channel in channels)
        time.sleep(1)  # the doorbells wait in the children's pipes
        os.kill(worker.pid, signal.SIGTERM)
        assert wait_for(lambda: "Warm shutdown" in worker.log_text(), BUSY_S)
        time.sleep(0.5)  # what is not begun is forgotten now
        for pid in children:
            os.kill(pid, signal.SIGCONT)
        assert wait_for(lambda: not worker.is_running, 20), worker.log_tail()
        assert worker.wait() == 0
        stack.worker()
        seen.wait_for_count(CHANNELS, 60)
        seen.wait_until_quiet()
        assert compare({channel: [0] for channel in channels}, numbers(seen.events())).is_exact


LIMITS = {
    "soft, prefork": ["-P", "prefork", "-c", "12", "--soft-time-limit", "1"],
    "hard, prefork": ["-P", "prefork", "-c", "12", "--time-limit", "2", "--soft-time-limit", "1"],
    "gevent": ["-P", "gevent", "--time-limit", "1"],
    "threads": ["--time-limit", "1"],
    "tasks, prefork": ["-P", "prefork", "-c", "9", "--max-tasks-per-child", "1"],
    "memory, prefork": ["-P", "prefork", "-c", "9", "--max-memory-per-child", "1000"],
}


@pytest.mark.parametrize("options", in_depth(LIMITS, quick=["hard, prefork"]))
def test_limits_of_tasks_end_no_drain(stack: Stack, options: list[str], tmp_path: Path) -> None:
    """Drains run for longer than each limit, every lane flows on, and the worker ends cleanly."""
    channels = stack.channels(CHANNELS)
    command = ["celery", "-A", "worker", "worker", *options]
    with stack.subscribe(*channels) as seen, WarmCommand(command, stack.environ, tmp_path) as worker:
        with Flow(channels) as flow:
            seen.wait_for_count(CHANNELS, 60)
            ends_at = time.monotonic() + 4
            assert wait_for(lambda: time.monotonic() > ends_at, 10)
        seen.wait_for_count(CHANNELS * flow.count, 60)
        gaps_s = longest_silences_s(seen.events(), channels)
        assert max(gaps_s) < 4.0, "no lane waited for a lease to run out"
        assert worker.stop() == 0
        assert leases(stack) == 0
        assert "TimeLimit" not in worker.log_text()


def longest_silences_s(events: list, channels: list[str]) -> list[float]:  # type: ignore[type-arg]
    """Of each channel, the longest time between two events."""
    at: dict[str, list[float]] = {channel: [] for channel in channels}
    for event in events:
        at[event.channel].append(event.at)
    return [max(later - earlier for earlier, later in pairwise(times)) for times in at.values()]


@pytest.mark.long
@each_pool
def test_second_sigquit_ends_a_worker_whose_server_hangs(stack: Stack, pool: list[str], tmp_path: Path) -> None:
    """A cold shutdown does not wait for answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = stack.server.url.replace(f":{stack.server.port}/", f":{silent.getsockname()[1]}/")
        env = {**stack.environ, "SOCKUDO_URL": url, "SOCKUDO_DELIVERY_TIMEOUT": "40"}
        with WarmCommand(["sockudo-publisher", "worker", *pool], env, tmp_path) as worker:
            publish_many([(stack.channel(), "n", {"n": 0})])
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1)
                ends(worker, signal.SIGQUIT, lambda: "Warm shutdown" in worker.log_text())
                ends(worker, signal.SIGQUIT, lambda: not worker.is_running)


def ends(worker: WarmCommand, signum: int, seen: Callable[[], bool]) -> None:
    """Send a signal and check the result."""
    os.kill(worker.pid, signum)
    assert wait_for(seen, 20), worker.log_text()

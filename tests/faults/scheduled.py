"""Scheduled events under kills: workers, callers and operators die before and after each script that these use."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from sockudo_publisher import operations, publish
from sockudo_publisher.dev.embedded import WorkerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.errors import JournalUnavailable
from tests.support.publisher import Publisher

from .world import CHANNELS, FIRE_S, FaultWorld

__all__ = ["killed_beside_scheduled"]

#: Scripts of the worker that stores due events; the last runs when the worker stops.
WORKER_SCRIPTS = ("take_right", "due", "append_once", "drop_right")
CALLER_SCRIPTS = ("schedule_once", "schedule")
OPERATOR_SCRIPTS = ("cancel", "free_key")
SIDES = ("before", "after")

#: Seconds until the events of a burst are due, and between two bursts.
COUNTDOWN_S, EVERY_S = 0.4, 0.3
#: Seconds in which everything is stored: a dead worker's lease of a bucket ends after 8 s.
STORED_S = 60.0
#: Numbers of scheduled events; the publisher's own are smaller.
FIRST_NUMBER = 10**6
#: Events of one caller.
CALLS = 6

CALLER = """
import sys, time
from sockudo_publisher import JournalUnavailable, publish
first, count, *channels = sys.argv[1:]
for n in range(int(first), int(first) + int(count)):
    while True:
        try:
            publish.apply_async((channels, "n", {"n": n}), {"key": f"scheduled-{n}"}, countdown=0.4)
            break
        except JournalUnavailable:  # a busy machine
            time.sleep(0.3)
"""


def killed_beside_scheduled(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """Each script ``times`` times; no other worker runs beside a victim."""
    publisher.stop.set()
    publisher.join()
    for worker in world.workers:
        worker.kill()
    numbers = itertools.count(FIRST_NUMBER)
    for _ in range(times):
        for script, side in itertools.product(WORKER_SCRIPTS, SIDES):
            _kill_worker(world, publisher, numbers, f"{side} {script}")
    world.workers = [world.start_worker() for _ in world.workers]
    for number, (script, side) in enumerate(times * list(itertools.product(CALLER_SCRIPTS, SIDES))):
        _kill_caller(world, publisher, numbers, f"{side} {script}", number)
    for number, (script, side) in enumerate(times * list(itertools.product(OPERATOR_SCRIPTS, SIDES))):
        _kill_operator(world, f"{side} {script}", number)
    assert wait_for(lambda: not operations.scheduled(), STORED_S), "due events stay scheduled"


def _schedule(publisher: Publisher, numbers: Iterator[int]) -> None:
    """An event on each channel, due after those before it."""
    for channel, n in zip(CHANNELS, numbers, strict=False):
        _publish([channel], n, f"due-{n}", COUNTDOWN_S)
        publisher.promised[channel].append(n)


def _publish(channels: Sequence[str], n: int, key: str, countdown_s: float) -> None:
    """One call, repeated until it is answered: its key makes that safe."""
    while True:
        try:
            publish.apply_async((channels, "n", {"n": n}), {"key": key}, countdown=countdown_s)
            return
        except JournalUnavailable:  # a busy machine
            time.sleep(EVERY_S)


def _kill_worker(world: FaultWorld, publisher: Publisher, numbers: Iterator[int], point: str) -> None:
    """It dies at the point, while events become due."""
    stops = point.endswith("drop_right")
    passing = 1 if stops else world.chance.randint(1, 4)
    victim = world.start_worker(f"{point}:{passing}", slots=1, wait=stops)
    deadline, seen = time.monotonic() + FIRE_S, world.subscriber.count
    while victim.is_running:
        assert time.monotonic() < deadline, f"{point}: the fault has not fired: {victim.log_tail()}"
        _schedule(publisher, numbers)
        time.sleep(EVERY_S)
        if stops and world.subscriber.count > seen:  # it stores what is due
            victim.terminate()
            stops = False
    _check_killed(victim, point)
    world.did(f"killed {point.partition(' ')[0]} a script")


def _check_killed(victim: WorkerProcess, point: str) -> None:
    code = victim.wait(1)
    assert code == -signal.SIGKILL, f"{point}: ended by itself ({code}): {victim.log_tail()}"


def _kill_caller(world: FaultWorld, publisher: Publisher, numbers: Iterator[int], point: str, number: int) -> None:
    """It dies in one of its calls, on two channels, and repeats all of them with their keys."""
    channels = CHANNELS[2 * number % len(CHANNELS) :][:2]
    mine = list(itertools.islice(numbers, CALLS))
    died = _run(world, ["-c", CALLER, str(mine[0]), str(CALLS), *channels], f"{point}:{world.chance.randint(1, CALLS)}")
    assert died.returncode == -signal.SIGKILL, died.stderr
    again = _run(world, ["-c", CALLER, str(mine[0]), str(CALLS), *channels])
    assert again.returncode == 0, again.stderr
    for channel in channels:
        publisher.promised[channel] += mine
    time.sleep(2 * COUNTDOWN_S)
    world.did("callers killed")


def _kill_operator(world: FaultWorld, point: str, number: int) -> None:
    """The command dies, and is repeated: the event, whose number is promised to no caller, must not arrive."""
    key = f"cancelled-{number}"
    channels = CHANNELS[2 * number % len(CHANNELS) :][:2]
    _publish(channels, -1 - number, key, 60.0)
    command = ["-m", "sockudo_publisher.cli", "scheduled", "cancel", key]
    died = _run(world, command, f"{point}:1")
    assert died.returncode == -signal.SIGKILL, died.stderr
    again = _run(world, command)
    assert again.returncode == 0, again.stderr
    world.did("operators killed")


def _run(world: FaultWorld, command: list[str], point: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **world.env, **({"SOCKUDO_FAULTPOINT": point} if point else {})}
    return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=60, check=False)

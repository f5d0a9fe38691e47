"""Scheduled events while callers, workers and operators are killed: none is lost, none is sent twice."""

from __future__ import annotations

import itertools
import signal
import time

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.cases import in_depth
from tests.support.leases import end_leases
from tests.support.oracle import numbers
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.acceptance

#: Scripts that a worker runs for due events, and the crash points beside them.
WORKER_DEATHS = [
    *("claimed:1", "claimed:3", "before due:1", "after due:1", "before due:3", "after due:3", "before append_once:2"),
    *("after append_once:1", "after append_once:2", "rung:2", "appended:1"),
]

#: At each point and beside each script once.
QUICK_DEATHS = ["claimed:1", "after due:1", "before append_once:2", "rung:2", "appended:1"]
#: Here the dead worker's leases end by themselves, which takes eight seconds; elsewhere they are ended.
WAITED_FOR = "claimed:1"

CALLER = """
import sys
from sockudo_publisher import publish
channels = sys.argv[1].split(",")
for n in range(8):
    publish.apply_async((channels, "n", {"n": n}), {"key": f"{channels[0]}:{n}"}, countdown=1)
    print(n, flush=True)
"""

CANCEL = ["-m", "sockudo_publisher.cli", "scheduled", "cancel"]


@pytest.mark.parametrize("point", in_depth(WORKER_DEATHS, quick=QUICK_DEATHS))
def test_worker_killed_beside_due_events_loses_none(stack: Stack, point: str) -> None:
    """Each event is in the schedule or in its lane, or in both until the next worker finds the ledger's record."""
    channels = stack.channels(4)
    seen = stack.subscribe(*channels)
    for n in range(60):
        publish.apply_async((channels[n % 4], "n", {"n": n}), countdown=0.1 if n < 30 else 0.2)
    time.sleep(0.3)
    victim = stack.worker(env={"SOCKUDO_FAULTPOINT": point}, wait=False)
    for n in range(60, 80):
        publish.apply_async((channels[n % 4], "n", {"n": n}), countdown=1.5 + n * 0.01)
    assert victim.wait(60) == -signal.SIGKILL, "the fault must have fired"
    if point != WAITED_FOR:
        end_leases(stack.redis)
    stack.worker()
    seen.wait_for_count(80, 60)
    # The dead worker's leases have ended; what is in the lanes already is not stored again.
    assert wait_for(lambda: operations.scheduled() == [], 30)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events()) == {channel: list(range(index, 80, 4)) for index, channel in enumerate(channels)}


def test_caller_killed_beside_scheduling_repeats_nothing(stack: Stack) -> None:
    """Two channels of two buckets: a call that died between them is completed by its repeat."""
    points = [f"{side} {script}" for script in ("schedule", "schedule_once") for side in ("before", "after")]
    cases = {point: stack.channels(2, point.replace(" ", "-")) for point in points}
    seen = stack.subscribe(*itertools.chain(*cases.values()))
    stack.worker()
    for point, channels in cases.items():
        command = ["-c", CALLER, ",".join(channels)]
        died = run_python(command, env={**stack.python(), "SOCKUDO_FAULTPOINT": f"{point}:6"}, timeout=60)
        assert died.returncode == -signal.SIGKILL, (point, died.stderr)
        done = len(died.stdout.split())
        assert 0 < done < 8, point
        again = run_python(command, env=stack.python(), timeout=60)
        assert again.returncode == 0, (point, again.stderr)
    seen.wait_for_count(16 * len(cases), 60)
    seen.wait_until_quiet(1.0)
    found = numbers(seen.events())
    for point, channels in cases.items():
        assert {channel: sorted(found[channel]) for channel in channels} == {key: list(range(8)) for key in channels}, (
            point
        )
    assert seen.count == 16 * len(cases)


def test_caller_killed_when_all_is_scheduled_keeps_it(stack: Stack) -> None:
    """The call has not returned, and the event is due all the same."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    stack.worker()
    command = ["-c", CALLER, channel]
    died = run_python(command, env={**stack.python(), "SOCKUDO_FAULTPOINT": "scheduled:3"}, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert died.stdout.split() == ["0", "1"]
    seen.wait_for_count(3, 30)
    assert run_python(command, env=stack.python(), timeout=60).returncode == 0
    seen.wait_for_count(8, 30)
    seen.wait_until_quiet(1.5)
    assert sorted(numbers(seen.events())[channel]) == list(range(8))


def test_operator_killed_beside_a_cancel_can_repeat_it(stack: Stack) -> None:
    """The event is scheduled or taken back, and the repeat finishes what the first has begun: the key is free."""
    points = [f"{side} {script}" for script in ("cancel", "free_key") for side in ("before", "after")]
    cases = {point: stack.channels(2, point.replace(" ", "-")) for point in points}
    seen = stack.subscribe(*itertools.chain(*cases.values()))
    for point, channels in cases.items():
        key = channels[0]
        publish.apply_async((channels, "n", {"n": 1}), {"key": key}, countdown=600)
        died = run_python([*CANCEL, key], env={**stack.python(), "SOCKUDO_FAULTPOINT": f"{point}:1"}, timeout=60)
        assert died.returncode == -signal.SIGKILL, (point, died.stderr)
        again = run_python([*CANCEL, key], env=stack.python(), timeout=60)
        assert again.returncode == 0, (point, again.stderr)
        assert operations.scheduled() == [], point
    for channels in cases.values():
        publish.apply_async((channels, "n", {"n": 2}), {"key": channels[0]}, countdown=0.1)
    stack.worker()
    seen.wait_for_count(2 * len(cases), 30)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events()) == {channel: [2] for channel in itertools.chain(*cases.values())}

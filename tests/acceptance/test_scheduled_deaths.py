"""Scheduled events while callers, workers and operators are killed: none is lost, none is sent twice."""

from __future__ import annotations

import signal
import time

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.cases import in_depth
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
        publish.apply_async((channels[n % 4], "n", {"n": n}), countdown=3 + n * 0.01)
    assert victim.wait(60) == -signal.SIGKILL, "the fault must have fired"
    stack.worker()
    seen.wait_for_count(80, 60)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events()) == {channel: list(range(index, 80, 4)) for index, channel in enumerate(channels)}
    # The dead worker's leases end; what is in the lanes already is not stored again.
    assert wait_for(lambda: operations.scheduled() == [], 30)
    seen.wait_until_quiet(1.0)
    assert seen.count == 80


@pytest.mark.parametrize("script", ["schedule", "schedule_once"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_caller_killed_beside_scheduling_repeats_nothing(stack: Stack, script: str, side: str) -> None:
    """Two channels of two buckets: a call that died between them is completed by its repeat."""
    channels = stack.channels(2)
    seen = stack.subscribe(*channels)
    stack.worker()
    command = ["-c", CALLER, ",".join(channels)]
    died = run_python(command, env={**stack.python(), "SOCKUDO_FAULTPOINT": f"{side} {script}:6"}, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    done = len(died.stdout.split())
    assert 0 < done < 8
    again = run_python(command, env=stack.python(), timeout=60)
    assert again.returncode == 0, again.stderr
    seen.wait_for_count(16, 60)
    seen.wait_until_quiet(1.0)
    found = numbers(seen.events())
    assert {channel: sorted(of) for channel, of in found.items()} == {channel: list(range(8)) for channel in channels}


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


@pytest.mark.parametrize("script", ["cancel", "free_key"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_operator_killed_beside_a_cancel_can_repeat_it(stack: Stack, script: str, side: str) -> None:
    """The event is scheduled or taken back, and the repeat finishes what the first has begun: the key is free."""
    channels = stack.channels(2)
    seen = stack.subscribe(*channels)
    key = f"{stack.unique}-k"
    publish.apply_async((channels, "n", {"n": 1}), {"key": key}, countdown=600)
    died = run_python([*CANCEL, key], env={**stack.python(), "SOCKUDO_FAULTPOINT": f"{side} {script}:1"}, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    again = run_python([*CANCEL, key], env=stack.python(), timeout=60)
    assert again.returncode == 0, again.stderr
    assert operations.scheduled() == []
    publish.apply_async((channels, "n", {"n": 2}), {"key": key}, countdown=0.1)
    stack.worker()
    seen.wait_for_count(2, 30)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events()) == {channel: [2] for channel in channels}

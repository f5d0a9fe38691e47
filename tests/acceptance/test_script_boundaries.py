"""Callers and operators killed before Redis has done anything of a script, and after it has done all of it.

Workers are killed so in `tests/faults/boundaries.py` (`make faults`, in its whole form).
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone

import pytest

from sockudo_publisher import operations, publish
from sockudo_publisher.cli.exits import ExitCode
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.journal.redis import scripts
from tests.faults.boundaries import BOUNDARIES
from tests.support.oracle import numbers
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.acceptance

#: How a caller runs each of its scripts; `key` makes a call that was killed safe to repeat.
CALLS = {
    "append": 'publish.delay(channel, "n", {"n": n})',
    "append_once": 'publish.delay(channel, "n", {"n": n}, key=f"{channel}:{n}")',
    "schedule_once": 'publish.apply_async((channel, "n", {"n": n}), {"key": f"{channel}:{n}"}, countdown=0.1)',
}
CALLER = """
import sys
from sockudo_publisher import publish
channel = sys.argv[1]
for n in range(4):
    %s
    print(n, flush=True)
"""
#: Callers and operators are killed beside these in `test_scheduled_deaths.py`.
SCHEDULE = ("schedule", "cancel", "free_key")
#: The call that dies.
DIES_AT = 3

#: The scripts of an operator's commands beside those of dead letters.
OPERATORS = ("operator_pause", "operator_resume", "audit")

#: Events that have expired before they are published are dead letters at once.
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)

DEAD = ["-m", "sockudo_publisher.cli", "dead"]
REPLAY = [*DEAD, "replay", "--all"]


def run(stack: Stack, command: Sequence[str], point: str | None = None) -> subprocess.CompletedProcess[str]:
    """A process with the settings of the stack; with `point` it has to die there."""
    env = stack.python() if point is None else {**stack.python(), "SOCKUDO_FAULTPOINT": point}
    done = run_python(command, env=env, timeout=60)
    assert done.returncode == (0 if point is None else -signal.SIGKILL), done.stderr
    return done


def test_every_script_is_died_beside() -> None:
    """A new script has to be killed at here or by the workers' list; `status` and `scheduled` change nothing."""
    workers = {boundary.script for boundary in BOUNDARIES}
    assert {*workers, *CALLS, *SCHEDULE, *OPERATORS, "replay", "purge", "status", "scheduled"} == set(scripts.NAMES)


SIDES = ("before", "after")


def test_caller_killed_beside_a_script_repeats_nothing(stack: Stack) -> None:
    """What its calls had promised arrives; the call that died was stored or was not, and with a key is repeated."""
    cases = {(side, script): stack.channel(f"{side}-{script}") for side in SIDES for script in CALLS}
    seen = stack.subscribe(*cases.values())
    stack.worker()

    def wait_for_numbers(wanted: dict[str, list[int]]) -> None:
        """These and no others, by channel."""
        seen.wait_for_count(sum(map(len, wanted.values())), 30)
        seen.wait_until_quiet(1.0)
        assert {channel: sorted(found) for channel, found in numbers(seen.events()).items()} == wanted

    stored = {}
    for (side, script), channel in cases.items():
        # schedule_once looks first where there are several channels, and here does not: one script a call.
        died = run(stack, ["-c", CALLER % CALLS[script], channel], f"{side} {script}:{DIES_AT + 1}")
        assert died.stdout.split() == ["0", "1", "2"], f"{side} {script}: three calls returned, the fourth did not"
        stored[channel] = list(range(DIES_AT + (side == "after" and script != "schedule_once")))
    wait_for_numbers(stored)
    for (_, script), channel in cases.items():
        if script != "append":  # nothing tells a second call from another event
            run(stack, ["-c", CALLER % CALLS[script], channel])
            stored[channel] = [0, 1, 2, 3]
    wait_for_numbers(stored)


def dead_letters(stack: Stack, channel: str, count: int) -> list[str]:
    """``count`` expired events of a channel, dead letters of its lane: their ids. There are no others.

    Needs a worker, and `SOCKUDO_ON_EXPIRED=dead`.
    """
    for n in range(count):
        publish.apply_async((channel, "n", {"n": n}), expires=LONG_AGO)
    assert wait_for(lambda: len(operations.dead_list(get_settings(), "default", 10)) == count, 30)
    return letters_left()


def letters_left() -> list[str]:
    """The ids of all dead letters."""
    return [letter.id for letter in operations.dead_list(get_settings(), "default", 10)]


def test_operator_killed_in_a_replay_loses_and_repeats_nothing(stack: Stack) -> None:
    """The dead letter is there or in its lane, never in both and never in neither."""
    stack.environ["SOCKUDO_ON_EXPIRED"] = "dead"
    channels = {side: stack.channel(side) for side in SIDES}
    seen = stack.subscribe(*channels.values())
    stack.worker()
    for side, channel in channels.items():
        dead_letters(stack, channel, 1)
        run(stack, REPLAY, f"{side} replay")
        left = len(letters_left())
        assert left == (1 if side == "before" else 0), side
        assert f"Replayed {left}." in run(stack, REPLAY).stdout, side
    seen.wait_for_count(2, 30)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events()) == {channel: [0] for channel in channels.values()}


def test_operator_killed_in_a_purge_leaves_whole_letters(stack: Stack) -> None:
    """The bytes that are kept beside the letters agree with what is left, and the same purge again finishes."""
    stack.environ["SOCKUDO_ON_EXPIRED"] = "dead"
    stack.worker()
    for side in SIDES:
        for every in (False, True):
            purge(stack, side, every=every)
            operations.dead_purge(get_settings(), "default", None)


def purge(stack: Stack, side: str, *, every: bool) -> None:
    """One letter of three, or all of them; the purge dies once."""
    ids = dead_letters(stack, stack.channel(f"{side}-{every}"), 3)
    keys = lane_keys("default", int(ids[0].partition("-")[0]))
    case = (side, "all" if every else "one")

    def left() -> list[str]:
        found = letters_left()
        entries = stack.redis.xrange(keys.dead)
        size = sum(len(part) for _, fields in entries for pair in fields.items() for part in pair)
        assert (len(entries), int(stack.redis.hget(keys.dead_size, "bytes") or 0)) == (len(found), size), case
        return found

    rest = [] if every else ids[1:]
    command = [*DEAD, "purge", "--yes", *(["--all"] if every else ids[:1])]
    assert left() == ids, case
    # `--all` is one script for each lane, in one round trip.
    run(stack, command, f"{side} purge")
    assert left() == (ids if side == "before" else rest), case
    again = run_python(command, env=stack.python(), timeout=60)
    purged = len(ids) - len(rest) if side == "before" else 0
    assert f"Purged {purged}." in again.stdout, case
    # An id that is gone by now is reported as such.
    assert again.returncode == (ExitCode.FAILED if side == "after" and not every else 0), (case, again.stderr)
    assert left() == rest, case


CLI = ["-m", "sockudo_publisher.cli"]
PAUSE = [*CLI, "pause", "--reason", "maintenance", "--actor", "ana"]
RESUME = [*CLI, "resume", "--actor", "ana"]


def test_operator_killed_in_a_pause_pauses_or_does_not(stack: Stack) -> None:
    """Pause and audit are one step; the same command again finishes, and nothing is sent until the end of the pause."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    stack.worker()
    for n, side in enumerate(SIDES):
        recorded = len(operations.audit())
        run(stack, PAUSE, f"{side} operator_pause")
        is_paused = side == "after"
        assert (operations.status("default")[0].operator_pause is not None) is is_paused, side
        newest = operations.audit()[: len(operations.audit()) - recorded]
        assert [one.action for one in newest] == ["pause"] * is_paused, side
        run(stack, PAUSE)
        publish.delay(channel, "n", {"n": n})
        seen.wait_until_quiet(2.5)
        assert seen.count == n, side

        run(stack, RESUME, f"{side} operator_resume")
        is_resumed = side == "after"
        assert (operations.status("default")[0].operator_pause is None) is is_resumed, side
        assert operations.audit()[0].action == ("resume" if is_resumed else "pause"), side
        if not is_resumed:
            run(stack, RESUME)
        # The rings that the dead one did not send are the sweep's.
        seen.wait_for_count(n + 1, 30)
    assert numbers(seen.events()) == {channel: [0, 1]}


def test_purge_is_recorded_before_it_is_made(stack: Stack) -> None:
    """An operator who dies beside the audit has deleted nothing; one who dies behind the purge is in the audit."""
    stack.environ["SOCKUDO_ON_EXPIRED"] = "dead"
    stack.worker()
    dead_letters(stack, stack.channel(), 2)
    purge = [*DEAD, "purge", "--all", "--yes", "--actor", "ana"]
    for side in SIDES:
        run(stack, purge, f"{side} audit")
        assert len(operations.dead_letters()) == 2, side
        assert [(one.action, one.counts) for one in operations.audit()] == [("purge", None)] * (side == "after"), side
    run(stack, purge, "after purge")
    assert operations.dead_letters() == []
    last = operations.audit()[0]
    assert (last.action, last.by, last.what, last.counts) == ("purge", "ana", "all", None)

"""A process is killed at every named point between the call and the settling; each event is seen once, in order."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence

import pytest

from sockudo_publisher import faultpoint, publish_many
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from tests.support.cases import in_depth
from tests.support.leases import end_leases
from tests.support.oracle import compare, numbers
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.acceptance

WORKER_POINTS = ("leased", "taken", "posted", "settled")
PRODUCER_POINTS = ("encoded", "appended", "rung")
#: Here the dead worker's leases end by themselves, which takes six seconds; elsewhere they are ended.
WAITED_FOR = "taken"
#: Events of each of 16 channels, and of a batch: a lane has two and more.
EACH, BATCH = 100, 100

PRODUCER = """
import sys
from sockudo_publisher import publish
channel, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    publish.delay(channel, "n", {"n": n}, key=f"{channel}:{n}")
    print(n, flush=True)
"""

#: The same with coroutines that wait together: the number of a call is printed when it has returned.
COROUTINES = """
import asyncio, sys
from sockudo_publisher import publish
channel, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

async def call(n):
    await publish.adelay(channel, "n", {"n": n}, key=f"{channel}:{n}")
    print(n, flush=True)

async def main():
    for begin in range(first, first + count, 20):
        await asyncio.gather(*(call(n) for n in range(begin, begin + 20)))

asyncio.run(main())
"""


def test_every_point_has_a_test() -> None:
    """A new crash point must be killed at here, or in the tests of a stuck, refused or reported item (held, buried,
    reported).

    Those of scheduled events are in `test_scheduled_deaths.py`.
    """
    elsewhere = {"held", "buried", "reported", "scheduled", "claimed"}
    assert {*WORKER_POINTS, *PRODUCER_POINTS, *elsewhere} == set(faultpoint.POINTS)


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_worker_killed_at_point_shows_each_event_once_in_order(stack: Stack, point: str) -> None:
    """The marker survives SIGKILL; the successor sends exactly that prefix; the server replays what it has taken."""
    stack.environ["SOCKUDO_BATCH_MAX_EVENTS"] = str(BATCH)
    channels = stack.channels(16)
    seen = stack.subscribe(*channels)
    # The third time, so that the lanes are in different states when it happens. One drain at a time: the kill is at
    # the point and cuts no other lane's request (what that does is the business of the tests under faults).
    victim = stack.worker(concurrency=1, env={"SOCKUDO_FAULTPOINT": f"{point}:3"}, wait=False)
    promised = {channel: list(range(EACH)) for channel in channels}
    publish_many((channel, "n", {"n": n, "pad": "x" * 150}) for n in range(EACH) for channel in channels)

    assert victim.wait(60) == -signal.SIGKILL, "the fault must have fired"
    if point != WAITED_FOR:
        end_leases(stack.redis)
    stack.worker()

    seen.wait_for_count(EACH * 16, 90)
    seen.wait_until_quiet(1.0)
    verdict = compare(promised, numbers(seen.events()))
    assert verdict.is_exact, verdict


@pytest.mark.parametrize("point", in_depth(["taken", "posted"], quick=["posted"]))
def test_worker_killed_beside_a_dead_letter_loses_nothing(stack: Stack, point: str) -> None:
    """Killed in the search for a refused item: it is dead-lettered once, its neighbours arrive once."""
    channel = stack.channel()
    seen = stack.subscribe(channel)
    taken_id = stack.channel("taken-id")
    # Another program used this id on this channel: the server will call our event a conflict.
    from sockudo_publisher.wiring.app import app_named

    app_named().client.trigger(channel, "other", '{"n": -1}', message_id=taken_id)
    events = [{"channel": channel, "name": "n", "data": {"n": n}} for n in range(40)]
    events[17]["key"] = taken_id
    publish_many(events)
    victim = stack.worker(concurrency=1, env={"SOCKUDO_FAULTPOINT": f"{point}:4"}, wait=False)
    assert victim.wait(60) == -signal.SIGKILL, "the fault must have fired"
    end_leases(stack.redis)
    stack.worker()

    seen.wait_for_count(40, 60)
    seen.wait_until_quiet(1.0)
    assert numbers(seen.events())[channel] == [-1, *(n for n in range(40) if n != 17)]
    dead = [key for key in stack.redis.scan_iter("sockudo:*:dead") if stack.redis.xlen(key)]
    assert len(dead) == 1
    ((_, letter),) = stack.redis.xrange(dead[0])
    assert letter[b"reason"] == b"conflict"
    assert json.loads(letter[b"item"])["message_id"] == taken_id


def test_producer_killed_at_point_and_repeated_sends_each_once(stack: Stack) -> None:
    """A caller that dies and repeats with its own keys: nothing lost, nothing twice; a lost doorbell is found."""
    channels = {point: stack.channel(point) for point in PRODUCER_POINTS}
    seen = stack.subscribe(*channels.values())
    stack.worker()
    told = {}
    for point, channel in channels.items():
        env = {**stack.python(), "SOCKUDO_FAULTPOINT": f"{point}:7"}
        died = run_python(["-c", PRODUCER, channel, "0", "20"], env=env, timeout=60)
        assert died.returncode == -signal.SIGKILL, (point, died.stderr)
        told[point] = [int(line) for line in died.stdout.split()]
        assert told[point] == list(range(6)), f"{point}: six calls returned, the seventh did not"
    send_again(stack, seen, PRODUCER, channels, told, 20)


def test_coroutines_killed_at_point_and_repeated_send_each_once(stack: Stack) -> None:
    """Killed with calls in the queue and in a flush: calls that returned arrive; repeated, all are there, in order."""
    channels = {point: stack.channel(point) for point in PRODUCER_POINTS}
    seen = stack.subscribe(*channels.values())
    stack.worker()
    told = {}
    for (point, channel), passing in zip(channels.items(), (70, 3, 1), strict=True):
        env = {**stack.python(), "SOCKUDO_FAULTPOINT": f"{point}:{passing}"}
        died = run_python(["-c", COROUTINES, channel, "0", "200"], env=env, timeout=60)
        assert died.returncode == -signal.SIGKILL, (point, died.stderr)
        told[point] = [int(line) for line in died.stdout.split()]
        assert told[point] == list(range(len(told[point]))), point
    send_again(stack, seen, COROUTINES, channels, told, 200)


def send_again(
    stack: Stack,
    seen: Subscriber,
    program: str,
    channels: Mapping[str, str],
    told: Mapping[str, Sequence[int]],
    count: int,
) -> None:
    """What was promised arrives without any help, then the programs repeat all their calls."""
    for point, channel in channels.items():
        assert wait_for(lambda c=channel, p=point: len(numbers(seen.events()).get(c, [])) >= len(told[p]), 30), point
    for point, channel in channels.items():
        again = run_python(["-c", program, channel, "0", str(count)], env=stack.python(), timeout=60)
        assert again.returncode == 0, (point, again.stderr)
    seen.wait_for_count(count * len(channels), 30)
    seen.wait_until_quiet(1.0)
    arrived = numbers(seen.events())
    for point, channel in channels.items():
        assert arrived[channel] == list(range(count)), point

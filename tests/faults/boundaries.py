"""Workers that die beside a script of the journal: Redis has done nothing of it, or all of it, and no answer arrived.

Every script that a worker runs is here (`tests/acceptance/test_script_boundaries.py` has the callers' and operators',
and checks that none is missing). What no event runs by itself is provoked.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import redis

from sockudo_publisher import Event, Sockudo, publish, publish_many
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.layout.layout import Span, read_layout
from tests.support.proxy import Answer, Cut
from tests.support.publisher import Publisher

from .world import CHANNELS, FIRE_S, FaultWorld, wait_for_progress

__all__ = ["BOUNDARIES", "RECOVERY_S", "Boundary", "killed_beside_scripts", "provoke_refused", "provoke_stuck"]

#: Seconds in which a worker gets every lane on: the leases of a dead one end (6 s), the sweep rings, a search that
#: no client breaks off (each "in progress" of the server takes a second).
RECOVERY_S = 18.0
#: Seconds between two provocations, and between two cuts.
PROVOKE_EVERY_S = 0.5
CUT_EVERY_S = 4.0
#: Events that make the batches of eight lanes as large as they may be, and requests that are cut among them.
LARGE_BURST = 6000
CUTS = 3
#: Seconds that no server listens, and for how long one does again.
REFUSED_S, ACCEPTED_S = 0.4, 1.5
#: Seconds in which a dead letter finds no room in its lane.
CLOSED_S = 1.5
#: Large enough not to hold the traffic up.
RATE = "20000"
#: The app of `SOCKUDO_URL`.
APP = "default"
#: A channel of its own for what is refused.
SPOILT = "spoilt"


def provoke_stuck(world: FaultWorld) -> None:
    """Cut large requests, so that the server leaves a claim that has to be held; some cuts come too early or too late.

    Not too often: a search that is cut again and again does not end inside the window.
    """
    # Of channels without a subscriber: they only make the batches large.
    publish_many((f"spoilt-{n % len(CHANNELS)}", "n", "x" * 180) for n in range(LARGE_BURST))
    world.proxy.next(*(Cut(after_s=world.chance.uniform(0.001, 0.01)) for _ in range(CUTS)))
    time.sleep(CUT_EVERY_S)


def provoke_refused(world: FaultWorld) -> None:
    """An event under an id that another program has used, among others on a channel of its own.

    The server calls it a conflict, and it has to be searched for.
    """
    publish_refused(world)
    time.sleep(PROVOKE_EVERY_S)


def publish_refused(world: FaultWorld) -> None:
    taken = uuid.uuid4().hex
    Sockudo.from_url(world.sockudo.url).trigger(SPOILT, "n", "theirs", message_id=taken)
    publish_many([(SPOILT, "n", "ahead"), Event(SPOILT, "n", "ours", key=taken), (SPOILT, "n", "behind")])


def provoke_pause(world: FaultWorld) -> None:
    """No server listens for a moment, then the server is back."""
    world.proxy.refuse()
    time.sleep(REFUSED_S)
    world.proxy.listen()
    time.sleep(ACCEPTED_S)


def provoke_limit(world: FaultWorld) -> None:
    """A proxy finds the next request too large."""
    world.proxy.next(Answer.http(413, b"<html>413 Request Entity Too Large</html>"))
    time.sleep(PROVOKE_EVERY_S)


def provoke_unreadable(world: FaultWorld) -> None:
    """An entry in each lane that is no pack, behind events and before others."""
    with redis.Redis.from_url(world.redis.url) as client:
        for lane in lanes_drained(client).lanes:
            client.xadd(lane_keys(APP, lane).stream, {"spoilt": "entry"})
    time.sleep(PROVOKE_EVERY_S)


def provoke_no_place(world: FaultWorld) -> None:
    """No lane's marker can be read: what it held is in the server's memory, so that it may go out again."""
    with redis.Redis.from_url(world.redis.url) as client:
        for lane in lanes_drained(client).lanes:
            client.hset(lane_keys(APP, lane).state, "marker", "spoilt")
    time.sleep(PROVOKE_EVERY_S)


def provoke_due(world: FaultWorld) -> None:
    """Events of channels without a subscriber that are due in a moment."""
    for n in range(20):
        publish.apply_async((f"spoilt-{n % len(CHANNELS)}", "n", n), countdown=0.01)
    time.sleep(PROVOKE_EVERY_S)


def provoke_error(world: FaultWorld) -> None:
    """A refused event whose letter has no room, since something else is there, which ends the drain in an error."""
    with redis.Redis.from_url(world.redis.url) as client:
        dead = lane_keys(APP, lanes_drained(client).lane_of(SPOILT)).dead
        aside = f"{dead}:aside"
        # Both at once. A lane without letters has nothing to rename, which is an answer, and the rest is done.
        client.pipeline().rename(dead, aside).set(dead, SPOILT).execute(raise_on_error=False)
        publish_refused(world)
        time.sleep(CLOSED_S)
        client.pipeline().delete(dead).rename(aside, dead).execute(raise_on_error=False)


def lanes_drained(client: redis.Redis) -> Span:
    """The lanes from which workers deliver now; earlier scenes have changed them."""
    layout = read_layout(client.get(AppKeys.of(APP).lanes) or b"")
    return layout.drained_first or layout.span


def few_letters(world: FaultWorld) -> None:
    """A process that starts from now on keeps one dead letter of a lane, where there are more."""
    world.env["SOCKUDO_DEAD_MAX"] = "1"


def more_lanes(world: FaultWorld) -> None:
    """A process that starts from now on wants a lane more."""
    world.env["SOCKUDO_LANES"] = str(int(world.env.get("SOCKUDO_LANES", "8")) + 1)


def limited_rate(world: FaultWorld) -> None:
    """A process that starts from now on pays for each event."""
    world.env["SOCKUDO_MAX_RATE"] = RATE


@dataclass(frozen=True)
class Boundary:
    """A script of a worker. ``provoke`` makes it run, again and again; ``prepare`` changes the next worker's settings.

    ``cuts``: it takes a cut request, which leaves a claim in the server.
    """

    script: str
    provoke: Callable[[FaultWorld], None] | None = None
    prepare: Callable[[FaultWorld], None] | None = None
    cuts: bool = False


BOUNDARIES = (
    Boundary("acquire"),
    Boundary("take"),
    Boundary("settle"),
    Boundary("release"),
    Boundary("renew"),
    Boundary("sweep"),
    Boundary("count", provoke_refused),
    Boundary("bury", provoke_refused),
    Boundary("unmark", provoke_pause),
    Boundary("pause", provoke_pause),
    Boundary("resume", provoke_pause),
    Boundary("take_right"),
    Boundary("drop_right", provoke_pause),
    Boundary("write"),
    Boundary("learn", provoke_limit),
    Boundary("rate", prepare=limited_rate),
    Boundary("relayout", prepare=more_lanes),
    Boundary("mark", prepare=more_lanes),
    Boundary("announce"),
    Boundary("due", provoke_due),
    Boundary("quarantine", provoke_unreadable),
    Boundary("mend", provoke_no_place),
    Boundary("fail", provoke_error),
    Boundary("trim", prepare=few_letters),
    Boundary("hold", provoke_stuck, cuts=True),
    Boundary("postpone", provoke_stuck, cuts=True),
)


def killed_beside_scripts(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """One worker after another dies, before and after each script, ``times`` times.

    A victim has one slot, so that nothing of it is in the server when it dies and the next one gets its lane on. Where
    requests are cut it has all of them, since larger batches are cut in the middle more often, and a healthy worker
    comes after it: a search without an end would last for longer than the server remembers.
    """
    for worker in world.workers:
        worker.kill()
    for _ in range(times):
        for boundary in BOUNDARIES:
            for side in ("before", "after"):
                kill_beside(world, boundary, side)
    world.workers = [world.start_worker() for _ in world.workers]
    wait_for_progress(world, len(CHANNELS))


def kill_beside(world: FaultWorld, boundary: Boundary, side: str) -> None:
    """A worker dies beside a script, really."""
    if boundary.prepare:
        boundary.prepare(world)
    point = f"{side} {boundary.script}"
    slots = None if boundary.cuts else 1
    victim = world.start_worker(f"{point}:{_passing(world, boundary)}", slots=slots)
    deadline = time.monotonic() + FIRE_S
    while victim.is_running:
        assert time.monotonic() < deadline, f"{point}: the fault has not fired: {victim.log_tail()}"
        if boundary.provoke:
            boundary.provoke(world)
        time.sleep(0.02)
    code = victim.wait(1)
    assert code == -signal.SIGKILL, f"{point}: ended by itself ({code}): {victim.log_tail()}"
    world.did("killed before a script" if side == "before" else "killed after a script")
    if boundary.cuts:
        healthy = world.start_worker(wait=True)
        time.sleep(RECOVERY_S)
        healthy.stop()


def _passing(world: FaultWorld, boundary: Boundary) -> int:
    """Which passing of the point: any of the first few, where an event runs the script by itself."""
    return 1 if boundary.provoke or boundary.prepare else world.chance.randint(1, 4)

"""The scenarios: what is done to the parts while a caller publishes, and what may come of it.

A scenario is a value: its parts, its faults as a function of the running world, and its *bound*: what may be lost,
repeated or out of order. `EXACT` is the promise. Where it is impossible (reference in each `why`), the bound says how
much, from the journal's own counts where the product counts it.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

import redis

from tests.support.proxy import Answer, Behaviour, Cut, Delay, Hang, Truncate
from tests.support.publisher import Publisher

from .boundaries import RECOVERY_S, killed_beside_scripts, provoke_refused, provoke_stuck
from .bounds import (
    Bound,
    exact,
    finished_by_nginx,
    forgotten_may_repeat,
    held_is_missing,
    killed_recorded_not_sent,
    late_may_repeat,
    left_in_mid_batch,
    never_uncertain,
    recorded_not_sent,
    recorded_or_stuck,
    shown_only,
    stuck_may_repeat,
)
from .scheduled import killed_beside_scheduled
from .world import CHANNELS, FIRE_S, TTL_S, FaultWorld, Setup, wait_for_progress, wait_until_nothing_is_sent

__all__ = ["SCENARIOS", "Act", "Scenario"]

#: Does the faults, that number of times, while the publisher publishes.
Act: TypeAlias = Callable[[FaultWorld, Publisher, int], None]


@dataclass(frozen=True)
class Scenario:
    """`act` does its faults `times` times in the full run, `short_times` in the short one.

    0: not in the short one, which has some two minutes: it waits for a window or a claim to end, or
    tests/acceptance has the same.
    """

    name: str
    why: str
    act: Act
    times: int
    short_times: int = 0
    setup: Setup = field(default_factory=Setup)
    #: Of what was counted: by the journal, and by the faults.
    bound: Callable[[Mapping[str, int]], Bound] = exact


# -- what is done -----------------------------------------------------------------------------------


def kill_workers(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """SIGKILL, successors in their places: all of them in the middle of a batch, then one at any moment, and so on."""
    for number in range(times):
        wait_for_progress(world, 500)
        if number % 2 == 0:
            kill_in_mid_batch(world, publisher)
        else:
            # With time for a lease to end (6 s) and for a search: a lane whose every holder dies in its search until
            # the window is over is uncertain, and rightly counted so.
            world.kill_worker().wait_until_ready()
            time.sleep(world.chance.uniform(4.0, 9.0))


def kill_in_mid_batch(world: FaultWorld, publisher: Publisher) -> None:
    """All workers while the server works on a request; then the time that it takes to find what that left behind."""
    world.kill_in_mid_batch()
    for worker in world.workers:
        worker.wait_until_ready()
    world.wait_until_found(publisher.promises())


#: Further kills, until an item is stuck: most requests that are cut leave one.
MAX_MORE = 8


def kill_until_stuck(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """The same, and until the server has left an item with a claim."""
    kill_workers(world, publisher, times)
    for _ in range(MAX_MORE):
        if world.counts().get("stuck", 0):
            return
        wait_for_progress(world, 500)
        kill_in_mid_batch(world, publisher)


def killed_at(point: str) -> Act:
    """Workers that die at a named point, at a random passing of it; no other worker has the lanes meanwhile.

    Between two of them a healthy one gets every lane on: what is in flight for longer than the server remembers is
    uncertain, and another matter.
    """

    def act(world: FaultWorld, publisher: Publisher, times: int) -> None:
        for worker in world.workers:
            worker.kill()
        for _ in range(times):
            rare = point in RARE
            # A lane that is held stays so: that point is passed once a lane.
            passing = 1 if rare else world.chance.randint(1, 6 if point == "leased" else 12)
            victim = world.start_worker(f"{point}:{passing}", wait=rare)
            deadline = time.monotonic() + FIRE_S
            while victim.is_running:
                assert time.monotonic() < deadline, f"{point}: the fault has not fired"
                if rare:
                    RARE[point](world)
                time.sleep(0.02)
            assert victim.wait(1) == -signal.SIGKILL, victim.log_tail()
            world.did(f"killed at {point}")
            healthy = world.start_worker(wait=True)
            time.sleep(RECOVERY_S)
            healthy.stop()
        world.workers = [world.start_worker() for _ in world.workers]

    return act


#: Points that no event passes by itself.
RARE: dict[str, Callable[[FaultWorld], None]] = {"held": provoke_stuck, "buried": provoke_refused}


PRODUCER = """
import sys
from sockudo_publisher import publish
channel, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    publish.delay(channel, "n", {"n": n}, key=f"{channel}:{n}")
    print(n, flush=True)
"""


def kill_producers(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """A caller dies at each point between its call and its return, and repeats with its own keys."""
    publisher.stop.set()
    publisher.join()
    for number in range(times):
        channel = CHANNELS[number % len(CHANNELS)]
        first = 10**6 + number * 100
        command = [sys.executable, "-c", PRODUCER, channel, str(first), "8"]
        env = {**os.environ, **world.env}
        point = ("encoded", "appended", "rung")[number % 3]
        fault = {"SOCKUDO_FAULTPOINT": f"{point}:{world.chance.randint(1, 8)}"}
        died = subprocess.run(command, env={**env, **fault}, capture_output=True, timeout=60, check=False)
        assert died.returncode == -signal.SIGKILL, died.stderr
        subprocess.run(command, env=env, capture_output=True, timeout=60, check=True)
        publisher.promised[channel] += range(first, first + 8)
        world.did("callers killed")


def freeze_workers(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """SIGSTOP for longer than a lease, then SIGCONT: it wakes up beside its successor."""
    for _ in range(times):
        wait_for_progress(world, 500)
        worker = world.chance.choice(world.workers)
        worker.pause()
        time.sleep(world.chance.uniform(7.0, 9.0))
        worker.resume()
        world.did("workers frozen")


def cut_requests(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """The connection goes while the server is in the middle of a batch."""
    chance = world.chance
    until_fired(world, lambda: Cut(after_s=chance.uniform(0.0, 0.012), reset=chance.random() < 0.5), times)


#: Share of the faults given that must have happened for the scenario to count.
FIRED_SHARE = 0.3


def until_fired(world: FaultWorld, make: Callable[[], Behaviour], times: int) -> None:
    """Give the next connections such behaviours, a few at a time; more, until enough have happened.

    Not all will: a request may have been answered before its cut comes. In between something has to arrive: when
    everything fails for longer than the server remembers, all that is in flight is uncertain.
    """
    before = world.proxy.fired
    given = 0
    while given < times or world.proxy.fired - before < FIRED_SHARE * times:
        if given < times:
            deadline = time.monotonic() + FIRE_S
        assert time.monotonic() < deadline, f"{world.proxy.fired - before} of {given} faults have fired"
        some = min(4, max(1, times - given))
        world.proxy.next(*(make() for _ in range(some)))
        given += some
        wait_for_progress(world, 500)
    world.did("requests spoilt", world.proxy.fired - before)


def spoilt_ways(chance: random.Random) -> list[Callable[[], Behaviour]]:
    """Every way in which a request or its answer goes wrong."""
    html = b"<html>Bad Gateway</html>"
    return [
        lambda: Delay(request_s=chance.uniform(0.1, 1.5)),
        lambda: Delay(answer_s=chance.uniform(0.1, 1.5)),
        lambda: Cut(request_bytes=chance.randint(0, 2000), reset=chance.random() < 0.5),
        lambda: Cut(answer_bytes=0, reset=chance.random() < 0.5),
        lambda: Cut(answer_bytes=chance.randint(1, 400)),
        lambda: Truncate(answer_bytes=chance.randint(1, 1500)),
        lambda: Answer.http(503, b'{"error":"draining","code":"draining"}', content_type="application/json"),
        lambda: Answer.http(429, b'{"error":"Too many requests"}', "Retry-After: 1", content_type="application/json"),
        lambda: Answer.http(500, b'{"error":"internal"}', content_type="application/json"),
        lambda: Answer.http(502, html),
        lambda: Answer.http(200, html),
        lambda: Answer.http(200, b'{"batch":[{}]}', content_type="application/json"),
        lambda: Answer(b"HTTP/1.1 200 OK\r\n\r\nnot json", forward=True),
        lambda: Answer(b"\x00garbage\xff\r\n\r\n", forward=True),
        lambda: Hang(forward=chance.random() < 0.5),
    ]


def spoil_requests(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """Delays, resets before and after, truncated answers, 503, 429, 500, 502, HTML, too few receipts, garbage, silence.

    In turn, until each has happened.
    """
    ways = spoilt_ways(world.chance)
    dealt: list[tuple[int, Behaviour]] = []
    turns = itertools.cycle(range(len(ways)))

    def make() -> Behaviour:
        way = next(turns)
        dealt.append((way, ways[way]()))
        return dealt[-1][1]

    before = len(world.proxy.connections)
    until_fired(world, make, times)
    deadline = time.monotonic() + FIRE_S
    while True:
        happened = {id(one.behaviour) for one in world.proxy.connections[before:] if one.fired}
        left = set(range(len(ways))) - {way for way, behaviour in dealt if id(behaviour) in happened}
        if not left or times < len(ways):
            break
        assert time.monotonic() < deadline, f"ways {sorted(left)} have not fired"
        for way in left:
            dealt.append((way, ways[way]()))
            world.proxy.next(dealt[-1][1])
        wait_for_progress(world, 500)
    world.did("ways to spoil", len(ways) - len(left))


def hang_requests(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """No answer until the delivery timeout; the server has the request, or has it not."""
    until_fired(world, lambda: Hang(forward=world.chance.random() < 0.5), times)


def restart_redis(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """SIGTERM and start, with the append-only file."""
    for _ in range(times):
        wait_for_progress(world, 500)
        world.redis.restart()
        world.did("Redis restarted")
        time.sleep(2)


def flush_scripts(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """Redis forgets every script between two calls."""
    with redis.Redis.from_url(world.redis.url) as client:
        for _ in range(times):
            client.script_flush()
            world.did("scripts flushed")
            time.sleep(0.05)
    wait_for_progress(world, 500)


def freeze_sockudo(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """SIGSTOP for eight seconds, shorter than the window."""
    for _ in range(times):
        wait_for_progress(world, 500)
        world.sockudo.pause()
        time.sleep(8)
        world.sockudo.resume()
        world.did("Sockudo frozen")


def refuse_connections(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """No server listens, for longer than the window: nothing was sent, so nothing is uncertain."""
    for _ in range(times):
        wait_for_progress(world, 500)
        # Between two bursts: a connection that waits to be accepted when the listener goes is reset, and its
        # request may have been read, for all that its sender can know.
        wait_until_nothing_is_sent(world)
        world.proxy.refuse()
        time.sleep(TTL_S + 6)
        world.proxy.listen()
        world.did("connections refused")


def empty_cache(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """The server's Redis cache is killed and comes back empty, with requests in flight."""
    assert world.cache is not None
    for _ in range(times):
        wait_for_progress(world, 500)
        world.cache.kill()
        time.sleep(0.5)
        world.cache.start()
        world.did("caches emptied")
        time.sleep(3)


def all_at_once(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """Kills, cuts, spoilt answers, freezes and restarts: two at a time, to a process and to a way between them."""
    for _ in range(times):
        with ThreadPoolExecutor(1) as beside:
            wire = beside.submit(world.chance.choice(WAYS), world, publisher, world.chance.randint(1, 4))
            world.chance.choice(PROCESSES)(world, publisher, world.chance.randint(1, 3))
            wire.result()


def nothing(world: FaultWorld, publisher: Publisher, times: int) -> None:
    """Only traffic."""
    wait_for_progress(world, 500 * times)


#: What may happen at once with nothing lost, repeated or out of order: to processes, and to the ways between them.
PROCESSES: tuple[Act, ...] = (kill_workers, freeze_workers, freeze_sockudo)
WAYS: tuple[Act, ...] = (cut_requests, spoil_requests, hang_requests, restart_redis, flush_scripts)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("workers killed at any time", "SIGKILL under load", kill_until_stuck, 12, 1, bound=left_in_mid_batch),
    *(
        Scenario(f"worker killed at {point}", "SIGKILL at the crash point", killed_at(point), times)
        for point, times in (("leased", 6), ("taken", 8), ("posted", 8), ("settled", 6), ("held", 3), ("buried", 4))
    ),
    Scenario("worker killed before and after each script", "SIGKILL at the Lua boundaries", killed_beside_scripts, 1),
    Scenario(
        "worker killed before and after each script of scheduled events",
        "SIGKILL at the Lua boundaries; callers and operators too",
        killed_beside_scheduled,
        1,
    ),
    Scenario("callers killed", "SIGKILL at each point between the call and its return", kill_producers, 30, 6),
    Scenario("workers frozen past their lease", "SIGSTOP, then a zombie", freeze_workers, 6),
    Scenario("requests cut in mid-batch", "docs/server.md, A1 to A3", cut_requests, 60, bound=left_in_mid_batch),
    Scenario(
        "requests cut, Redis cache",
        "the stuck item itself may repeat: docs/server.md, A5",
        cut_requests,
        40,
        setup=Setup(cache="redis"),
        bound=stuck_may_repeat,
    ),
    Scenario(
        "requests cut, history on",
        "recorded is not delivered: docs/server.md, A7",
        cut_requests,
        40,
        setup=Setup(history=True),
        bound=recorded_not_sent,
    ),
    Scenario(
        "requests cut, history on, Redis cache",
        "both of it",
        cut_requests,
        40,
        setup=Setup(cache="redis", history=True),
        bound=recorded_or_stuck,
    ),
    Scenario(
        "workers killed, Redis cache",
        "the stuck item itself may repeat: docs/server.md, A5",
        kill_workers,
        6,
        setup=Setup(cache="redis"),
        bound=stuck_may_repeat,
    ),
    Scenario(
        "workers killed, history on",
        "recorded is not delivered: docs/server.md, A7",
        kill_workers,
        6,
        setup=Setup(history=True),
        bound=killed_recorded_not_sent,
    ),
    Scenario("requests cut, behind nginx", "docs/server.md, A10", cut_requests, 60, 12, setup=Setup(nginx=True)),
    Scenario(
        "workers killed, behind nginx",
        "the same",
        kill_workers,
        8,
        setup=Setup(nginx=True, workers=3),
        bound=finished_by_nginx,
    ),
    Scenario("answers spoilt in every way", "proxy between worker and server", spoil_requests, 120, 16),
    Scenario("requests without an answer", "the delivery timeout", hang_requests, 6),
    Scenario("connections refused past the window", "nothing was sent", refuse_connections, 1, bound=never_uncertain),
    *(
        Scenario(
            f"Sockudo away past the window, behind nginx, {policy}",
            "nginx says that nothing went upstream",
            refuse_connections,
            1,
            setup=Setup(nginx=True, proxy_behind_nginx=True, settings={"SOCKUDO_ON_UNCERTAIN": policy}),
            bound=never_uncertain,
        )
        for policy in ("resend", "park")
    ),
    Scenario(
        "workers killed, uncertain parked",
        "at most once: what is uncertain is parked",
        kill_until_stuck,
        12,
        setup=Setup(settings={"SOCKUDO_ON_UNCERTAIN": "park"}),
        bound=held_is_missing,
    ),
    Scenario("Redis restarted", "SIGTERM, append-only file", restart_redis, 6),
    Scenario("scripts flushed", "SCRIPT FLUSH between any two calls", flush_scripts, 200, 40),
    Scenario("Sockudo frozen", "8 s, inside the window", freeze_sockudo, 3, 1),
    Scenario(
        "the server's cache restarted empty",
        "what was in flight may repeat: docs/server.md, C",
        empty_cache,
        4,
        setup=Setup(cache="redis"),
        bound=forgotten_may_repeat,
    ),
    Scenario(
        "two nodes, round-robin",
        "Sockudo keeps no order between nodes: docs/server.md, B",
        nothing,
        40,
        10,
        setup=Setup(nodes=2),
        bound=shown_only,
    ),
    Scenario(
        "two nodes, requests cut",
        "the same: docs/server.md, A9 and B",
        cut_requests,
        20,
        setup=Setup(nodes=2),
        bound=shown_only,
    ),
    Scenario("everything at once", "at random", all_at_once, 12, setup=Setup(workers=3), bound=late_may_repeat),
)

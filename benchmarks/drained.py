"""Measure how fast a backlog is delivered: this package, its peers, and the ceiling, in rounds of one run each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import redis
from celery import Celery

from sockudo_publisher import publish_many
from sockudo_publisher.config.settings import DEFAULT_APP, get_settings
from sockudo_publisher.journal.keys import lane_keys

from .ceiling import Driver
from .parts import Parts, peer_worker, worker
from .plan import Plan
from .rates import MIDDLE, at_count, middle_rate
from .usage import cpu_s, rss_bytes, spin_ms
from .workload import events

__all__ = ["Drained", "Settled", "measure"]

#: Seconds between two looks at how far a run is. A look at ours is one round trip of eight HGETs.
LOOK_S = 0.025

#: Seconds without any progress after which a run is given up.
STUCK_S = 60.0

#: Ways to run the peers' workers; the one with the better median is compared with.
POOLS = {"prefork 2": ("--pool=prefork", "--concurrency=2"), "threads 8": ("--pool=threads", "--concurrency=8")}


@dataclass
class Drained:
    """Events a second of each side, by round; CPU microseconds per event of this package and of the ceiling."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    rss_mb: list[tuple[float, float, float]] = field(default_factory=list)  # at 10, 50 and 90 % of a run
    spins_ms: list[float] = field(default_factory=list)

    def better(self, module: str) -> str:
        """The side of a peer whose pool had the higher median."""
        return max((f"{module} {pool}" for pool in POOLS), key=lambda side: median(self.rates[side]))


def measure(parts: Parts, plan: Plan, driver: Driver, say: Callable[[str], None]) -> Drained:
    """Each round measures every side once."""
    result = Drained()

    def note(side: str, rate: float) -> None:
        result.rates.setdefault(side, []).append(rate)
        result.spins_ms.append(spin_ms())
        say(f"  {side}: {rate:,.0f}/s")

    for number in range(plan.rounds):
        say(f"drained: round {number + 1} of {plan.rounds}")
        for batch, count in ((500, plan.backlog), (100, plan.ceiling_events), (1000, plan.ceiling_events)):
            if batch != 500:
                parts.fresh()
                run = driver.run(parts.sockudo, parts.directory, count, batch)
                note(f"ceiling {batch}", run.rate)
                continue
            # The pair that the target is about: one right after the other, its order changing.
            for ours_now in (True, False) if number % 2 else (False, True):
                parts.fresh()
                if ours_now:
                    note("ours", ours(parts, count, result))
                else:
                    run = driver.run(parts.sockudo, parts.directory, count, batch)
                    note(f"ceiling {batch}", run.rate)
                    result.cpu_us.setdefault("ceiling", []).append(run.cpu_us)
        parts.fresh()
        mixed = driver.run(parts.sockudo, parts.directory, plan.backlog, 500, mixed=True)
        note("ceiling 500 mixed", mixed.rate)
        # Both pools every time: which of them is the better one differs from run to run.
        for module, count in (("per_event", plan.task_events), ("in_batches", plan.batches_events)):
            for pool, args in POOLS.items():
                note(f"{module} {pool}", peer(parts, module, count, args))
        parts.fresh()
        note("trigger", loop(parts, plan.trigger_events, 1))
        note("trigger_batch", loop(parts, plan.trigger_batch_events, 100))
        note("trigger_batch with keys", loop(parts, plan.trigger_batch_events, 100, with_keys=True))
    return result


class Settled:
    """How many events this package has settled in a database of Redis: one round trip a look."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._counts = [lane_keys(DEFAULT_APP, lane).counts for lane in range(get_settings().lanes)]

    def __call__(self) -> int:
        with self._client.pipeline(transaction=False) as look:
            for key in self._counts:
                look.hget(key, "settled")
            return sum(int(value or 0) for value in look.execute())

    def close(self) -> None:
        self._client.close()


@contextmanager
def settled(url: str) -> Iterator[Settled]:
    """A look at a database."""
    look = Settled(url)
    try:
        yield look
    finally:
        look.close()


def ours(parts: Parts, count: int, result: Drained) -> float:
    """A backlog stored beforehand, and one worker with its own settings that is started then."""
    publish_many(events(count))
    drainer = worker(parts)
    processes = {"server": parts.sockudo, "redis": parts.redis, "worker": drainer}
    used: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    resident: list[tuple[float, float]] = []

    def look_at_processes(reached: int) -> None:
        for name, part in processes.items():
            used[name].append((cpu_s(pids if part is drainer else [part.pid]), reached))
        resident.append((rss_bytes(pids), reached))

    with settled(parts.redis.url) as look, drainer:
        pids = drainer.pids
        samples = watch(look, count, look_at_processes)
    shares = [at_count([(value, reached) for value, reached in resident], share * count) for share in (0.1, 0.5, 0.9)]
    result.rss_mb.append((shares[0] / 2**20, shares[1] / 2**20, shares[2] / 2**20))
    middle = (MIDDLE[1] - MIDDLE[0]) * count
    result.cpu_us.setdefault("ours", []).append(
        {
            name: (at_count(seen, MIDDLE[1] * count) - at_count(seen, MIDDLE[0] * count)) / middle * 1e6
            for name, seen in used.items()
        }
    )
    return middle_rate(samples, count)


def watch(look: Callable[[], int], total: int, also: Callable[[int], None] | None = None) -> list[tuple[float, float]]:
    """Samples of (seconds, events done) until all are. Raises :class:`RuntimeError` when nothing moves any more."""
    samples = [(time.monotonic(), float(look()))]
    moved_at = samples[0][0]
    while samples[-1][1] < total:
        time.sleep(LOOK_S)
        reached, now = look(), time.monotonic()
        if also is not None:
            also(reached)
        if reached > samples[-1][1]:
            moved_at = now
        elif now - moved_at > STUCK_S:
            raise RuntimeError(f"only {reached} of {total} events are done, and nothing moved for {STUCK_S:g} s")
        samples.append((now, float(reached)))
    return samples


def peer(parts: Parts, module: str, count: int, args: tuple[str, ...]) -> float:
    """A backlog of Celery messages stored beforehand, and one worker that is started then."""
    parts.fresh()
    done = parts.directory / "done"
    done.write_bytes(b"")
    task = "benchmarks.trigger" if module == "per_event" else "benchmarks.trigger_batch"
    with Celery(broker=parts.redis.url, set_as_current=False) as app, app.producer_pool.acquire() as producer:
        for event in events(count):
            app.send_task(task, event, producer=producer, ignore_result=True)
    with peer_worker(parts, module, done, args):
        return middle_rate(watch(lambda: done.stat().st_size, count), count)


def loop(parts: Parts, count: int, batch: int, *, with_keys: bool = False) -> float:
    """The SDK called in a loop, without a queue; ``with_keys``: the server then has to look each event up."""
    from .peers import sdk  # in the peers' environment alone

    todo = list(events(count))
    samples = [(time.monotonic(), 0.0)]
    with sdk.Sockudo.from_url(parts.sockudo.url) as client:
        client.set_auto_idempotency_key(with_keys)
        for first in range(0, count, batch):
            if batch == 1:
                sdk.trigger(client, *todo[first])
            else:
                sdk.trigger_batch(client, todo[first : first + batch])
            samples.append((time.monotonic(), float(min(first + batch, count))))
    return middle_rate(samples, count)

"""Whether a deep backlog slows the worker, or fills it: two journals of one Redis, held at their depths, in turns.

What is drained is replaced at once, on both sides, so both pay the same for it and each stays as deep as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sockudo_publisher import publish_many
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.publishing.call import PublishCall
from sockudo_publisher.publishing.prepare import prepare
from sockudo_publisher.wiring.app import app_named

from .drained import STUCK_S, settled
from .parts import Parts, worker
from .plan import Plan
from .usage import rss_bytes
from .workload import events

__all__ = ["Backlog", "Tenth", "measure"]

#: Seconds before a measurement begins, and between two looks.
WARM_UP_S = 1.0
LOOK_S = 0.002

#: Events by which a journal is filled up again.
CHUNK = 2000

#: Events a second that are encoded beforehand: more than any worker drains on two cores.
MAX_RATE = 100_000

#: Parts in which one drain is looked at.
TENTHS = 10

#: Databases of the one Redis.
DEEP, SHALLOW = 0, 1


@dataclass(frozen=True)
class Tenth:
    """How far one drain was, its events a second since the tenth before, and the worker's memory then."""

    share: float
    rate: float
    rss_mb: float


@dataclass
class Backlog:
    """Events a second by pair; one drain of the deep journal to its end."""

    deep: list[float] = field(default_factory=list)
    shallow: list[float] = field(default_factory=list)
    depth: int = 0
    tenths: list[Tenth] = field(default_factory=list)  # of one drain to the end


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Backlog:
    """Pairs of blocks, then one drain to the end."""
    parts.fresh()
    result = Backlog(depth=plan.deep_backlog)
    stored = {DEEP: 0, SHALLOW: 0}
    say(f"backlog: storing {plan.deep_backlog:,} events")
    fill(parts, DEEP, plan.deep_backlog, stored)
    for pair in range(plan.backlog_pairs):
        for database, rates in ((DEEP, result.deep), (SHALLOW, result.shallow)):
            depth = plan.deep_backlog if database == DEEP else plan.shallow_backlog
            # Each block with a server that has seen nothing: the one that drains second must not find a fuller one.
            parts.sockudo.restart()
            rates.append(held_at(parts, database, depth, plan.backlog_block_s, stored))
        say(f"backlog: pair {pair + 1} of {plan.backlog_pairs}: {result.deep[-1]:,.0f}/s, {result.shallow[-1]:,.0f}/s")
    say("backlog: draining it to its end")
    parts.sockudo.restart()
    result.tenths = to_the_end(parts, stored[DEEP])
    return result


def fill(parts: Parts, database: int, count: int, stored: dict[int, int]) -> None:
    """Store ``count`` more events."""
    parts.use(database)
    publish_many(events(count, stored[database]))
    stored[database] += count


def finished(parts: Parts, database: int, first: int, count: int) -> list[list[Item]]:
    """Encoded chunks to feed a journal with: encoding them meanwhile would be slower than the worker drains."""
    parts.use(database)
    app = app_named()
    starts = range(first, first + count, CHUNK)
    return [
        [item for event in events(CHUNK, start) for item in prepare(app, PublishCall(*event)).items] for start in starts
    ]


def held_at(parts: Parts, database: int, depth: int, block_s: float, stored: dict[int, int]) -> float:
    """Events a second while the journal is held at a depth.

    Raises :class:`RuntimeError` when it was not: a journal that runs empty shows the feeder's rate, not the worker's.
    """
    parts.use(database)
    with settled(parts.redis.database_url(database)) as look:
        missing = depth - (stored[database] - look())
        if missing > 0:
            fill(parts, database, missing, stored)
        chunks = finished(parts, database, stored[database], int(MAX_RATE * (block_s + WARM_UP_S)))
        producer, lowest = app_named().producer, depth
        with worker(parts, database):
            begun = look()
            while look() < begun + 1:
                time.sleep(LOOK_S)
            warm_until = time.monotonic() + WARM_UP_S
            first: tuple[float, int] | None = None
            while True:
                reached, now = look(), time.monotonic()
                if now >= warm_until and first is None:
                    first = (now, reached)
                lowest = min(lowest, stored[database] - reached)
                if first is not None and now - first[0] >= block_s:
                    break
                if stored[database] - reached <= depth - CHUNK and chunks:
                    producer.append(chunks.pop())
                    stored[database] += CHUNK
                else:
                    time.sleep(LOOK_S)
        if lowest < depth / 2:
            raise RuntimeError(f"a journal to be held at {depth:,} fell to {lowest:,}: it was not fed fast enough")
        return (reached - first[1]) / (now - first[0])


def to_the_end(parts: Parts, total: int) -> list[Tenth]:
    """A worker drains the deep journal until it is empty. The first tenth includes its start."""
    parts.use(DEEP)
    drainer = worker(parts, DEEP)
    tenths: list[Tenth] = []
    with settled(parts.redis.database_url(DEEP)) as look, drainer:
        begun = look()
        most, before = total - begun, (time.monotonic(), 0)
        while len(tenths) < TENTHS:
            reached, now = look() - begun, time.monotonic()
            if reached >= (len(tenths) + 1) * most // TENTHS:
                rate = (reached - before[1]) / (now - before[0])
                tenths.append(Tenth((len(tenths) + 1) / TENTHS, rate, rss_bytes(drainer.pids) / 2**20))
                before = (now, reached)
            elif now - before[0] > STUCK_S:
                raise RuntimeError(f"only {reached:,} of {most:,} events are done")
            time.sleep(LOOK_S * 10)
    return tenths

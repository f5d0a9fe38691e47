"""Whether a deep backlog slows the worker, or fills it: two journals of one Redis, held at their depths, in turns.

What is drained is replaced at once, on both sides, so both pay the same for it and each stays as deep as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sockudo_publisher import publish_many

from .drained import settled
from .parts import Parts, worker
from .plan import Plan
from .usage import rss_bytes
from .workload import events

__all__ = ["Backlog", "measure"]

#: Seconds before a measurement begins, and between two looks.
WARM_UP_S = 1.0
LOOK_S = 0.02

#: Events by which a journal is filled up again.
CHUNK = 2000

#: Databases of the one Redis.
DEEP, SHALLOW = 0, 1


@dataclass
class Backlog:
    """Events a second by pair; the worker's memory over one drain of the deep journal to its end."""

    deep: list[float] = field(default_factory=list)
    shallow: list[float] = field(default_factory=list)
    depth: int = 0
    rss_mb: list[tuple[float, float]] = field(default_factory=list)  # (share drained, MB)


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
    result.rss_mb = to_the_end(parts, stored[DEEP])
    return result


def fill(parts: Parts, database: int, count: int, stored: dict[int, int]) -> None:
    """Store so many more events."""
    parts.use(database)
    publish_many(events(count, stored[database]))
    stored[database] += count


def held_at(parts: Parts, database: int, depth: int, block_s: float, stored: dict[int, int]) -> float:
    """Events a second while the journal is held at a depth."""
    parts.use(database)
    with settled(parts.redis.database_url(database)) as look:
        missing = depth - (stored[database] - look())
        if missing > 0:
            fill(parts, database, missing, stored)
        with worker(parts, database):
            begun = look()
            while look() < begun + CHUNK:
                time.sleep(LOOK_S)
            warm_until = time.monotonic() + WARM_UP_S
            first: tuple[float, int] | None = None
            while True:
                reached, now = look(), time.monotonic()
                if now >= warm_until and first is None:
                    first = (now, reached)
                if first is not None and now - first[0] >= block_s:
                    return (reached - first[1]) / (now - first[0])
                if stored[database] - reached <= depth - CHUNK:
                    publish_many(events(CHUNK, stored[database]))
                    stored[database] += CHUNK
                else:
                    time.sleep(LOOK_S)


def to_the_end(parts: Parts, total: int) -> list[tuple[float, float]]:
    """(share drained, resident MB) of a worker that drains the deep journal until it is empty."""
    parts.use(DEEP)
    drainer = worker(parts, DEEP)
    seen: list[tuple[float, float]] = []
    with settled(parts.redis.database_url(DEEP)) as look, drainer:
        begun = look()
        most, next_share = total - begun, 0.1
        while (reached := look() - begun) < most:
            if reached >= next_share * most:
                seen.append((next_share, rss_bytes(drainer.pids) / 2**20))
                next_share += 0.1
            time.sleep(LOOK_S)
        seen.append((1.0, rss_bytes(drainer.pids) / 2**20))
    return seen

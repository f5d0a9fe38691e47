"""``python -m benchmarks.alone``: this package's own figures, once, without its peers; one line of JSON.

For ``benchmarks.beside``, which runs it in turn with the package of another revision.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from sockudo_publisher import publish, publish_many

from .drained import Drained, ours
from .parts import parts
from .workload import events

__all__: list[str] = []

#: Calls before the measurement: connections, scripts, the lanes' doorbells.
FIRST_CALLS = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alone", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="of the backlog, and of publish_many")
    parser.add_argument("--calls", type=int, default=3_000, help="of publish.delay")
    given = parser.parse_args()
    with parts() as real:
        real.fresh()
        one_by_one(FIRST_CALLS)
        figures = {
            **costs("delay", lambda: one_by_one(given.calls), given.calls),
            **costs("publish_many", lambda: publish_many(events(given.events)), given.events),
        }
        real.fresh()
        drained = Drained()
        figures["drained, us"] = 1e6 / ours(real, given.events, drained)
        for part, used_us in drained.cpu_us["ours"][0].items():
            figures[f"drained, CPU us of the {part}"] = used_us
    print(json.dumps(figures))


def costs(name: str, run: Callable[[], object], count: int) -> dict[str, float]:
    """Microseconds per event: on the clock, and of this process' CPU."""
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {f"{name}, us": wall / count * 1e6, f"{name}, CPU us": cpu / count * 1e6}


def one_by_one(count: int) -> None:
    """Calls of ``publish.delay``."""
    for event in events(count):
        publish.delay(*event)


if __name__ == "__main__":
    main()

"""Run seeds: ``python -m tests.simulation --seeds 10000``; replay one: ``--seed 4711``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.clock import virtual_time
from tests.simulation.plan import Plan, plan_of, smaller
from tests.simulation.world import run

#: Seeds that one job runs between two reports.
CHUNK = 500


def failure_of(plan: Plan) -> Exception | None:
    """What breaks in it."""
    try:
        run(plan)
    except Exception as error:
        return error
    return None


def shrunk(plan: Plan, kind: str) -> Plan:
    """The smallest plan that still breaks with these first words."""
    while True:
        for one in smaller(plan):
            error = failure_of(one)
            if error is not None and kind_of(error) == kind:
                plan = one
                break
        else:
            return plan


def kind_of(error: Exception) -> str:
    """The error without its numbers."""
    return f"{type(error).__name__}: " + "".join(one for one in str(error) if one.isalpha() or one == " ")[:40]


def chunk(first: int, last: int) -> tuple[int, int, Counter[str], int | None]:
    """Run these seeds: how many, their steps, the named duplicates, and the first that broke."""
    causes: Counter[str] = Counter()
    steps = 0
    with virtual_time():
        for seed in range(first, last):
            try:
                world = run(plan_of(seed))
            except Exception:
                return seed - first + 1, steps, causes, seed
            causes.update(world.oracle.causes)
            steps += world.scheduler.steps
    return last - first, steps, causes, None


def show(seed: int, *, whole: bool) -> bool:
    """Print a seed's plan and what happened; whether it held."""
    with virtual_time():
        plan = plan_of(seed)
        error = failure_of(plan)
        if error is not None and not whole:
            plan = shrunk(plan, kind_of(error))
        print(f"seed {seed}{', made smaller' if plan != plan_of(seed) else ''}:\n{plan}")
        try:
            run(plan, print)
        except Exception as broken:
            print(f"BROKEN: {type(broken).__name__}: {broken}")
            return False
    print("held")
    return True


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds to run (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--seed", type=int, help="show what happens with this one")
    parser.add_argument("--whole", action="store_true", help="with --seed: do not make a failing plan smaller")
    parser.add_argument("--brief", action="store_true", help="of a seed that breaks say only how")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    given = parser.parse_args()
    if given.seed is not None:
        return 0 if show(given.seed, whole=given.whole) else 1
    start = time.perf_counter()
    last = given.first + given.seeds
    chunks = [(first, min(first + CHUNK, last)) for first in range(given.first, last, CHUNK)]
    seeds, steps, causes, failed = 0, 0, Counter[str](), None
    with ProcessPoolExecutor(given.jobs) as pool:
        results = pool.map(chunk, *zip(*chunks, strict=True)) if given.jobs > 1 else (chunk(*one) for one in chunks)
        for count, passed, named, broken in results:
            seeds, steps = seeds + count, steps + passed
            causes.update(named)
            if broken is not None:
                failed = broken
                pool.shutdown(cancel_futures=True)
                break
    took = time.perf_counter() - start
    told = f"{seeds} seeds, {steps} steps in {took:.1f} s: {seeds / took:.0f} seeds/s in {given.jobs} process(es)"
    if given.jobs == 1:  # what other work on the machine does not slow down
        told += f"; {seeds / time.process_time():.0f} seeds per second of processor time"
    print(told)
    print("unavoidable duplicates: " + (", ".join(f"{n} {c}" for c, n in causes.most_common()) or "none"))
    if failed is None:
        return 0
    if given.brief:
        with virtual_time():
            print(f"seed {failed} breaks: {failure_of(plan_of(failed))}")
        return 1
    print(f"\nseed {failed} breaks; python -m tests.simulation --seed {failed} shows it again\n")
    show(failed, whole=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())

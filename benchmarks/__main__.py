"""``python -m benchmarks [--full] [--only SCENARIO ...] [--output FILE]``"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from .environment import PEERS, enter
from .plan import FULL, QUICK, SCENARIOS, TINY

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Measure, print and write the page. Exit code 0, also with missed targets; 1 if the run failed."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description="This package's speed beside its peers.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="the run whose table is published; about twenty minutes")
    size.add_argument("--tiny", action="store_true", help="only to see that it runs")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this part alone (may be repeated)")
    parser.add_argument("--output", type=Path, help="where to write the page; benchmarks/results.md for a whole run")
    chosen = parser.parse_args(arguments)
    enter(arguments)
    plan = FULL if chosen.full else TINY if chosen.tiny else QUICK

    # Only here: the peers are installed in the environment that has just been entered.
    from sockudo_publisher.dev.embedded.sockudo import sockudo_version

    from . import (
        backlog,
        client,
        cold,
        coroutines,
        drained,
        enqueueing,
        holds,
        imports,
        latency,
        scheduled,
        steps,
        telemetry,
    )
    from .ceiling import find_driver, item_bytes
    from .parts import parts
    from .report import Facts, Results, page
    from .usage import spin_ms
    from .workload import CHANNELS, DATA_BYTES

    only = chosen.only or SCENARIOS
    began, load, spins = time.monotonic(), os.getloadavg()[0], [spin_ms()]
    results = Results()
    with parts() as real:
        driver = find_driver(real.directory)
        if "steps" in only:
            results.steps = steps.measure(real, plan, say)
            spins.append(spin_ms())
        if "imports" in only:
            results.imports = imports.measure(real, plan, say)
            spins.append(spin_ms())
        if "client" in only:
            results.client = client.measure(plan, say)
            spins.append(spin_ms())
        if "enqueue" in only:
            results.enqueue = enqueueing.measure(real, plan, say)
            spins.append(spin_ms())
        if "coroutines" in only:
            results.coroutines = coroutines.measure(real, plan, say)
            spins.append(spin_ms())
        if "latency" in only:
            results.latency = latency.measure(real, plan, say)
            spins.append(spin_ms())
        if "cold" in only:
            results.cold = cold.measure(real, plan, say)
            spins.append(spin_ms())
        if "drained" in only:
            results.drained = drained.measure(real, plan, driver, say)
            spins += results.drained.spins_ms
        if "holds" in only:
            results.holds = holds.measure(real, plan, say)
            spins.append(spin_ms())
        if "backlog" in only and plan.deep_backlog:
            results.backlog = backlog.measure(real, plan, say)
            spins.append(spin_ms())
        if "telemetry" in only:
            results.telemetry = telemetry.measure(real, plan, say)
            spins.append(spin_ms())
        if "scheduled" in only:
            results.scheduled = scheduled.measure(real, plan, say)
            spins.append(spin_ms())
        names = ("celery", "kombu", "redis", "hiredis", "requests", *PEERS)
        versions = {
            "Python": platform.python_version(),
            "Sockudo": sockudo_version(real.sockudo.program),
            "Redis": ".".join(map(str, real.redis.version)),
            "sockudo-publisher": version("sockudo-publisher"),
            **{name: version(name) for name in names},
        }
    facts = Facts(
        date=date.today().isoformat(),
        command=f"make bench{' ARGS=' + repr(' '.join(arguments)) if arguments else ''}",
        machine=f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        versions=versions,
        plan=plan.name,
        driver=driver.name,
        item_bytes=item_bytes(),
        data_bytes=DATA_BYTES,
        channels=len(CHANNELS),
        spins_ms=spins,
        load=load,
        seconds=time.monotonic() - began,
    )
    text = page(results, facts)
    print("\n" + text)
    output = chosen.output or (None if chosen.only or chosen.tiny else HERE / "results.md")
    if output is not None:
        output.write_text(text)
        print(f"written: {output}")
    return 0


def say(line: str) -> None:
    """Print the progress."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

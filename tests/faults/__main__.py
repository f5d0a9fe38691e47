"""`make faults`: every scenario with its kills, and the table of its results. Exit 1 when a bound was broken."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sockudo_publisher.dev.embedded import EmbeddedError
from tests.support.publisher import Publisher

from .bounds import late_may_repeat
from .run import Row, run
from .scenarios import SCENARIOS, Scenario, all_at_once
from .world import DEFAULT_TTL_S, FaultWorld, Setup

#: Processes that a whole run kills at least.
MIN_KILLS = 100

COLUMNS = "| scenario | faults | promised | lost | duplicated | reordered | longest call | counted |"


def line(row: Row) -> str:
    """A row of the table, in Markdown."""
    verdict, bound = row.verdict, row.bound
    pairs = (
        (verdict.lost, bound.lost),
        (verdict.duplicated, bound.duplicated),
        (verdict.reordered, bound.reordered),
    )
    values = [
        f"{value:,}" if limit == 0 else f"{value:,} ({'any' if limit is None else f'at most {limit}'})"
        for value, limit in pairs
    ]
    done = ", ".join(f"{count} {what}" for what, count in row.done.items()) or "-"
    counted = ", ".join(f"{name} {count}" for name, count in sorted(row.counts.items()) if name != "settled") or "-"
    mark = "" if row.is_kept else " **BROKEN**"
    return (
        f"| {row.name}{mark} | {done} | {verdict.promised:,} | {' | '.join(values)} "
        f"| {row.longest_call_s:.2f} s | {counted} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is chosen, and print the table as it grows. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few faults of each kind: what CI runs")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORDS", help="scenarios whose name has these words"
    )
    parser.add_argument("--list", action="store_true", help="the names, and nothing else")
    parser.add_argument("--seed", type=int, default=None, help="of the faults' choice; printed")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    parser.add_argument("--minutes", type=float, help="instead: everything at random for so long, one row (make soak)")
    parser.add_argument(
        "--evidence", metavar="DIR", default=tempfile.gettempdir(), help="where to tell of events that came twice"
    )
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    if options.list:
        print("\n".join(one.name for one in SCENARIOS))
        return 0
    chosen = [(one, one.short_times if options.short else one.times) for one in SCENARIOS]
    if options.minutes:
        chosen = [(soak(options.minutes), 1)]
    chosen = [(one, times) for one, times in chosen if times]
    if options.only:
        chosen = [(one, times) for one, times in chosen if any(words in one.name for words in options.only)]
    if not chosen:
        parser.error("no scenario of that name")
    Path(options.evidence).mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}\n\n{COLUMNS}\n|{'---|' * 8}", flush=True)
    rows: list[Row] = []
    unplayed = 0
    for scenario, times in chosen:
        try:
            rows.append(run(scenario, times, seed))
        except (AssertionError, EmbeddedError) as error:  # not played: no verdict, no good sign
            unplayed += 1
            print(f"| {scenario.name} **NOT PLAYED** | {error} |", flush=True)
        else:
            print(line(rows[-1]), flush=True)
            if rows[-1].evidence:
                file = Path(options.evidence, f"faults-{seed}-{len(rows)}.txt")
                file.write_text(f"{rows[-1].name}\n\n{rows[-1].evidence}\n")
                print(f"what happened when: {file}", file=sys.stderr, flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump([asdict(row) for row in rows], file, indent=2)
    broken = sum(not row.is_kept for row in rows)
    took = sum(row.took_s for row in rows)
    kills = sum(count for row in rows for what, count in row.done.items() if "killed" in what)
    played = f"{len(rows)} scenarios in {took / 60:.1f} minutes, {broken} broke their bound"
    print(f"\n{played}, {unplayed} could not be played.", flush=True)
    print(f"{kills} processes were killed.", flush=True)
    is_whole = not (options.short or options.only or options.minutes)
    if is_whole and kills < MIN_KILLS:
        print(f"A whole run kills {MIN_KILLS} at least.", flush=True)
        return 1
    return 1 if broken or unplayed else 0


def soak(minutes: float) -> Scenario:
    """Everything at random until the time is over, with the server's default memory."""
    until = time.monotonic() + minutes * 60

    def act(world: FaultWorld, publisher: Publisher, _times: int) -> None:
        while time.monotonic() < until:
            all_at_once(world, publisher, 1)

    setup = Setup(workers=3, ttl_s=DEFAULT_TTL_S)
    return Scenario(f"soak of {minutes:g} minutes", "at random", act, 1, setup=setup, bound=late_may_repeat)


if __name__ == "__main__":
    sys.exit(main())

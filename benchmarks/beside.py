"""``python -m benchmarks.beside REVISION``: the package as it is beside itself as it was, in pairs.

The sides are measured one right after the other, in turns: what a change has cost is the median of the pairs' ratios.
Both are measured by today's benchmark. A revision from before the package had its rooms is measured by its own, which
does the same steps under the names of its time. Needs git, and the history of the revision.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import cast

from .parts import ROOT
from .ratios import of_pairs, spread

__all__: list[str] = []

#: Seconds of one measurement.
TIMEOUT_S = 300


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("revision", help="of git: the package as it was")
    parser.add_argument("--rounds", type=int, default=9, help="pairs (default 9)")
    parser.add_argument("--events", type=int, default=100_000, help="of the backlog (default 100,000)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sockudo-beside-") as directory:
        then = Path(directory)
        check_out(given.revision, then)
        if (then / "sockudo_publisher" / "dev").is_dir():
            shutil.rmtree(then / "benchmarks")
            shutil.copytree(ROOT / "benchmarks", then / "benchmarks")
        sides: dict[Path, list[dict[str, float]]] = {ROOT: [], then: []}
        for number in range(given.rounds):
            for root in sorted(sides, reverse=bool(number % 2)):
                sides[root].append(alone(root, given.events))
            print(f"pair {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
    now, before = sides[ROOT], sides[then]
    print(f"| microseconds per event | {given.revision} | now | now / {given.revision} |\n|---|---|---|---|")
    for name in now[0]:
        mine, theirs = [one[name] for one in now], [one[name] for one in before]
        print(
            f"| {name} | {spread(theirs).text(1)} | {spread(mine).text(1)} | {of_pairs(mine, theirs).text(2)} |",
        )


def check_out(revision: str, directory: Path) -> None:
    """The package, its worker and its benchmarks of a revision."""
    command = ["git", "archive", "--format=tar", revision, "sockudo_publisher", "worker", "benchmarks"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")


def alone(root: Path, count: int) -> dict[str, float]:
    """One measurement of the package under ``root``: the working directory comes first on a program's path."""
    command = [sys.executable, "-m", "benchmarks.alone", "--events", str(count)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return cast("dict[str, float]", json.loads(ended.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()

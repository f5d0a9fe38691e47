"""Plant every bug of the tables, one at a time, and see that its test finds it in time.

    python -m scripts.mutants [GROUP...] [--only NAME] [--jobs N] [--trust]

The working tree is not touched: each job has a copy of the package and the tests, in a temporary directory. First each
test command runs once on the unchanged copy, and must pass (``--trust`` leaves that out). Exit code 1: a bug was not
found, or not in time; 2: a table does not fit the code (a text that is not there exactly once, a command that fails
without any bug).
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from . import GROUPS, Mutant

__all__ = ["Misfit", "MutantResult", "Workshop", "main", "read_tables"]

ROOT = Path(__file__).resolve().parents[2]

#: What is copied; everything else that is in the checkout is only linked to.
COPIED = ("sockudo_publisher", "tests")

#: Seconds for a command on the unchanged code: it has to run to its end there.
UNCHANGED_S = 300.0


class Misfit(Exception):
    """A table does not fit the code."""


@dataclass(frozen=True)
class MutantResult:
    """The result of a mutant: its test's exit ``code`` (``None``: too slow), ``seconds`` and last output line."""

    mutant: Mutant
    code: int | None
    seconds: float
    last_line: str

    @property
    def is_found(self) -> bool:
        """Whether the test failed as a test does."""
        return self.code == 1


class Workshop:
    """A copy of the checkout in which one mutant at a time is planted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for entry in ROOT.iterdir():
            if entry.name in COPIED:
                shutil.copytree(entry, directory / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif not entry.name.startswith("."):
                (directory / entry.name).symlink_to(entry)
        told = self.run(("-c", "import sockudo_publisher; print(sockudo_publisher.__file__)"), 60.0)
        if not told[2].startswith(str(directory)):
            raise Misfit(f"the copy is not what is imported: {told[2]}")

    def run(self, test: Sequence[str], limit_s: float) -> tuple[int | None, float, str]:
        """Run a test. Returns its exit code (``None``: killed at the limit), its seconds, its last line."""
        # No bytecode: a file that changes twice in a second, and keeps its size, would be taken for the old one.
        environ = {**os.environ, "PYTHONPATH": str(self.directory), "PYTHONDONTWRITEBYTECODE": "1"}
        start = time.monotonic()
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                [sys.executable, *test],
                cwd=self.directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code: int | None
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # and all that it started
                process.wait()
                code = None
            seconds = time.monotonic() - start
            output.seek(0)
            lines = [line.strip() for line in output if line.strip()]
        return code, seconds, lines[-1] if lines else ""

    def plant(self, mutant: Mutant) -> MutantResult:
        """Run one mutant's test, then restore the file."""
        path = self.directory / mutant.file
        text = path.read_text(encoding="utf-8")
        path.write_text(changed(mutant, text), encoding="utf-8")
        try:
            return MutantResult(mutant, *self.run(mutant.test, mutant.limit_s))
        finally:
            path.write_text(text, encoding="utf-8")


def changed(mutant: Mutant, text: str) -> str:
    """The file's text with the bug. Raises :class:`Misfit`. Pure."""
    count = text.count(mutant.old)
    if count != 1:
        raise Misfit(f"{mutant.name}: its old text is in {mutant.file} {count} times, not once")
    if mutant.old == mutant.new:
        raise Misfit(f"{mutant.name}: nothing is changed")
    return text.replace(mutant.old, mutant.new)


def read_tables(groups: Sequence[str]) -> tuple[Mutant, ...]:
    """All mutants of these groups, held against the code. Raises :class:`Misfit`."""
    mutants: list[Mutant] = []
    for group in groups:
        if group not in GROUPS:
            raise Misfit(f"{group}: no table of this name ({', '.join(GROUPS)})")
        mutants += importlib.import_module(f"{__package__}.{group}").MUTANTS
    names = [mutant.name for mutant in mutants]
    for name in {name for name in names if names.count(name) > 1}:
        raise Misfit(f"{name}: two mutants have this name")
    for mutant in mutants:
        if not (ROOT / mutant.file).is_file() or Path(mutant.file).parts[0] not in COPIED:
            raise Misfit(f"{mutant.name}: {mutant.file} is no file of {' or '.join(COPIED)}")
        changed(mutant, (ROOT / mutant.file).read_text(encoding="utf-8"))
    return tuple(mutants)


def _results(mutants: Sequence[Mutant], jobs: int, *, trust: bool) -> Iterator[MutantResult]:
    with ExitStack() as ends:
        free: SimpleQueue[Workshop] = SimpleQueue()
        for number in range(jobs):
            directory = ends.enter_context(tempfile.TemporaryDirectory(prefix=f"mutants-{number}-"))
            free.put(Workshop(Path(directory)))
        pool = ends.enter_context(ThreadPoolExecutor(jobs))

        def run_unchanged(test: tuple[str, ...]) -> tuple[tuple[str, ...], int | None, str]:
            workshop = free.get()
            code, _, last_line = workshop.run(test, UNCHANGED_S)
            free.put(workshop)
            return test, code, last_line

        def plant(mutant: Mutant) -> MutantResult:
            workshop = free.get()
            result = workshop.plant(mutant)
            free.put(workshop)
            return result

        if not trust:
            for test, code, last_line in pool.map(run_unchanged, dict.fromkeys(mutant.test for mutant in mutants)):
                if code != 0:
                    raise Misfit(f"python {' '.join(test)} fails without any bug ({code}): {last_line}")
        yield from pool.map(plant, mutants)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"tables (all: {', '.join(GROUPS)})")
    parser.add_argument("--only", help="those whose name has this in it")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--trust", action="store_true", help="do not run the tests on the unchanged code first")
    options = parser.parse_args(argv)
    try:
        mutants = read_tables(options.groups or GROUPS)
        mutants = tuple(mutant for mutant in mutants if options.only is None or options.only in mutant.name)
        missed = 0
        for result in _results(mutants, options.jobs, trust=options.trust):
            missed += not result.is_found
            state = "found   " if result.is_found else "TOO SLOW" if result.code is None else f"MISSED {result.code}"
            print(f"{state} {result.seconds:5.1f} s  {result.mutant.name}", flush=True)
            print(f"                  {result.last_line[:150]}", flush=True)
    except Misfit as misfit:
        print(f"misfit: {misfit}", file=sys.stderr)
        return 2
    print(f"{len(mutants)} mutants, {len(mutants) - missed} found, {missed} not")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Delete each line of each Lua script in turn: a test must fail.

    python -m scripts.lua_mutants [NAME...] [--conditions] [--machine] [--jobs N]

First the tests of the journal (:data:`TESTS`) run once, unchanged, to record which of them call which script and how
long they take. Then, for each mutant, the tests that call its script run, shortest first, until one fails. The state
machines are left out: they are slow, and each mutant should have a plain test; with ``--machine`` the journal's machine
runs on the survivors. A line that cannot be deleted alone is deleted with the lines that belong to it, a block with its
whole body. ``--conditions`` also makes each condition always true, then always false. No file is written: a mutant
exists in the memory of a forked process, with its own Redis.

Exit code 1: mutants survived that :data:`NEEDLESS` does not explain.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.journal.redis import link, scripts

ROOT = Path(__file__).resolve().parent.parent
LUA = ROOT / "sockudo_publisher" / "journal" / "lua"
TESTS = (
    "tests/integration/journal",
    "tests/integration/unreadable/test_entries.py",
    "tests/integration/unreadable/test_named.py",
)
MACHINE = f"{TESTS[0]}/test_journal_machine.py"

#: Mutants that no test can find, each with the reason: ``(file, what, line) -> why``.
NEEDLESS: dict[tuple[str, str, str], str] = {
    (
        "advance.lua",
        "always true",
        "if redis.call('EXISTS', gone) == 1 then",
    ): "spares the usual case, a queue that nothing has left out of turn, the reading of an empty hash",
    (
        "announce.lua",
        "deleted",
        "kept = {}",
    ): "an error is a table without elements too: the loop over them does nothing",
    (
        "append.lua",
        "always true",
        "if latest then",
    ): "spares the usual case, a call without collapse keys, the decoding of its meta",
    (
        "dead.lua",
        "deleted",
        "read = math.min(read * 2, MAX_READ)",
    ): "spares a bound that was lowered far one read a letter",
    (
        "quarantine.lua",
        "always true",
        "if redis.call('EXISTS', gone) == 1 then",
    ): "spares the usual case the reading of an empty hash, as in advance.lua",
}

#: Seconds for the tests of one mutant; one that does not end by then counts as found.
MUTANT_S = 60.0

#: Examples of the state machine for one survivor.
MACHINE_EXAMPLES = 40


@dataclass(frozen=True)
class Mutant:
    """``name.lua`` with something changed at ``line``; ``text`` is the whole file."""

    name: str
    line: int
    what: str
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}.lua:{self.line}: {self.what}: {self.source}"

    @property
    def key(self) -> tuple[str, str, str]:
        """As :data:`NEEDLESS` names it: without numbers of lines, which change."""
        return f"{self.name}.lua", re.sub(r" to line \d+", "", self.what), self.source


def mutants(name: str, text: str, compiles: Callable[[str], bool], *, conditions: bool) -> Iterator[Mutant]:
    """Each mutant of one file that Redis can load."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        source = line.strip()
        if not source or source.startswith(("--", "#!")):
            continue
        for end in range(at, len(lines) if _opens(source) else at + 1):
            changed = "\n".join(lines[:at] + [""] * (end - at + 1) + lines[end + 1 :])
            if compiles(changed):
                what = "deleted" if end == at else f"deleted to line {end + 1}"
                yield Mutant(name, at + 1, what, source, changed)
                break
        if conditions:
            for value in ("true", "false"):
                changed = "\n".join([*lines[:at], _forced(line, value), *lines[at + 1 :]])
                if changed != "\n".join(lines) and compiles(changed):
                    yield Mutant(name, at + 1, f"always {value}", source, changed)


def _opens(source: str) -> bool:
    """Whether other lines may belong to this one; an end belongs to the line that it ends."""
    return re.match(r"end\b|else|[)}]", source) is None


def _forced(line: str, value: str) -> str:
    return re.sub(r"\b((?:else)?if|while) .+ (then|do)\b", rf"\1 {value} \2", line, count=1)


class Recorder:
    """A pytest plugin that learns which test calls which script, and how long it takes."""

    def __init__(self) -> None:
        self.calls: dict[str, set[str]] = {}
        self.seconds: dict[str, float] = {}
        self._now = ""

    def pytest_sessionstart(self) -> None:
        """Look at every call from now on."""
        names = {one.sha1: one.name for one in scripts.all_scripts()}
        exchange = link._exchange

        def recorded(connection: Any, commands: Sequence[link.Command]) -> list[Any]:
            found = {names[command[1]] for command in commands if command[0] == "EVALSHA"}
            self.calls.setdefault(self._now, set()).update(found)
            return exchange(connection, commands)

        link._exchange = recorded

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """What is called now is called by this one."""
        self._now = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown, one after the other."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


class InChild:
    """Work in a forked process; ``code`` is its exit code, ``None`` while it runs."""

    def __init__(self, work: Callable[[Path], int], directory: Path, limit_s: float) -> None:
        self.directory = directory
        self._ends = time.monotonic() + limit_s
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.setsid()
                output = os.open(directory / "output", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.dup2(output, 1)
                os.dup2(output, 2)
                code = work(directory)
            finally:
                sys.stdout.flush()
                os._exit(code)

    def has_ended(self) -> bool:
        """Whether it has ended; a process that takes too long is killed, and its Redis with it."""
        if self.code is None:
            if time.monotonic() > self._ends:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.code = -signal.SIGKILL
            else:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None


def run_pytest(tests: Iterable[str], directory: Path, *plugins: object) -> int:
    """Run the tests, until one fails."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "--tb=line", f"--basetemp={directory / 'tmp'}"]
    return int(pytest.main([*options, *tests], plugins=list(plugins)))


def learn(directory: Path) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    """Per script the tests that call it, shortest first; and per file the scripts that it is part of."""

    def work(place: Path) -> int:
        recorder = Recorder()
        code = run_pytest([*TESTS, "--ignore-glob=*_machine.py"], place, recorder)
        found = {test: sorted(names) for test, names in recorder.calls.items()}
        (place / "calls").write_text(json.dumps([found, recorder.seconds]))
        return code

    child = InChild(work, directory, 600.0)
    while not child.has_ended():
        time.sleep(0.1)
    if child.code != 0:
        raise SystemExit(f"the tests fail without any mutant:\n{(directory / 'output').read_text()}")
    calls, seconds = json.loads((directory / "calls").read_text())
    by_script: dict[str, list[str]] = {name: [] for name in scripts.NAMES}
    for test in sorted(calls, key=lambda test: seconds.get(test, 0.0)):
        for name in calls[test]:
            by_script[name].append(test)
    parts: dict[str, set[str]] = {}
    for name in scripts.NAMES:
        text = scripts._read(name)
        for part in (name, *scripts._INCLUDE.findall(text)):
            parts.setdefault(part, set()).add(name)
    return by_script, parts


def attempt(mutant: Mutant, tests: Sequence[str], directory: Path) -> InChild:
    """Run the tests on a package that has the mutant."""

    def work(place: Path) -> int:
        read = scripts._read
        scripts._read = lambda name: mutant.text if name == mutant.name else read(name)
        scripts.script.cache_clear()
        return run_pytest(tests, place)

    return InChild(work, directory, MUTANT_S)


def survivors(tried: Sequence[tuple[Mutant, list[str]]], jobs: int, directory: Path) -> list[Mutant]:
    """The mutants that no test finds."""
    left = list(reversed(list(enumerate(tried))))
    running: dict[int, InChild] = {}
    alive = []
    while left or running:
        while left and len(running) < jobs:
            number, (mutant, tests) = left.pop()
            place = directory / str(number)
            place.mkdir()
            running[number] = attempt(mutant, tests, place)
        time.sleep(0.02)
        for number in [number for number, child in running.items() if child.has_ended()]:
            child = running.pop(number)
            mutant = tried[number][0]
            if child.code == 0:
                alive.append(mutant)
                print(f"SURVIVED  {mutant}", flush=True)
            elif child.code not in (1, -signal.SIGKILL):
                output = (child.directory / "output").read_text()
                raise SystemExit(f"{mutant}: pytest ended with {child.code}:\n{output}")
    return alive


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="files of journal/lua or its include/, without .lua (all)")
    parser.add_argument("--conditions", action="store_true", help="conditions always true, always false")
    parser.add_argument("--machine", action="store_true", help="the state machine tries what survived")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    os.chdir(ROOT)
    names = options.names or sorted(path.stem for path in LUA.glob("**/*.lua"))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lua-mutants-") as temporary:
        directory = Path(temporary)
        for part in ("learn", "plain", "machine"):
            (directory / part).mkdir()
        by_script, parts = learn(directory / "learn")
        made: list[Mutant] = []
        with RedisServer(directory / "redis", appendonly=False) as server, redis.Redis.from_url(server.url) as client:
            for name in names:
                compiles = _compiler(client, name, parts[name])
                made += mutants(name, scripts._read(name), compiles, conditions=options.conditions)
        made = [mutant for mutant in made if mutant.key not in NEEDLESS]
        print(f"{len(made)} mutants; {sum(map(len, by_script.values()))} pairs of test and script", flush=True)
        tried = [(mutant, _tests_of(parts[mutant.name], by_script)) for mutant in made]
        for mutant in (mutant for mutant, tests in tried if not tests):
            print(f"UNTESTED  {mutant}")
        left = survivors([one for one in tried if one[1]], options.jobs, directory / "plain")
        left += [mutant for mutant, tests in tried if not tests]
        if options.machine and left:
            os.environ["JOURNAL_EXAMPLES"] = str(MACHINE_EXAMPLES)
            print("the state machine:")
            left = survivors([(mutant, [MACHINE]) for mutant in left], options.jobs, directory / "machine")
    took = time.monotonic() - started
    print(f"{len(made)} mutants, {len(left)} survived, {len(NEEDLESS)} lines explained, {took:.0f} s")
    return 1 if left else 0


def _compiler(client: redis.Redis, name: str, whole: Iterable[str]) -> Callable[[str], bool]:
    """Whether Redis loads every script that the file is part of."""

    def compiles(text: str) -> bool:
        for script in whole:
            own = text if script == name else scripts._read(script)
            full = scripts._INCLUDE.sub(
                lambda match: text if match.group(1) == name else scripts._read(match.group(1)), own
            )
            try:
                client.script_load(full)
            except redis.ResponseError:
                return False
        return True

    return compiles


def _tests_of(names: Iterable[str], by_script: dict[str, list[str]]) -> list[str]:
    """Shortest first, each once."""
    return list(dict.fromkeys(test for name in sorted(names) for test in by_script[name]))


if __name__ == "__main__":
    sys.exit(main())

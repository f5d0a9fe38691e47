"""Follow a page of docs/start/ as its reader does: write its files, type its commands, look at what they print.

How a page is read:

- a block ``sh`` is typed in the first terminal, and each command has to succeed;
- ``sh title="Second terminal, stays open"`` is a terminal of its own, which runs until the end;
- a block ``text`` is what the terminal before it prints: each line has to appear there;
- any other block with ``title="path"`` is a file, ``title="path, at the end"`` is added to one;
- ``<!-- test: name -->`` is a place where the test looks at the browser.

Ports are replaced by free ones. By default the packages are those of this environment: ``pip`` runs as written, without
an index, and has to find that each requirement is there. With ``START_PAGES_WHEELS=directory`` everything is done as
written: a fresh environment, and this package from a wheel of the directory.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sockudo_publisher.dev.embedded import free_ports

__all__ = ["Step", "follow", "steps_of"]

#: Seconds for one block of commands; an installation is the longest.
COMMANDS_S = 240.0
#: Seconds until a terminal prints what the page shows.
PRINTS_S = 90.0
#: Seconds for a terminal's programs to end.
ENDS_S = 15.0
PORTS = ("6001", "6379", "8000")

STEP = re.compile(
    r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$|^<!-- test: (?P<look>.+?) -->$', re.M | re.S
)


class Step(NamedTuple):
    """One thing that the reader does."""

    kind: str
    title: str
    text: str


def steps_of(page: str) -> list[Step]:
    """All of them, in order."""
    found = []
    for match in STEP.finditer(page):
        if match["look"]:
            found.append(Step("look", match["look"], ""))
        else:
            found.append(Step(match["kind"], match["title"] or "", match["text"]))
    return found


class Terminal:
    """A bash; what it and its programs print is in a file."""

    def __init__(self, directory: Path, log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        self._ends = 0
        with log.open("wb") as output:
            self._bash = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=directory,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def write(self, text: str) -> None:
        assert self._bash.stdin
        self._bash.stdin.write(text.encode())
        self._bash.stdin.flush()

    def run(self, commands: str) -> str:
        """Type the commands and wait for their end; what they printed. Fails if one of them fails."""
        before, self._ends = len(self.printed), self._ends + 1
        # The programs get no standard input, which is the terminal's.
        mark = f"== end {self._ends}:"
        # A line is a command; `a && b` fails as a whole where `a` does.
        typed = "".join(f"{{ {line}\n}} </dev/null || failed=$?\n" for line in commands.splitlines())
        self.write(f'failed=0\n{typed}echo; echo "{mark} $failed $PWD"\n')
        self._wait(lambda: mark in self.printed, COMMANDS_S, commands)
        printed, _, end = self.printed[before:].partition(mark)
        assert end.split()[0] == "0", f"{commands}\n{printed}"
        return printed

    @property
    def directory(self) -> Path:
        """Where the last commands have left it."""
        return Path(re.findall(r"^== end \d+: \S+ (.+)$", self.printed, re.M)[-1])

    def wait_for_lines(self, lines: list[str]) -> None:
        """Until each line is among what was printed, in this order."""
        pattern = re.compile(".*?".join(map(re.escape, lines)), re.S)
        self._wait(lambda: pattern.search(self.printed) is not None, PRINTS_S, "\n".join(lines))

    def _wait(self, condition: Callable[[], bool], seconds: float, wanted: str) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self._bash.poll() is None, f"the terminal has ended:\n{self.printed}"
            assert time.monotonic() < until, f"not within {seconds:g} s:\n{wanted}\n-- printed:\n{self.printed}"
            time.sleep(0.05)

    def close(self) -> None:
        """End its programs, and it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._bash.pid, number)
            except ProcessLookupError:
                break
            until = time.monotonic() + ENDS_S
            while _group_lives(self._bash) and time.monotonic() < until:
                time.sleep(0.05)
        self._bash.wait()
        assert self._bash.stdin
        self._bash.stdin.close()


def _group_lives(leader: subprocess.Popen[bytes]) -> bool:
    leader.poll()
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return False
    return True


class Look(NamedTuple):
    """What the test sees at a mark of the page."""

    name: str
    #: Replaces the page's ports by those of this run.
    here: Callable[[str], str]


def follow(
    page: Path, directory: Path, look: Callable[[Look], None], replaced: Callable[[str], str] = lambda text: text
) -> None:
    """Do all that the page says, in a folder that is empty. ``replaced`` sees each block before it is typed."""
    wheels = os.environ.get("START_PAGES_WHEELS")
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))

    def here(text: str) -> str:
        text = text.replace("dev-server --redis", "dev-server --port 6001 --redis 6379")
        return re.sub("|".join(rf"\b{port}\b" for port in PORTS), lambda found: ports[found[0]], text)

    home = directory / "first-steps"
    home.mkdir()
    env = _environment(wheels)
    terminals = [Terminal(home, directory / "terminal-1.log", env)]
    last = terminals[0]
    try:
        for step in steps_of(page.read_text()):
            text = replaced(here(step.text))
            match step.kind:
                case "look":
                    look(Look(step.title, here))
                case "sh" if "stays open" in step.title:
                    last = Terminal(home, directory / f"terminal-{len(terminals) + 1}.log", env)
                    terminals.append(last)
                    last.write(text)
                case "sh":
                    last = terminals[0]
                    printed = last.run(text if wheels else _with_these_packages(text))
                    assert "does not provide the extra" not in printed, printed
                case "text":
                    last.wait_for_lines(text.splitlines())
                case _:
                    _write_file(terminals[0].directory, step.title, text)
    finally:
        for terminal in reversed(terminals):
            terminal.close()


def _write_file(directory: Path, title: str, text: str) -> None:
    assert title, f"a block without a path:\n{text}"
    name, at_the_end = re.fullmatch(r"([^,]+)(, at the end)?", title).groups()  # type: ignore[union-attr]
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a" if at_the_end else "w") as output:
        output.write(f"\n{text}" if at_the_end else text)


def _environment(wheels: str | None) -> dict[str, str]:
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SOCKUDO_", "DJANGO_", "PYTEST_")) and name not in ("VIRTUAL_ENV", "PYTHONPATH")
    }
    env |= {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env |= {"npm_config_prefer_offline": "true", "npm_config_audit": "false", "npm_config_fund": "false"}
    own = str(Path(sys.executable).parent)
    path = [one for one in env["PATH"].split(os.pathsep) if one != own]
    if wheels:
        return {**env, "PIP_FIND_LINKS": wheels, "PATH": os.pathsep.join(path)}
    return {**env, "PIP_NO_INDEX": "1", "PATH": os.pathsep.join([own, *path])}


def _with_these_packages(commands: str) -> str:
    """An environment with the packages of this one, so that `pip install` finds each requirement there."""
    site = next(one for one in sys.path if one.endswith("site-packages"))
    line = shlex.quote(f"import site; site.addsitedir({site!r})")
    file = f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/these.pth"
    made = f"python3 -m venv --without-pip .venv && echo {line} >{file}"
    return commands.replace("python3 -m venv .venv", made)

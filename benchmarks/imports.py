"""What the first use costs a fresh process: the CPU of its imports, beside those of the libraries that they need.

Each side is a Python of its own, from its start to its end, with the bytecode already written. The sides take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from .parts import ROOT, Parts
from .plan import Plan

__all__ = ["COMMANDS", "SIDES", "Imported", "measure"]

#: What each side's process runs. `import celery` alone loads nothing: its names are loaded when they are first used.
#: "libraries" is what each program with a Celery app loads; it connects to nothing and calls no task. The first `delay`
#: is compared with it. "lazy libraries" shows the difference.
SIDES = {
    "nothing": "pass",
    "package": "import sockudo_publisher",
    "requests": "import requests",
    "client": "from sockudo_publisher import Sockudo",
    "lazy libraries": "import celery, redis, kombu.transport.redis",
    "libraries": "from celery import Celery; import redis, kombu.transport.redis",
    "first delay": "from sockudo_publisher import publish; publish.delay('imports', 'event', {'n': 1})",
    "redis": "import redis",
}

#: Commands that are held to the cost of `import redis`: the connection, the answer and the text are part of it.
COMMANDS = {
    "--help": ("--help",),
    "--version": ("--version",),
    "status": ("status",),
    "health": ("health",),
    "dead list": ("dead", "list"),
    "dead show": ("dead", "show", "0-1-1"),
    "resume": ("resume",),
    "publish": ("publish", "imports", "event", "text"),
}


@dataclass
class Imported:
    """Milliseconds of CPU of a whole process, by side and pair."""

    cpu_ms: dict[str, list[float]] = field(default_factory=dict)


def measure(parts: Parts, plan: Plan, say: Callable[[str], None]) -> Imported:
    """Each round runs every side once; one more round before them writes the bytecode."""
    result = Imported()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | parts.env
    for number in range(plan.imports_rounds + 1):
        for side, args in _sides():
            spent_ms = _cpu_ms(args, env)
            if number:
                result.cpu_ms.setdefault(side, []).append(spent_ms)
        if number:
            texts = [f"{side} {values[-1]:.0f}" for side, values in result.cpu_ms.items()]
            say(f"imports: round {number} of {plan.imports_rounds}, ms of CPU: {', '.join(texts)}")
    return result


def _sides() -> list[tuple[str, tuple[str, ...]]]:
    """Each side and the arguments of its Python."""
    sides = [(side, ("-c", source)) for side, source in SIDES.items()]
    return sides + [(name, ("-m", "sockudo_publisher.cli", *args)) for name, args in COMMANDS.items()]


def _cpu_ms(args: tuple[str, ...], env: dict[str, str]) -> float:
    """User and system milliseconds of a Python with these arguments."""
    process = subprocess.Popen([sys.executable, *args], env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # `status` and `dead show` end with 1 if they find something, or nothing.
    if process.returncode not in (0, 1) or (process.returncode and args[0] == "-c"):
        raise RuntimeError(f"{args!r} ended with exit code {process.returncode}")
    return (used.ru_utime + used.ru_stime) * 1000

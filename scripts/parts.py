"""Say which real parts the tests can have on this machine: `make parts`, and the first lines of `make test`.

Tests whose part is missing are skipped; this says so before, so that a green run is not mistaken for more than it is.
Looks, starts nothing but `--version`. May import scripts.stack and embedded, where the parts are found.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.stack import find_nginx
from sockudo_publisher.embedded import PartMissing, find_redis_server, find_sockudo

#: Seconds for a program to print its version.
VERSION_TIMEOUT_S = 10.0


def redis_server() -> str:
    """A Redis 7 or newer, a Valkey, or the Valkey of a wheel."""
    return said(find_redis_server(), "--version")


def sockudo() -> str | None:
    """The real server."""
    program = find_sockudo()
    return said(program, "--version") if program else None


def nginx() -> str:
    """For the way from the workers to the server. It says its version on stderr."""
    return said(find_nginx(), "-v")


def rabbitmq() -> str | None:
    """As the other broker. It starts an Erlang machine to say its version, so it is not asked."""
    return shutil.which("rabbitmq-server", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


def browser() -> str | None:
    """For the demo's page."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


#: By name: how it is found, and what is left out without it.
PARTS: dict[str, tuple[Callable[[], str | None], str]] = {
    "Redis": (redis_server, "nearly everything but the pure tests"),
    "Sockudo": (sockudo, "the tests against the real server; the embedded one serves the others"),
    "nginx": (nginx, "the composed stack"),
    "RabbitMQ": (rabbitmq, "the tests with it as broker"),
    "browser": (browser, "the demo's page in a real browser"),
}


def said(program: Path, option: str) -> str:
    """The program's path and the first line that it says of itself."""
    result = subprocess.run([program, option], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False)
    return f"{program} ({(result.stdout + result.stderr).strip().partition(chr(10))[0]})"


def line(find: Callable[[], str | None], left_out: str) -> str:
    """Where the part is, or what its absence costs."""
    try:
        return find() or f"not here; left out: {left_out}"
    except PartMissing as missing:
        return f"{missing}; left out: {left_out}"


def main() -> int:
    """Print a line for each part."""
    print(f"{'Python':<9} {platform.python_version()} ({sys.executable})")
    for name, (find, left_out) in PARTS.items():
        print(f"{name:<9} {line(find, left_out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

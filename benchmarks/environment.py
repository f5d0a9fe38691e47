"""An environment beside the developer's own, with this package, the same versions of all it uses, and the peers."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["PEERS", "enter"]

PEERS = ("sockudo-http-python", "celery-batches", "pusher")

#: Celery and what comes with it: celery-batches names the versions it works with, and all sides run on these.
UNPINNED = ("amqp", "billiard", "celery", "kombu", "redis", "vine")

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / ".venv-peers"


def enter(arguments: list[str]) -> None:
    """Go on as the same command in the peers' environment, made if need be; returns when it is there already."""
    if Path(sys.prefix) == DIRECTORY:
        return
    python = DIRECTORY / "bin" / "python"
    freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    installed = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout.splitlines()
    pins = "".join(f"{pin}\n" for pin in installed if pin.partition("==")[0].lower() not in UNPINNED)
    constraints = DIRECTORY / "constraints.txt"
    if not python.exists() or not constraints.exists() or constraints.read_text() != pins:
        print(f"Making {DIRECTORY.name} for {', '.join(PEERS)} ...", flush=True)
        venv.create(DIRECTORY, with_pip=True, clear=True)
        wanted = DIRECTORY / "constraints.wanted.txt"
        wanted.write_text(pins)
        pip = [
            str(python),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--constraint",
            str(wanted),
        ]
        subprocess.run([*pip, "--editable", f"{ROOT}[demo,metrics]", *PEERS], check=True)
        wanted.rename(constraints)  # only now: an installation that broke off is made again
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", "benchmarks", *arguments])

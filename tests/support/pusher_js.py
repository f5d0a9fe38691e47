"""pusher-js from npm, as package-lock.json pins it, once, into the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .parts import need, part_is_absent

#: Where package.json and its lock are.
PACKAGE = Path(__file__).resolve().parents[1] / "integration" / "client" / "node"
#: Seconds for npm to install two packages.
INSTALL_S = 120.0


def pusher_js_modules() -> Path:
    """The directory that pusher-js is in, installed if it is not there yet. Skips the test if it cannot be had."""
    npm = str(need("node"))
    lock = (PACKAGE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sockudo-publisher"
    installed = cache / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not installed.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: another run may be at it too, and any may be stopped.
        with tempfile.TemporaryDirectory(dir=cache, prefix="node-new-") as directory:
            fresh = Path(directory) / "whole"
            fresh.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PACKAGE / name, fresh)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
            try:
                done = subprocess.run(
                    command, cwd=fresh, capture_output=True, text=True, timeout=INSTALL_S, check=False
                )
            except subprocess.TimeoutExpired:
                part_is_absent("node", f"npm ci: not done within {INSTALL_S:g} s")
            if done.returncode != 0:
                part_is_absent("node", f"npm ci: {done.stderr.strip()[:500]}")
            try:
                fresh.rename(installed)
            except OSError:
                assert installed.is_dir(), "another run has installed it meanwhile"
    return installed / "node_modules"

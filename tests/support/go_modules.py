"""Programs in Go with modules as their go.sum pins them, built once into the user's cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from .parts import need, part_is_absent

__all__ = ["go_program"]

#: Seconds to fetch the modules and to build.
BUILD_S = 400.0


def go_program(source: Path) -> Path:
    """The program of a directory with go.mod. Skips the test if Go or a module cannot be had."""
    go = str(need("go"))
    files = sorted(path for path in source.iterdir() if path.suffix in (".go", ".mod", ".sum"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sockudo-publisher"
    program = cache / f"go-{digest}"
    if not program.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="go-new-") as directory:
            fresh = Path(directory) / "program"
            try:
                done = subprocess.run(
                    [go, "build", "-mod=readonly", "-o", str(fresh), "."],
                    cwd=source, capture_output=True, text=True, timeout=BUILD_S, check=False,
                    env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                part_is_absent("go", f"go build: not done within {BUILD_S:g} s")
            if done.returncode != 0 and ("dial tcp" in done.stderr or "Forbidden" in done.stderr):
                part_is_absent("go", f"go build: {done.stderr.strip()[:500]}")
            assert done.returncode == 0, done.stderr[:3000]
            fresh.replace(program)
    return program

"""What other users of this machine can see: files that they may read, and the arguments of processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path


def open_to_others(directory: Path) -> list[str]:
    """Files and directories at and under it with a right for group or others, each with its mode."""
    found = []
    for path in (directory, *directory.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # Redis and nginx make and remove some all the time
            if (mode := path.lstat().st_mode) & 0o077 and not path.is_symlink():
                found.append(f"{path} {mode:o}")
    return found


def processes_that_show(*secrets: str) -> list[str]:
    """The command lines, of all processes of this machine, that contain one of these texts."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            arguments = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [arguments for secret in secrets if secret in arguments]
    return found


def files_that_hold(directory: Path, secrets: Iterable[str]) -> set[str]:
    """The names of the files under it that contain one of these texts."""
    wanted = [secret.encode() for secret in secrets]
    return {
        path.name
        for path in directory.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in wanted)
    }

"""Files and directories that no other user of the machine can read: parts keep events, logs and passwords in them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

__all__ = ["PRIVATE_UMASK", "append_private", "make_private_directory", "write_private"]

#: The mask of every part: what it makes itself (Redis: its append-only file) has no right for group and others.
PRIVATE_UMASK = 0o077

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


def make_private_directory(directory: Path) -> None:
    """Make the directory and its missing parents. One that exists keeps its mode: it may be the caller's own."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)


def append_private(path: Path) -> IO[bytes]:
    """Open a file for appending, private before the first byte."""
    return os.fdopen(_open(path, os.O_APPEND), "ab")


def write_private(path: Path, text: str) -> None:
    """Write a file anew, private before the first byte."""
    with os.fdopen(_open(path, os.O_TRUNC), "wb") as file:
        file.write(text.encode())


def _open(path: Path, flag: int) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, _FILE_MODE)
    # An older file keeps its mode when it is opened. One of another user cannot be changed.
    with contextlib.suppress(PermissionError):
        os.fchmod(descriptor, _FILE_MODE)
    return descriptor

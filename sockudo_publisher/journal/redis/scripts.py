"""The Lua scripts, one file an operation, and the codes they answer with.

A script's text is read once per process; a line ``-- include NAME`` is replaced by the shared functions of
``lua/include/NAME.lua``. Scripts are called by SHA-1, and with their text (``EVAL``, after which Redis knows the
SHA-1) when Redis does not know them: first use, ``SCRIPT FLUSH``, a failover to a replica that never saw
them. ``SCRIPT LOAD`` is not used: managed services deny it, and it would load one node of a cluster only.
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

__all__ = ["Answer", "Script", "all_scripts", "name_of", "script", "script_with"]

#: Operations, each ``lua/NAME.lua``.
NAMES = (
    "acquire",
    "announce",
    "append",
    "append_once",
    "audit",
    "bury",
    "cancel",
    "count",
    "drop_right",
    "due",
    "fail",
    "free_key",
    "hold",
    "learn",
    "mark",
    "mend",
    "operator_pause",
    "operator_resume",
    "pause",
    "postpone",
    "purge",
    "quarantine",
    "rate",
    "relayout",
    "release",
    "renew",
    "replay",
    "resume",
    "schedule",
    "schedule_once",
    "scheduled",
    "settle",
    "status",
    "sweep",
    "take",
    "take_right",
    "trim",
    "unmark",
    "write",
)

#: Found at the import of this module, not at the first call: Python 3.13 imports a module of its own for it.
_FOLDER = files("sockudo_publisher.journal") / "lua"

_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)


class Answer(IntEnum):
    """What a script answers; the Lua headers use the same names (a test compares them)."""

    LOST = -1  # the caller does not hold the lease; nothing was changed
    MISMATCH = -2  # Redis holds another marker (token, pause or layout); nothing was changed
    FULL = -3  # the lane holds the maximum number of items; nothing was appended
    CONFLICT = -4  # the key was used with another payload; nothing was stored
    CLOSED = -5  # the lane belongs to an earlier layout; nothing was appended
    EMPTY = 0  # the script found nothing to do
    DONE = 1  # done
    AGAIN = 2  # progress without a batch; call again
    UNKNOWN_VERSION = 3  # a newer release wrote the head; nothing was changed
    RING = 4  # done, and the caller must ring the lane
    KEPT = 5  # not released: the queue has entries, go on draining
    UNREADABLE = 6  # the head, or a record of the schedule, cannot be read


class Script(NamedTuple):
    """One operation: its name, text and SHA-1."""

    name: str
    text: str
    sha1: str


def _read(name: str) -> str:
    folder = _FOLDER if name in NAMES else _FOLDER / "include"
    return (folder / f"{name}.lua").read_text(encoding="utf-8")


@lru_cache(maxsize=len(NAMES))
def script(name: str) -> Script:
    """The script of an operation, with its includes resolved."""
    text = _INCLUDE.sub(lambda match: _read(match.group(1)), _read(name))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def all_scripts() -> tuple[Script, ...]:
    """Every operation."""
    return tuple(script(name) for name in NAMES)


def script_with(sha1: str) -> Script | None:
    """The script with this SHA-1; ``None`` if it is not a script of this package."""
    return next((one for one in all_scripts() if one.sha1 == sha1), None)


def name_of(sha1: str) -> str:
    """The operation of the script with this SHA-1."""
    return next(one.name for one in all_scripts() if one.sha1 == sha1)

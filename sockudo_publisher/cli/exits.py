"""The exit codes, and which error ends with which. Pure; imports only the errors."""

from __future__ import annotations

import sys
from enum import IntEnum

from ..errors import (
    BulkError,
    ConfigurationError,
    JournalUnavailable,
    JournalUnreadable,
    SockudoConnectionError,
    ValidationError,
)

__all__ = ["MEANINGS", "ExitCode", "exit_code"]


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed, interrupted, or a risk was found",
    ExitCode.USAGE: "wrong arguments or settings; nothing was done",
    ExitCode.UNREACHABLE: "Redis or Sockudo cannot be reached",
}


def exit_code(error: BaseException) -> ExitCode:
    """The exit code of a command that ends with ``error``."""
    if isinstance(error, BulkError):
        # Some events are stored already, so "nothing was done" would be wrong.
        code = exit_code(error.cause)
        return ExitCode.FAILED if code is ExitCode.USAGE else code
    if isinstance(error, (ConfigurationError, ValidationError)):
        return ExitCode.USAGE
    if isinstance(error, JournalUnreadable):
        return ExitCode.FAILED  # Redis was reached
    if isinstance(error, (JournalUnavailable, SockudoConnectionError)) or _is_connection_error(error):
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED


def _is_connection_error(error: BaseException) -> bool:
    """Whether it is a connection error of Redis or kombu. Imports neither: an unloaded module raised nothing."""
    for module, names in (
        ("redis.exceptions", ("ConnectionError", "TimeoutError")),
        ("kombu.exceptions", ("OperationalError",)),
    ):
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, tuple(getattr(loaded, name) for name in names)):
            return True
    return False

"""The pool that the command line asks for, where Celery would not listen. Pure.

`celery worker -P prefork` names the option's default, and Celery then prefers the configured pool
(threads, the right one for production): asking for prefork would be answered with threads.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["asks_for_prefork"]


def asks_for_prefork(arguments: Sequence[str]) -> bool:
    """Whether these command line arguments name prefork as the pool (the last one named counts)."""
    pool = ""
    for index, argument in enumerate(arguments):
        if argument in ("-P", "--pool") and index + 1 < len(arguments):
            pool = arguments[index + 1]
        elif argument.startswith("--pool="):
            pool = argument.partition("=")[2]
        elif argument.startswith("-P") and len(argument) > 2:
            pool = argument[2:].removeprefix("=")
    return pool == "prefork"

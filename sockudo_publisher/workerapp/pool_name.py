"""The pool that a worker's command line asks for, where Celery would not listen. Pure.

`celery worker -P prefork` names the option's default, and Celery then prefers the configured pool
(threads, the right one for production): asking for prefork would be answered with threads. And it prepares a
process for a green pool only where `-P` and the name are two words.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["asks_for_prefork", "pool_name"]


def asks_for_prefork(arguments: Sequence[str]) -> bool:
    """Whether these command line arguments name prefork as the pool."""
    return pool_name(arguments) == "prefork"


def pool_name(arguments: Sequence[str]) -> str:
    """The pool that these command line arguments name (the last one counts), or ``""``."""
    pool = ""
    for index, argument in enumerate(arguments):
        if argument in ("-P", "--pool") and index + 1 < len(arguments):
            pool = arguments[index + 1]
        elif argument.startswith("--pool="):
            pool = argument.partition("=")[2]
        elif argument.startswith("-P") and len(argument) > 2:
            pool = argument[2:].removeprefix("=")
    return pool

"""The options of ``celery worker`` that this worker takes, leaves out or refuses. Pure.

Drains end by themselves, between two requests, and give their lease back. Options that would end a drain from outside,
or drop messages, are left out or refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigurationError

__all__ = ["check_queues", "ineffective_options", "own_options"]

#: A limit would end a drain in the middle of a request, or a `publish` message before its event is stored.
_INEFFECTIVE = ("time_limit", "soft_time_limit")

_REFUSED = {
    "autoscale": "--autoscale: a lane needs its slot for as long as there are events; use --concurrency",
    "purge": "--purge: the queue holds steps of canvases, whose events would be lost; leave it out",
}


def ineffective_options(options: Mapping[str, Any]) -> list[str]:
    """Options that are given and have no effect, as they are written on a command line."""
    return [f"--{name.replace('_', '-')}" for name in _INEFFECTIVE if options.get(name)]


def own_options(
    options: Mapping[str, Any], extra: Iterable[str] = (), *, asks_for_prefork: bool = False
) -> dict[str, Any]:
    """The options to start with. ``extra``: configuration behind ``--``, as ``key=value``.

    Raises :class:`ConfigurationError` for what must not be given.
    """
    for name, message in _REFUSED.items():
        if options.get(name):
            raise ConfigurationError(message)
    if options.get("pool_start_method") == "spawn":
        raise ConfigurationError("--pool-start-method: spawned children do not see the worker's stop; use fork")
    for one in extra:
        key = one.partition("=")[0].lower().replace(".", "_")
        if not key.startswith(("_", "worker_")):
            raise ConfigurationError(f"{key}: only SOCKUDO_* variables configure this app, see docs/settings.md")
    own = {name: value for name, value in options.items() if name not in _INEFFECTIVE}
    if asks_for_prefork:
        own["pool"] = "prefork"
    return own


def check_queues(queues: Iterable[str], excluded: Iterable[str], needed: str) -> list[str]:
    """The other queues that ``-Q`` and ``-X`` leave to read. Raises :class:`ConfigurationError` without ``needed``."""
    names = (set(queues) or {needed}) - set(excluded)
    if needed not in names:
        raise ConfigurationError(f"-Q, -X: this worker must read the queue {needed}, or it would deliver nothing")
    return sorted(names - {needed})

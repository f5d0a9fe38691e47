"""What a health check says, and how an endpoint answers it. Pure.

A room that runs something decides which checks it has: a worker in ``workerapp/health.py``, a relay in
``outbox/relay_health.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .http_endpoints import EndpointAnswer

__all__ = ["HealthCheck", "answer_health"]


class HealthCheck(NamedTuple):
    """One check: its name, and what is wrong, ``""`` for nothing."""

    name: str
    problem: str = ""


def answer_health(checks: Sequence[HealthCheck]) -> EndpointAnswer:
    """200 if no check has a problem, else 503; a line for each check: ``ok NAME`` or ``failed NAME: PROBLEM``."""
    lines = [f"failed {one.name}: {one.problem}" if one.problem else f"ok {one.name}" for one in checks]
    is_healthy = not any(one.problem for one in checks)
    return EndpointAnswer(200 if is_healthy else 503, "".join(f"{line}\n" for line in lines).encode())

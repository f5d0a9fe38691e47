"""Judge whether the workers deliver to the Sockudo app that the settings name. Pure.

Two deployments that share a Redis or a broker and an app name deliver each other's events.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...journal.app.workers import Target
from ..finding import CheckFinding, broken, fine, risk, unknown

__all__ = ["DEPLOYMENT_CHECKS", "judge_deployment"]

DEPLOYMENT_CHECKS = ("deployment",)


def judge_deployment(mine: Target, workers: Iterable[tuple[str, Target]] | None) -> list[CheckFinding]:
    """A finding for each of :data:`DEPLOYMENT_CHECKS`.

    ``workers``: node and target of each that shares this Redis or queue; ``None``: unknown.
    """
    (name,) = DEPLOYMENT_CHECKS
    if workers is None:
        return [unknown(name, "neither Redis nor the broker names its workers", "see redis.reachable and broker")]
    known = sorted(set(workers), key=lambda worker: worker[0])
    for node, target in known:
        if target.app_id != mine.app_id:
            return [
                broken(
                    name,
                    f"worker {node} delivers this app to app id {target.app_id!r} at {target.host}; here it is "
                    f"{mine.app_id!r} at {mine.host}: events of two deployments are mixed",
                    "SOCKUDO_NAMESPACE: one for each deployment; or the same SOCKUDO_URL (SOCKUDO_APPS) everywhere",
                )
            ]
    for node, target in known:
        if target.host != mine.host:
            why = f"worker {node} delivers this app to {target.host}; here it is {mine.host}"
            return [risk(name, why, "SOCKUDO_URL: the same host everywhere, unless both are addresses of one server")]
    if not known:
        return [fine(name, "no worker to compare with")]
    return [fine(name, f"all workers deliver to app id {mine.app_id!r} at {mine.host}")]

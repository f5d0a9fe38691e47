"""Judge the broker and the workers: can doorbells be sent, and does a worker consume them. Pure."""

from __future__ import annotations

from collections import Counter

from ..facts.rights import BROKER_RIGHTS
from ..facts.values import BrokerFacts, QueueWorker
from ..finding import CheckFinding, broken, fine, risk, unknown
from .redis_rights import lacking_rights, missing_text, rights_text

__all__ = ["BROKER_CHECKS", "judge_broker"]

BROKER_CHECKS = ("broker", "workers")

#: Nodes that a finding names; further ones are counted.
MAX_NAMED = 3


def judge_broker(facts: BrokerFacts, *, app: str, lanes: int, version: str, queue: str) -> list[CheckFinding]:
    """A finding for each of :data:`BROKER_CHECKS`. The keyword arguments are this process's own values."""
    if facts.failure:
        return [
            # Events are delivered without a broker, but later: by the workers' sweeps.
            broken(
                "broker",
                f"{facts.transport}: {facts.failure}: workers receive no doorbells and find "
                "events only by their sweeps",
                "start the broker, or correct SOCKUDO_BROKER_URL",
            ),
            unknown("workers", "the broker was not reached, and the doctor finds workers through it", "see broker"),
        ]
    reached = fine("broker", f"{facts.transport}: takes connections")
    lacking = lacking_rights(facts.denied, BROKER_RIGHTS)
    if lacking:
        change = f"{rights_text(lacking)} in the broker"
        reached = broken("broker", f"{facts.transport}: {missing_text(lacking)}", change)
    if facts.workers is None:
        how = f"`celery -A sockudo_publisher inspect active_queues`: which workers have the queue `{queue}`"
        return [reached, unknown("workers", "Celery's remote control did not work", how)]
    return [reached, _workers(facts.workers, app, lanes, version, queue)]


def _workers(workers: tuple[QueueWorker, ...], app: str, lanes: int, version: str, queue: str) -> CheckFinding:
    name = "workers"
    if not workers:
        return broken(
            name,
            "none answers: published events wait",
            "`sockudo-publisher worker`, with the same SOCKUDO_* settings as here",
        )
    ours = [worker for worker in workers if worker.version is not None]
    seen = f"{len(ours)} alive"
    if not ours:
        # Workers of a registered app run our tasks, but only our own workers sweep for lost doorbells.
        why = f"{len(workers)} of another app or release listen on the queue `{queue}`, and none of sockudo-publisher"
        return risk(name, why, "`sockudo-publisher worker` of this release beside them")
    if len(ours) < len(workers):
        seen += f" (and {len(workers) - len(ours)} of another app or release)"
    without_app = [worker.node for worker in ours if app not in worker.apps]
    change = "SOCKUDO_URL and SOCKUDO_APPS of the workers: the same for all"
    if len(without_app) == len(ours):
        return broken(name, f"{seen}, none of them knows the app {app}", change)
    if without_app:
        return risk(name, f"{seen}, {_name_nodes(without_app)} does not know the app {app}", change)
    others = Counter(worker.version for worker in ours if worker.version != version)
    if others:
        found = ", ".join(f"{count} of {other}" for other, count in sorted(others.items(), key=str))
        return risk(name, f"{seen}, {found}; here it is {version}", "finish the upgrade: one release everywhere")
    odd = sorted({worker.lanes for worker in ours} - {lanes})
    if odd:
        found = ", ".join(map(str, odd))
        return risk(name, f"{seen}, with {found} lanes; here it is {lanes}", "SOCKUDO_LANES: the same everywhere")
    return fine(name, f"{seen}, version {version}")


def _name_nodes(nodes: list[str]) -> str:
    more = len(nodes) - MAX_NAMED
    return ", ".join(nodes[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")

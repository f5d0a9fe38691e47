"""Whether doorbells have a way, and anybody who hears them. Pure."""

from __future__ import annotations

from collections import Counter

from ..facts.rights import BROKER_RIGHTS
from ..facts.values import BrokerFacts, Worker
from ..finding import Finding, broken, fine, risk, unknown
from .redis_rights import lacking_rights, missing_text, rights_text

__all__ = ["BROKER_CHECKS", "judge_broker"]

BROKER_CHECKS = ("broker", "workers")

#: Nodes that a line names; more are counted.
MAX_NAMED = 3


def judge_broker(facts: BrokerFacts, *, app: str, lanes: int, version: str, queue: str) -> list[Finding]:
    """A finding for each of :data:`BROKER_CHECKS`; the other arguments are those of this process."""
    if facts.failure:
        return [
            # Events flow without it, as every worker sweeps; only later.
            broken(
                "broker",
                f"{facts.transport}: {facts.failure}: workers hear no doorbells and find events by their sweep alone",
                "start the broker, or correct SOCKUDO_BROKER_URL",
            ),
            unknown("workers", "they are asked through the broker, which was not reached", "see broker"),
        ]
    reached = fine("broker", f"{facts.transport}: takes connections")
    lacking = lacking_rights(facts.denied, BROKER_RIGHTS)
    if lacking:
        change = f"{rights_text(lacking)} in the broker (docs/deployment.md, Rights in Redis)"
        reached = broken("broker", f"{facts.transport}: {missing_text(lacking)}", change)
    if facts.workers is None:
        how = f"`celery -A sockudo_publisher.workerapp inspect active_queues`: who has the queue `{queue}`"
        return [reached, unknown("workers", "Celery's remote control did not work", how)]
    return [reached, _workers(facts.workers, app, lanes, version, queue)]


def _workers(workers: tuple[Worker, ...], app: str, lanes: int, version: str, queue: str) -> Finding:
    name = "workers"
    if not workers:
        return broken(
            name,
            "none answers: what is published waits",
            "`sockudo-publisher worker`, with the same SOCKUDO_* settings as here",
        )
    ours = [worker for worker in workers if worker.version is not None]
    seen = f"{len(ours)} alive"
    if not ours:
        # A registered app's workers run what they are given, but only ours sweep for lost doorbells.
        why = f"{len(workers)} of another app or release listen on the queue `{queue}`, none of ours"
        return risk(name, why, "`sockudo-publisher worker` of this release beside them")
    if len(ours) < len(workers):
        seen += f" (and {len(workers) - len(ours)} of another app or release)"
    deaf = [worker.node for worker in ours if app not in worker.apps]
    change = "SOCKUDO_URL and SOCKUDO_APPS of the workers: the same for all"
    if len(deaf) == len(ours):
        return broken(name, f"{seen}, none of them knows the app {app}", change)
    if deaf:
        return risk(name, f"{seen}, {_named(deaf)} does not know the app {app}", change)
    others = Counter(worker.version for worker in ours if worker.version != version)
    if others:
        found = ", ".join(f"{count} of {other}" for other, count in sorted(others.items(), key=str))
        return risk(name, f"{seen}, {found}; here it is {version}", "finish the upgrade: one release everywhere")
    odd = sorted({worker.lanes for worker in ours} - {lanes})
    if odd:
        found = ", ".join(map(str, odd))
        return risk(name, f"{seen}, with {found} lanes; here it is {lanes}", "SOCKUDO_LANES: the same everywhere")
    return fine(name, f"{seen}, version {version}")


def _named(nodes: list[str]) -> str:
    more = len(nodes) - MAX_NAMED
    return ", ".join(nodes[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")

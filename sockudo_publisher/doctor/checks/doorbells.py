"""Judge whether workers answer the doorbells of their sweeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ...config.settings import QUEUE
from ..finding import CheckFinding, fine, risk, unknown

__all__ = ["DOORBELL_CHECKS", "judge_doorbells"]

DOORBELL_CHECKS = ("doorbells",)

#: Seconds after which an unanswered ring no longer counts.
RECENT_S = 600.0


def judge_doorbells(unheard: Mapping[int, float] | None, *, queue: str = QUEUE) -> list[CheckFinding]:
    """A finding for each of :data:`DOORBELL_CHECKS`.

    ``unheard``: lane -> seconds since ``journal.UNHEARD_RINGS`` rings or more had no answer; ``None``: not read;
    ``queue``: the deployment's queue, which its workers consume.
    """
    [name] = DOORBELL_CHECKS
    if unheard is None:
        return [unknown(name, "the lanes could not be read", "see redis.reachable")]
    lanes = sorted(lane for lane, age_s in unheard.items() if age_s <= RECENT_S)
    if not lanes:
        return [fine(name, "no ring without an answer in the last ten minutes")]
    named = ", ".join(map(str, lanes))
    since_s = min(unheard[lane] for lane in lanes)
    return [
        risk(
            name,
            f"no worker answered the rings of lanes {named}, last {since_s:.0f} s ago: their events wait for a sweep",
            "SOCKUDO_BROKER_URL: the same for all; `celery -A sockudo_publisher inspect active_queues`: which "
            f"workers consume the queue; `celery -A sockudo_publisher control add_consumer {queue}`: consume it again",
        )
    ]

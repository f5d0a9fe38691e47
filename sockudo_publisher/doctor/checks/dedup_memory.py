"""Whether the server remembers message ids, and whether one or several nodes answer. Pure.

Facts: an id that is published again with another payload is refused as long as it is remembered; a
memory cache that is full (by default at 10,000 ids) remembers no new one, in silence; nodes with memory
caches remember each for itself (docs/server.md, 3; seen on 5.2.0). Whether a cache *will* be
full cannot be asked: that is what the workers' canaries measure all the time (``canaries/schedule.py``, whose
words and advice are used here). Nodes that share a cache remember as one, but each counts its own
connections (``GET /stats``; seen on 5.2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ...canaries.values import MemoryReport
from ...canaries.verdict import advice, summary
from ..facts.values import CanaryCounts, NodeAnswer, NodeLoad
from ..finding import Finding, broken, fine, risk, unknown

__all__ = ["MEMORY_CHECKS", "judge_remembering"]

MEMORY_CHECKS = ("sockudo.memory", "sockudo.nodes")

#: How often a node's numbers must have come back after another's: one busy node's change too, but seldom return.
RETURNS = 3

_SHARED = '[cache] driver = "redis" on every node, with one Redis (noeviction, persistent) for all'


def judge_remembering(
    canaries: CanaryCounts | None,
    answers: Sequence[NodeAnswer],
    measured: MemoryReport | None,
    *,
    window_s: float,
    loads: Sequence[NodeLoad] = (),
) -> list[Finding]:
    """A finding for each of :data:`MEMORY_CHECKS`, in their order; ``window_s``: our ``SOCKUDO_DEDUP_WINDOW``.

    ``loads``: of the nodes that were asked one after the other; none where the server does not tell.
    """
    several = memories_differ(answers)
    nodes = _nodes(answers, canaries, loads, several=several)
    return [_memory(canaries, measured, window_s, several=several), nodes]


def memories_differ(answers: Sequence[NodeAnswer]) -> bool:
    """Whether more than one memory answered: one memory can hold an id for one payload only."""
    return len({answer.payload for answer in answers if answer.refused}) > 1


def nodes_take_turns(loads: Sequence[NodeLoad]) -> bool:
    """Whether numbers come back after others: several nodes, each with its own. Without connections all are alike."""
    before: set[NodeLoad] = set()
    returns = 0
    for last, load in pairwise(loads):
        before.add(last)
        returns += load != last and load in before
    return returns >= RETURNS


def _memory(canaries: CanaryCounts | None, measured: MemoryReport | None, window_s: float, *, several: bool) -> Finding:
    name = "sockudo.memory"
    how = "`sockudo-publisher status`: what the workers measure"
    if canaries is not None and canaries.receipts < canaries.planted:
        return broken(
            name,
            f"{canaries.receipts} receipts for {canaries.planted} events: this server has no `message_id`",
            "run Sockudo 5.0 or later",
        )
    if measured is not None and measured.verdict == "forgets":
        why = f"the workers have measured: {summary(measured)}; a resend may be delivered twice"
        return broken(name, why, _SHARED if several else advice(measured))
    if canaries is None or canaries.asked == 0:
        return unknown(name, "no id could be asked for", how)
    seen = f"{canaries.remembered} of {canaries.asked} ids remembered after {canaries.age_s:.0f} s"
    if canaries.remembered < canaries.asked:
        change = _SHARED
        if not several:
            change = advice(replace(measured or MemoryReport(window_s=window_s), verdict="forgets"))
            if canaries.remembered == 0:
                change += "; and [idempotency] enabled = true"
        return broken(name, f"{seen}: a resend may be delivered twice", change)
    if measured is not None and measured.verdict == "remembers":
        return fine(
            name, f"{seen}; measured by the workers: {summary(measured)}, at up to {measured.rate:,.0f} events/s"
        )
    return fine(name, f"{seen}; how many there is room for only the workers' canaries show, in time")


def _nodes(
    answers: Sequence[NodeAnswer], canaries: CanaryCounts | None, loads: Sequence[NodeLoad], *, several: bool
) -> Finding:
    name = "sockudo.nodes"
    how = "the server's adapter and cache settings: more than one node needs the Redis cache"
    if several:
        return broken(
            name,
            "several nodes answer, each with a memory of its own: a resend to another one is delivered twice",
            f"{_SHARED}; better one node (SOCKUDO_URL: its own address)",
        )
    if nodes_take_turns(loads):
        return risk(
            name,
            "several nodes answer (their numbers of connections differ): those that did not take a request get its "
            "events late, out of order, or not at all",
            "SOCKUDO_URL: one node's own address, for all that must come in order (docs/reliability.md, Several nodes)",
        )
    if not answers:
        return unknown(name, "no id could be asked for again and again", how)
    if not any(answer.refused for answer in answers):
        return unknown(name, "the server does not remember, so who answers cannot be told", how)
    if canaries is not None and canaries.remembered < canaries.asked:
        return risk(name, "some ids are forgotten and others not: several nodes, or one memory that is full", how)
    seen = f"one memory behind {len(answers)} connections"
    if len(loads) > RETURNS and max(load.connections for load in loads) > 0:
        return fine(name, f"{seen}, and one node's numbers in {len(loads)} answers")
    # Nodes with one cache look like one; with them Sockudo keeps neither order nor completeness.
    return fine(name, f"{seen}; nodes that share a Redis cache and have no subscribers yet look the same")

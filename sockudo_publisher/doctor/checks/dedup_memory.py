"""Judge the dedup memory, and whether one or several nodes answer. Pure.

Facts: the server refuses a remembered id with another payload. A full memory cache (by default 10,000 ids) drops new
ids without an error. Each node with a memory cache has its own dedup memory (docs/server.md, 3; seen on 5.2.0). No
request can tell whether a cache *will* be full: the workers' canaries measure that all the time
(``canaries/schedule.py``; their summary and advice are used here). Nodes that share a cache have one dedup memory, but
each counts its own connections (``GET /stats``; seen on 5.2.0). So while the doctor holds a WebSocket, an answer
without a connection comes from another node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ...canaries.values import MemoryReport
from ...canaries.verdict import advice, summary
from ..facts.values import CanaryCounts, NodeAnswer, NodeLoad
from ..finding import CheckFinding, broken, fine, risk, unknown

__all__ = ["MEMORY_CHECKS", "judge_dedup_memory"]

MEMORY_CHECKS = ("sockudo.memory", "sockudo.nodes")

#: Times that earlier numbers must return after others. The numbers of one busy node change too, but seldom return.
RETURNS = 3

_SHARED = '[cache] driver = "redis" on every node, with one Redis (noeviction, persistent) for all'


def judge_dedup_memory(
    canaries: CanaryCounts | None,
    answers: Sequence[NodeAnswer],
    measured: MemoryReport | None,
    *,
    window_s: float,
    loads: Sequence[NodeLoad] = (),
    connected: bool = False,
) -> list[CheckFinding]:
    """A finding for each of :data:`MEMORY_CHECKS`, in their order; ``window_s``: ``SOCKUDO_DEDUP_WINDOW``.

    ``loads``: the numbers of the nodes that answered, one per connection, in order; empty if the server shows none.
    ``connected``: the doctor held a WebSocket to one of the nodes meanwhile.
    """
    several = has_several_memories(answers)
    nodes = _nodes(answers, canaries, loads, several=several, connected=connected)
    return [_memory(canaries, measured, window_s, several=several), nodes]


def has_several_memories(answers: Sequence[NodeAnswer]) -> bool:
    """Whether several dedup memories answered: one holds an id for one payload, so it never refuses both."""
    return len({answer.payload for answer in answers if answer.refused}) > 1


def has_several_nodes(loads: Sequence[NodeLoad], *, connected: bool = False) -> bool:
    """Whether earlier numbers return after others, as with several nodes that take turns.

    Without connections the nodes' numbers are equal, and this returns ``False``. ``connected``: a WebSocket was open
    meanwhile, so a node that counts none is another one.
    """
    if connected and any(load.connections == 0 for load in loads):
        return True
    before: set[NodeLoad] = set()
    returns = 0
    for last, load in pairwise(loads):
        before.add(last)
        returns += load != last and load in before
    return returns >= RETURNS


def _memory(
    canaries: CanaryCounts | None, measured: MemoryReport | None, window_s: float, *, several: bool
) -> CheckFinding:
    name = "sockudo.memory"
    how = "`sockudo-publisher status`: what the workers measure"
    if canaries is not None and canaries.receipts < canaries.planted:
        return broken(
            name,
            f"{canaries.receipts} receipts for {canaries.planted} events: this server has no `message_id`",
            "run Sockudo 5.0 or later",
        )
    if measured is not None and measured.verdict == "forgets":
        why = f"the workers measured: {summary(measured)}; a resend may be delivered twice"
        if canaries is not None and 0 < canaries.asked == canaries.remembered:
            why += f". Now {canaries.remembered} of {canaries.asked} new ids are remembered, as after a restart"
        return broken(name, why, _SHARED if several else advice(measured))
    if canaries is None or canaries.asked == 0:
        return unknown(name, "no remembered id could be tested", how)
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
    return fine(name, f"{seen}; only the workers' canaries measure, over time, how many ids fit")


def _nodes(
    answers: Sequence[NodeAnswer],
    canaries: CanaryCounts | None,
    loads: Sequence[NodeLoad],
    *,
    several: bool,
    connected: bool,
) -> CheckFinding:
    name = "sockudo.nodes"
    how = "the server's adapter and cache settings: more than one node needs the Redis cache"
    if several:
        return broken(
            name,
            "several nodes answer, each with its own dedup memory: a resend to another node is delivered twice",
            f"{_SHARED}; better: one node (SOCKUDO_URL: its own address)",
        )
    if has_several_nodes(loads, connected=connected):
        return risk(
            name,
            "several nodes answer (their numbers of connections differ): those that did not take a request get its "
            "events late, out of order, or not at all",
            "SOCKUDO_URL: one node's own address, for all that must come in order; and its subscribers on that node",
        )
    if not answers:
        return unknown(name, "no id could be published several times", how)
    if not any(answer.refused for answer in answers):
        return unknown(name, "the server remembers no id, so the number of nodes is unknown", how)
    if canaries is not None and canaries.remembered < canaries.asked:
        return risk(name, "the server forgot some ids and not others: several nodes, or one full dedup memory", how)
    seen = f"one dedup memory behind {len(answers)} connections"
    if len(loads) > RETURNS and max(load.connections for load in loads) > 0:
        return fine(name, f"{seen}, and one node's numbers in {len(loads)} answers")
    # With several, Sockudo keeps neither order nor completeness.
    return unknown(
        name,
        f"{seen}; nodes that share a Redis cache look the same here: no WebSocket passes through SOCKUDO_URL, and no "
        "node that answered shows a connection",
        "run doctor again while a subscriber is connected, or count the servers behind SOCKUDO_URL",
    )

"""Breakages of scheduled events: the code that stores what is due by the simulation, scripts by a random machine."""

from __future__ import annotations

from . import Mutant

__all__ = ["MUTANTS"]

MOVER = "sockudo_publisher/workerapp/due_events.py"
OUTCOMES = "sockudo_publisher/journal/schedule/outcomes.py"
LUA = "sockudo_publisher/journal/lua"

#: Worlds with scheduled events.
SIMULATION = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/simulation/test_scheduled.py")

#: The scripts under any interleaving.
MACHINE = (*SIMULATION[:-1], "tests/integration/journal/test_schedule_machine.py", "-k", "lost_or_stored_twice")

MUTANTS = (
    Mutant(
        name="take an unknown append of a due event for a stored one",
        why="the event leaves the schedule, and is nowhere",
        file=OUTCOMES,
        old="        return None\n    return ClaimResult.WAITS",
        new="        return ClaimResult.STORED\n    return ClaimResult.WAITS",
        test=SIMULATION,
    ),
    Mutant(
        name="let a channel go on behind its event that found a full lane",
        why="later events overtake it when there is room",
        file=MOVER,
        old="                full.add(one.event.keyed_item.channel)\n            outcomes.append",
        new="                pass\n            outcomes.append",
        test=SIMULATION,
    ),
    Mutant(
        name="append under a claim of any age",
        why="a worker that was frozen stores what an operator has cancelled since",
        file=MOVER,
        old="if time.monotonic() - asked_at > MAX_CLAIM_AGE_S:",
        new="if False:",
        test=SIMULATION,
    ),
    Mutant(
        name="append the due events of the buckets without an order",
        why="events of one due time come in any order",
        file=OUTCOMES,
        old="    found.sort(key=lambda one: one.event.due_ms)",
        new="    found.sort(key=lambda one: -one.event.due_ms)",
        test=SIMULATION,
    ),
    Mutant(
        name="claim again what stays in this pass",
        why="a pass over a full lane never ends",
        file=OUTCOMES,
        old="            report.skipped += 1",
        new="            report.skipped += 0",
        test=SIMULATION,
    ),
    Mutant(
        name="cancel what a worker is storing",
        why="it is delivered all the same",
        file=f"{LUA}/cancel.lua",
        old="if redis.call('SISMEMBER', claimed, name) == 1 then",
        new="if false then",
        test=MACHINE,
    ),
    Mutant(
        name="count the report of a worker without the lease",
        why="it gives back what another worker is storing, so that it can be cancelled",
        file=f"{LUA}/due.lua",
        old="if #ARGV > 5 then return {-1} end",
        new="",
        test=MACHINE,
    ),
)

"""The table of ``journal/protocol.py`` against the scripts: each step happens, and nothing else does."""

from __future__ import annotations

import pytest

from sockudo_publisher.journal.protocol import MACHINES, Machine, Step
from sockudo_publisher.journal.redis.scripts import NAMES
from tests.integration.journal.one_lane import OneLane
from tests.integration.journal.protocol_worlds import WORLDS

pytestmark = pytest.mark.integration

STEPS = [
    pytest.param(machine, step, id=f"{machine.name}: {step.before} - {step.operation}")
    for machine in MACHINES
    for step in machine.steps
]
ILLEGAL = [
    pytest.param(machine, state, operation, id=f"{machine.name}: {state} - {operation}")
    for machine in MACHINES
    for state, operation in machine.illegal()
]


@pytest.mark.parametrize(("machine", "step"), STEPS)
def test_each_step_of_the_table_happens(lane: OneLane, machine: Machine, step: Step) -> None:
    """Reached by the table's own steps, performed by the script, and read back from the keys."""
    world = WORLDS[machine.name](lane)
    world.walk(machine, step.before)
    assert world.state(machine) == step.before
    answers = world.do(step.operation)
    assert world.state(machine) == step.after
    if step.answer is not None:
        assert step.answer in answers


@pytest.mark.parametrize(("machine", "state", "operation"), ILLEGAL)
def test_all_other_calls_change_nothing(lane: OneLane, machine: Machine, state: str, operation: str) -> None:
    """Each script in each state without a step for it: every key keeps its value, and the answer says why."""
    world = WORLDS[machine.name](lane)
    world.walk(machine, state)
    before = lane.everything()
    answers = world.do(operation)
    assert answers == {machine.refused[operation]}
    assert lane.everything() == before
    assert world.state(machine) == state


def test_every_script_that_changes_a_state_is_in_the_table() -> None:
    """The others count, share what was learned or only look."""
    named = {step.script for machine in MACHINES for step in machine.steps}
    assert set(NAMES) - named == {"announce", "audit", "count", "learn", "rate", "scheduled", "status", "write"}

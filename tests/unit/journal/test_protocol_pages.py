"""The tables of the protocol are complete, and the diagrams and tables of its page are made from them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from scripts.protocol_pages import IMAGES, MACHINES, PAGE, draw, made
from sockudo_publisher.journal.protocol import Machine, script_of

pytestmark = pytest.mark.unit

each_machine = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


@pytest.mark.parametrize(
    "path", [*(IMAGES / f"protocol-{one.name}.svg" for one in MACHINES), PAGE], ids=lambda p: p.name
)
def test_files_are_what_the_script_makes(path: Path) -> None:
    """``python -m scripts.protocol_pages`` writes them."""
    assert path.read_text(encoding="utf-8") == made()[path]


def test_the_page_shows_every_diagram() -> None:
    """Each machine has its picture on the page, and no picture is without its machine."""
    page = PAGE.read_text(encoding="utf-8")
    assert {path.name for path in IMAGES.glob("protocol-*.svg")} == {f"protocol-{one.name}.svg" for one in MACHINES}
    assert all(f"(images/protocol-{one.name}.svg)" in page for one in MACHINES)


@each_machine
def test_a_diagram_is_well_formed_and_names_all(machine: Machine) -> None:
    """Every state and every operation can be read in it."""
    texts = [text.text or "" for text in ET.fromstring(draw(machine)).iter("{http://www.w3.org/2000/svg}text")]
    for state in machine.states:
        assert state.name in texts
    for step in machine.steps:
        assert any(step.operation in text for text in texts), step.operation


@each_machine
def test_every_step_is_between_states_of_the_table(machine: Machine) -> None:
    """One step for each state and operation, and each state can be reached."""
    names = [state.name for state in machine.states]
    assert len(names) == len(set(names))
    pairs = [(step.before, step.operation) for step in machine.steps]
    assert len(pairs) == len(set(pairs))
    assert {name for step in machine.steps for name in (step.before, step.after)} <= set(names)
    assert {step.after for step in machine.steps} | {names[0]} == set(names)


@each_machine
def test_unguarded_calls_have_a_reason_and_no_step(machine: Machine) -> None:
    """They are exceptions of the table, so each is a state and an operation of it."""
    for (state, operation), reason in machine.unguarded.items():
        assert reason
        assert state in [one.name for one in machine.states]
        assert operation in machine.refused
        assert (state, operation) not in [(step.before, step.operation) for step in machine.steps]


@each_machine
def test_only_scripts_have_refusals(machine: Machine) -> None:
    """Time and damage ask for no permission."""
    assert all(script_of(operation) for operation in machine.refused)

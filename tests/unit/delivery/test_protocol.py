"""The states of a batch in a worker's hands, walked with the functions that decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sockudo_publisher.delivery.decide import Attempt, Progress, decide
from sockudo_publisher.delivery.outcome import Finding, Outcome
from sockudo_publisher.delivery.protocol import SEARCH, WINDOW
from sockudo_publisher.delivery.window import Policy, standing
from sockudo_publisher.journal.protocol import Step

pytestmark = pytest.mark.unit

#: The value of SOCKUDO_ON_UNCERTAIN under which nothing uncertain is sent.
PARK = "hold"

FIRST_MS = 1_000_000


def search_state(progress: Progress) -> str:
    if progress.bad is not None:
        return "halving"
    if progress.waited:
        return "waited"
    return "small" if progress.most is not None else "whole"


def answered(operation: str, progress: Progress) -> tuple[str, Progress]:
    """One attempt of the size that the progress allows, with that answer; the name of what follows."""
    if progress.bad is not None and operation in ("stuck (several items)", "stuck (one item)"):
        progress = replace(progress, waited=True)  # a running request is waited for once in a search
    outcome = Outcome[operation.partition(" ")[0].upper()]
    count = 1 if "one item" in operation else min(progress.most or 8, 8)
    if "several" in operation:
        count = max(2, count)
    step, after = decide(Finding(outcome), Attempt(count, 100, resent=False, in_hold=False, age_s=0.0), progress)
    return type(step).__name__, after


def arrive(state: str) -> Progress:
    """A progress in that state, by the steps of the table."""
    ways = {"whole": Progress()}
    while state not in ways:
        for step in SEARCH.steps:
            if step.before in ways and step.after not in ways:
                ways[step.after] = answered(step.operation, ways[step.before])[1]
    return ways[state]


@pytest.mark.parametrize("step", SEARCH.steps, ids=lambda step: f"{step.before} - {step.operation}")
def test_each_step_of_the_search_happens(step: Step) -> None:
    """From a progress in the state before, an attempt leads to the step and the state of the table."""
    before = arrive(step.before)
    assert search_state(before) == step.before
    name, after = answered(step.operation, before)
    assert (name, search_state(after)) == (step.answer, step.after)


def test_search_has_a_step_for_each_verdict_on_items() -> None:
    """In each state the server may accept, refuse or be stuck; the table names what follows."""
    for state in SEARCH.states:
        seen = {step.operation.partition(" ")[0] for step in SEARCH.steps if step.before == state.name}
        assert seen == {"accepted", "refused", "stuck"}


#: Seconds after the first attempt, and whether the server remembers ids.
AGES = {"attempt": (1.0, True), "window ends": (1000.0, True), "server forgets ids": (1.0, False)}


@pytest.mark.parametrize("step", WINDOW.steps, ids=lambda step: f"{step.before} - {step.operation}")
def test_each_step_of_the_window_happens(step: Step) -> None:
    """A batch's standing follows from its first attempt, the time, the policy and the server's memory of ids."""
    event, _, policy = step.operation.partition(" (")
    age_s, remembers = AGES["attempt" if event.startswith("attempt") else event]
    if step.before == "late":  # an attempt does not begin the window again
        age_s = 1000.0
    found = standing(
        resent=True,
        first_ms=FIRST_MS,
        now_ms=FIRST_MS + int(age_s * 1000),
        policy=Policy(on_uncertain=PARK if policy == "park)" else "resend"),  # type: ignore[arg-type]
        remembers=remembers,
    )
    assert found.value == step.after


def test_a_batch_that_was_never_sent_is_safe_at_any_age() -> None:
    """The table's first state: nothing of it can be out."""
    policy = Policy(on_uncertain=PARK)  # type: ignore[arg-type]
    assert standing(resent=False, first_ms=0, now_ms=10**12, policy=policy, remembers=False).value == "safe"

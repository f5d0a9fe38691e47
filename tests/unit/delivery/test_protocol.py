"""The states of a batch in a worker's hands, walked with the functions that decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sockudo_publisher.delivery.decide import Attempt, Progress, decide
from sockudo_publisher.delivery.outcome import Finding, Outcome
from sockudo_publisher.delivery.protocol import SEARCH, WINDOW
from sockudo_publisher.delivery.window import Policy, check_window
from sockudo_publisher.journal.protocol import Step

pytestmark = pytest.mark.unit

FIRST_MS = 1_000_000


def search_state(progress: Progress) -> str:
    if progress.suspects is not None:
        return "halving"
    if progress.has_waited:
        return "waited"
    return "small" if progress.max_items is not None else "whole"


def answered(operation: str, progress: Progress) -> tuple[str, Progress]:
    """One attempt of the size that the progress allows, with that answer; the name of what follows."""
    if progress.suspects is not None and operation in ("stuck (several items)", "stuck (one item)"):
        progress = replace(progress, has_waited=True)  # a running request is waited for once in a search
    outcome = Outcome[operation.partition(" ")[0].upper()]
    count = 1 if "one item" in operation else min(progress.max_items or 8, 8)
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


#: Seconds after the first attempt, and whether the server forgets ids.
AGES = {"attempt": (1.0, False), "window ends": (1000.0, False), "server forgets ids": (1.0, True)}


@pytest.mark.parametrize("step", WINDOW.steps, ids=lambda step: f"{step.before} - {step.operation}")
def test_each_step_of_the_window_happens(step: Step) -> None:
    """The window's state follows from the first attempt, the time, the policy and the dedup memory."""
    event, _, policy = step.operation.partition(" (")
    age_s, is_forgetful = AGES["attempt" if event.startswith("attempt") else event]
    if step.before == "late":  # an attempt does not begin the window again
        age_s = 1000.0
    state = check_window(
        resent=True,
        first_ms=FIRST_MS,
        now_ms=FIRST_MS + int(age_s * 1000),
        policy=Policy(on_uncertain="park" if policy == "park)" else "resend"),
        is_forgetful=is_forgetful,
    )
    assert state.value == step.after


def test_a_batch_that_was_never_sent_is_safe_at_any_age() -> None:
    """The table's first state: nothing of it can be out."""
    policy = Policy(on_uncertain="park")
    assert check_window(resent=False, first_ms=0, now_ms=10**12, policy=policy, is_forgetful=True).value == "safe"

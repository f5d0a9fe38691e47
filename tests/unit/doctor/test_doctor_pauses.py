"""What the doctor says of a pause: of a server in trouble, and of a person."""

from __future__ import annotations

import pytest

from sockudo_publisher.doctor.checks.delivering import DeliveryFacts, judge_delivering
from sockudo_publisher.doctor.facts.values import PauseFacts
from sockudo_publisher.doctor.finding import CheckFinding
from sockudo_publisher.journal.app.operator import OperatorPause

pytestmark = pytest.mark.unit


def delivery_of(facts: DeliveryFacts) -> CheckFinding:
    [found] = [one for one in judge_delivering(facts) if one.name == "delivery"]
    return found


def test_a_pause_is_broken():
    """With its reason, and the way out."""
    paused = DeliveryFacts(pause=PauseFacts("misconfigured", "HTTP 401"))
    for facts, state in ((paused, "broken"), (DeliveryFacts(pause=PauseFacts()), "fine"), (DeliveryFacts(), "unknown")):
        found = delivery_of(facts)
        assert found.state.value == state
    assert "resume" in delivery_of(paused).change


@pytest.mark.parametrize(("reason", "shown"), [("", False), ("busy", True)], ids=["alone", "with a server in trouble"])
def test_an_operators_pause_is_named(reason, shown):
    """The reason, the person, the time; workers do not end it. A server's trouble is named beside it."""
    ordered = OperatorPause("new disks", "ana@ops", 1_893_456_000_000)
    facts = DeliveryFacts(pause=PauseFacts(reason, "", ordered))
    found = delivery_of(facts)
    assert found.state.value == "broken"
    assert "paused by an operator (new disks; ana@ops, since 2030-01-01 00:00:00 UTC)" in found.why
    assert ("paused (busy)" in found.why) is shown
    assert "sockudo-publisher resume" in found.change
    assert "retry" not in found.change


@pytest.mark.parametrize(("since_ms", "shown"), [(0, "(r; a)"), (2**53, f"(r; a, since {2**53} ms)")])
def test_time_of_a_pause_that_is_none(since_ms, shown):
    """A record that another program has changed."""
    facts = DeliveryFacts(pause=PauseFacts(operator_pause=OperatorPause("r", "a", since_ms)))
    assert shown in delivery_of(facts).why

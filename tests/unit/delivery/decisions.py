"""Attempts and what is decided after them, for the tests of decisions."""

from __future__ import annotations

from sockudo_publisher.delivery import decide
from sockudo_publisher.delivery.decide import (
    Attempt,
    Progress,
    Step,
)
from sockudo_publisher.delivery.outcome import Finding, Outcome

WORDS = "the server's words"


def attempt(
    count: int = 8, *, resent: bool = False, in_hold: bool = False, age_s: float = 0.0, size: int = 8000
) -> Attempt:
    return Attempt(count, size, resent, in_hold, age_s)


def after(outcome: Outcome, tried: Attempt, progress: Progress | None = None, **said: object) -> tuple[Step, Progress]:
    return decide.decide(Finding(outcome, WORDS, **said), tried, progress or Progress())  # type: ignore[arg-type]

"""Bounds of all decisions, the numbers of docs/outcomes.md, and what follows canaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.canaries import ask as canaries
from sockudo_publisher.delivery import backoff, decide, dedup_check, gates, window
from sockudo_publisher.delivery.decide import (
    MISCONFIGURED_S,
    STUCK_WAIT_S,
    Attempt,
    Bury,
    Hold,
    Learn,
    Pause,
    Progress,
    RetryHold,
    Settle,
    TryAgain,
    decide_after_canaries,
)
from sockudo_publisher.delivery.outcome import Finding, Outcome
from sockudo_publisher.journal.app import shared
from tests.unit.delivery.decisions import after, attempt

pytestmark = pytest.mark.unit

PROGRESSES = st.builds(
    Progress,
    suspects=st.none() | st.integers(1, 600),
    max_items=st.none() | st.integers(1, 600),
    has_waited=st.booleans(),
    unknowns=st.integers(0, 40),
    failures=st.integers(0, 40),
    had_unknown=st.booleans(),
    attempts=st.integers(0, 100),
)
ATTEMPTS = st.builds(
    Attempt,
    count=st.integers(1, 500),
    body_bytes=st.integers(20, 5_000_000),
    resent=st.booleans(),
    in_hold=st.booleans(),
    age_s=st.floats(0, 1e6),
)


@given(
    finding=st.builds(
        Finding,
        outcome=st.sampled_from(Outcome),
        message=st.sampled_from(["", "Batch size (9) exceeds limit (5)", "x"]),
        retry_after_s=st.none() | st.floats(1, 100),
        limit=st.none() | st.integers(1, 1000),
    ),
    tried=ATTEMPTS,
    progress=PROGRESSES,
)
def test_decisions_hold_their_bounds(finding: Finding, tried: Attempt, progress: Progress) -> None:
    """Whatever is known: at least one item goes next, only one item leaves by a search, waits are bounded."""
    step, then = decide.decide(finding, tried, progress)
    assert then.max_items is None or then.max_items >= 1
    assert then.suspects is None or then.suspects >= 1
    match step:
        case Bury(attempts=attempts):
            assert tried.count == 1 or finding.culprit == 0
            assert attempts >= 1
            assert finding.outcome in {Outcome.REFUSED, Outcome.CONFLICT, Outcome.MISCOUNTED, Outcome.TOO_LARGE}
        case Hold():
            assert tried.count == 1
            assert not tried.in_hold
            assert finding.outcome is Outcome.STUCK
        case RetryHold(wait_s):
            assert tried.count == 1
            assert tried.in_hold
            assert backoff.HOLD_FIRST_S <= wait_s <= backoff.HOLD_CAP_S
        case Learn(events, size, unmark):
            assert tried.count > 1
            assert (events is None) != (size is None)
            assert events is None or 1 <= events < tried.count
            assert not (unmark and tried.resent)
        case Pause(unmark=unmark, wait_s=wait_s):
            assert not (unmark and tried.resent)
            assert 0 <= wait_s <= 100
        case TryAgain(wait_s):
            assert wait_s in {0.0, STUCK_WAIT_S}
        case Settle():
            assert finding.outcome is Outcome.ACCEPTED


def questions(count: int) -> int:
    """Requests that a search for one refused item takes after the first refusal: the median of its places."""
    taken = []
    for culprit in range(count):
        first, size, asked, progress = 0, count, 0, Progress()
        while True:
            outcome = Outcome.REFUSED if first <= culprit < first + size else Outcome.ACCEPTED
            step, progress = after(outcome, attempt(size), progress)
            if isinstance(step, Bury):
                break
            first += size if isinstance(step, Settle) else 0
            size = min(progress.max_items or count, count - first)
            asked += 1
        taken.append(asked)
    return sorted(taken)[count // 2]


def test_documented_numbers_are_the_constants() -> None:
    """docs/outcomes.md tells the waits that the code has."""
    text = (Path(__file__).parents[3] / "docs" / "outcomes.md").read_text(encoding="utf-8")
    for line in (
        f"| backoff after the n-th failure in a row | between 0 and min({backoff.CAP_S:g}, {backoff.FIRST_S:g} · 2^",
        f"| wait before a search for a stuck item, once | {STUCK_WAIT_S:g} s |",
        f"| between two probes while misconfigured | {MISCONFIGURED_S:g} s |",
        f"from {backoff.HOLD_FIRST_S:g} to {backoff.HOLD_CAP_S:g} s |",
        f"| `park` | up to window - `SOCKUDO_DELIVERY_TIMEOUT` - {window.MARGIN_S:g} s |",
        "| timeout of a canary: periodic; the first after trouble; the others |",
        f"| {backoff.QUICK_S:g} s; the same, every fourth probe in a row the delivery timeout; {backoff.QUICK_S:g} s |",
        "shared by all workers for an hour;",
        "| fresh canaries before a resend: how many; when each is repeated |",
        f"| {canaries.FRESH_CANARIES}, three times as many after *stuck* to a first send; "
        f"{canaries.EVICTION_S:g} s later |",
        f"| a search; {dedup_check.TRUST_MS / 1000:g} s for other batches that met no trouble since |",
        f"| items of a batch under `park` while the server does not remember ids | {window.FORGETFUL_BATCH} |",
        f"That is about log2(n) requests for n items: {questions(500)} for 500.",
    ):
        assert line in text
    assert shared.LIMITS_TTL_S == 60 * 60
    assert dedup_check.ROUNDS_IN_DOUBT == 3 * dedup_check.ROUNDS
    patient = [pauses for pauses in range(1, 13) if backoff.probe_timeout_s(pauses, 30.0) == 30.0]
    assert patient == [4, 8, 12], "every fourth"
    assert gates.WAIT_IN_PLACE_S >= backoff.CAP_S, "a backoff is waited for in place"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_canaries_pause_the_app_only_in_trouble(outcome: Outcome) -> None:
    """As an attempt of the batch would; what is known of the batch stays."""
    known = Progress(suspects=8, max_items=4, unknowns=1, failures=2, had_unknown=True, knows_mark=True, attempts=3)
    step, after = decide_after_canaries(Finding(outcome, "words", retry_after_s=7.0), known)
    reasons = {
        Outcome.UNKNOWN: "unknown",
        Outcome.NOT_SENT: "unreachable",
        Outcome.BUSY: "busy",
        Outcome.MISCONFIGURED: "misconfigured",
    }
    if outcome not in reasons:
        assert (step, after) == (None, known)
        return
    assert step is not None
    assert (step.reason, step.message, step.unmark) == (reasons[outcome], "words", False)
    assert step.is_loud == (outcome is Outcome.MISCONFIGURED)
    if outcome is Outcome.BUSY:
        assert step.wait_s == 7.0
    assert after == replace(known, failures=3)

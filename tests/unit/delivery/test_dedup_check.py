"""When canaries are asked before a resend, and what counts as a good check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sockudo_publisher.delivery.backoff import backoff_s
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.decide import Attempt, Pause, Settle, Step, TryAgain
from sockudo_publisher.delivery.dedup_check import (
    NO_TRUST,
    ROUNDS,
    ROUNDS_IN_DOUBT,
    TRUST_MS,
    CheckNeed,
    ask_dedup_memory,
    find_check_need,
    is_good,
)
from sockudo_publisher.delivery.outcome import Finding, Outcome
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.batch import Batch

pytestmark = pytest.mark.unit

NOW_MS = 1_000_000
GOOD = CanaryResult(Finding(Outcome.ACCEPTED))
NONE, DONE_BY_OTHER, DUE = CheckNeed.NONE, CheckNeed.DONE_BY_OTHER, CheckNeed.DUE


def batch(first_ms: int, *, resent: bool = True) -> Batch:
    return Batch((), 8, b"marker", first_ms, first_ms, resent, 8)


class Check:
    """The trust of one run; its canaries give ``answers`` one after the other, then good ones."""

    def __init__(self, *answers: CanaryResult) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []
        self.trust = NO_TRUST

    def ask_old(self, since_ms: int, timeout_s: float) -> CanaryResult:
        self.questions.append("old")
        return self.answers.pop(0) if self.answers else GOOD

    def ask_fresh(self, rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> CanaryResult:
        self.questions.append(f"fresh {rounds}")
        return self.answers.pop(0) if self.answers else GOOD

    def attempt(self, outcome: Outcome, step: Step, *, resent: bool = False) -> None:
        attempt = Attempt(8, 800, resent=resent, in_hold=False, age_s=0.0)
        self.trust = self.trust.after_attempt(Finding(outcome), attempt, step, NOW_MS, has_fresh=True)

    def need(
        self, now_ms: int = NOW_MS, *, others_ms: int = 0, is_searching: bool = False, age_ms: int = 0
    ) -> CheckNeed:
        return find_check_need(
            self.trust,
            batch(now_ms - age_ms),
            now_ms,
            others_ms=others_ms,
            is_searching=is_searching,
            policy=Policy(),
        )

    def ask(self, now_ms: int = NOW_MS) -> CanaryResult:
        """A whole check, as the loop does it."""
        answer, self.trust = ask_dedup_memory(
            self.trust, NOW_MS, self.ask_old, self.ask_fresh, timeout_s=30.0, sleep=lambda seconds: False
        )
        if is_good(answer):
            self.trust = self.trust.clear(now_ms)
        return answer


def test_first_send_needs_no_check() -> None:
    """Nothing of it can be out."""
    need = find_check_need(
        NO_TRUST, batch(NOW_MS, resent=False), NOW_MS, others_ms=0, is_searching=False, policy=Policy()
    )
    assert need is NONE


@pytest.mark.parametrize(
    ("outcome", "questions"),
    [
        (Outcome.STUCK, ["old", f"fresh {ROUNDS_IN_DOUBT}"]),
        (Outcome.REFUSED, [f"fresh {ROUNDS}"]),
        (Outcome.CONFLICT, [f"fresh {ROUNDS}"]),
    ],
)
def test_first_attempt_decides_how_much_is_asked(outcome: Outcome, questions: list[str]) -> None:
    """A full dedup memory says "in progress" to a first send; a server that refuses has lost nothing since."""
    check = Check()
    check.attempt(outcome, TryAgain())
    assert check.need() is DUE
    assert check.ask() == GOOD
    assert check.questions == questions
    assert check.need() is NONE


@pytest.mark.parametrize("takes_ms", [TRUST_MS - 1, TRUST_MS + 1, 20_000])
def test_good_check_counts_from_its_end(takes_ms: int) -> None:
    """A server that takes longer to answer than a check counts would be asked for ever."""
    check = Check()
    assert check.need() is DUE
    check.ask(NOW_MS + takes_ms)
    assert check.need(NOW_MS + takes_ms + TRUST_MS, age_ms=takes_ms) is NONE
    assert check.need(NOW_MS + takes_ms + TRUST_MS + 1, age_ms=takes_ms) is DUE


def test_good_check_counts_for_a_search_and_some_seconds() -> None:
    """A search is not checked again, another batch is."""
    check = Check()
    check.attempt(Outcome.REFUSED, TryAgain())
    check.ask()
    later_ms = NOW_MS + TRUST_MS
    assert check.need(later_ms) is NONE
    assert check.need(later_ms + 1) is DUE
    assert check.need(later_ms + 1, is_searching=True) is NONE
    check.attempt(Outcome.ACCEPTED, Settle(), resent=True)
    assert check.need() is NONE
    check.attempt(Outcome.REFUSED, TryAgain())
    assert check.need() is DUE, "another batch"


@pytest.mark.parametrize(
    ("others_ms", "need"),
    [
        (0, DUE),
        (NOW_MS - TRUST_MS - 1, DUE),
        (NOW_MS - TRUST_MS, DONE_BY_OTHER),
        (NOW_MS, DONE_BY_OTHER),
        (NOW_MS + 1, DUE),
        (10**13, DUE),
    ],
)
def test_recent_check_of_another_worker_clears_a_batch(others_ms: int, need: CheckNeed) -> None:
    """One in the future was written under another clock."""
    assert Check().need(others_ms=others_ms) is need


def test_doubt_needs_a_check_of_its_own() -> None:
    """The checks of others were made before the doubt arose."""
    check = Check()
    check.attempt(Outcome.STUCK, TryAgain())
    assert check.need(others_ms=NOW_MS) is DUE


def test_after_trouble_only_a_later_check_counts() -> None:
    """The dedup memory may have been lost in it."""
    check = Check()
    check.attempt(Outcome.UNKNOWN, Pause("unknown", backoff_s(1), "", unmark=False))
    assert check.need(NOW_MS + 100, others_ms=NOW_MS - 1) is DUE
    assert check.need(NOW_MS + 100, others_ms=NOW_MS) is DONE_BY_OTHER


def test_trouble_in_a_doubt_keeps_the_doubt() -> None:
    """The next check still has all rounds, and asks the old canaries too."""
    check = Check()
    check.attempt(Outcome.STUCK, TryAgain())
    check.attempt(Outcome.UNKNOWN, Pause("unknown", 0.1, "", unmark=False), resent=True)
    check.ask()
    assert check.questions == ["old", f"fresh {ROUNDS_IN_DOUBT}"]


def test_search_that_met_trouble_is_checked_again() -> None:
    """The check before it is out of date."""
    check = Check()
    check.attempt(Outcome.REFUSED, TryAgain())
    check.ask()
    check.attempt(Outcome.UNKNOWN, Pause("unknown", 0.1, "", unmark=False), resent=True)
    assert check.need(is_searching=True) is DUE


def test_batch_past_its_window_needs_no_check() -> None:
    """It is uncertain already."""
    assert Check().need(age_ms=119_000) is DUE
    assert Check().need(age_ms=121_000) is NONE


def test_old_canaries_are_asked_once() -> None:
    """They are few: when the probe has asked them, the fresh ones remain."""
    check = Check()
    check.trust = check.trust._replace(are_old_asked=True)
    check.ask()
    assert check.questions == [f"fresh {ROUNDS}"]


@pytest.mark.parametrize(
    ("answers", "questions"),
    [
        ([CanaryResult(Finding(Outcome.ACCEPTED), forgotten=True)], ["old"]),
        ([GOOD, CanaryResult(Finding(Outcome.ACCEPTED), forgotten=True)], ["old", "fresh 1"]),
        ([CanaryResult(Finding(Outcome.NOT_SENT))], ["old"]),
        ([GOOD, CanaryResult(Finding(Outcome.UNKNOWN))], ["old", "fresh 1"]),
    ],
    ids=["old forgotten", "fresh forgotten", "server away", "server away behind the old ones"],
)
def test_bad_answer_ends_the_check_and_clears_nothing(answers: list[CanaryResult], questions: list[str]) -> None:
    """Old canaries that were remembered are not asked again."""
    check = Check(*answers)
    assert check.ask() == answers[-1]
    assert check.questions == questions
    assert check.need() is DUE
    check.ask()
    assert check.questions[len(questions) :] == (["fresh 1"] if len(questions) == 2 else ["old", "fresh 1"])


def test_server_that_refuses_canaries_lets_the_batch_go() -> None:
    """The canaries can tell nothing: the settings count, as without canaries."""
    check = Check(CanaryResult(Finding(Outcome.REFUSED)), CanaryResult(Finding(Outcome.REFUSED)))
    check.ask()
    assert check.need() is NONE


def test_without_canaries_the_check_is_good() -> None:
    """Nothing is known beyond the settings."""
    answer, trust = ask_dedup_memory(NO_TRUST, NOW_MS, None, None, timeout_s=30.0, sleep=lambda seconds: False)
    assert (answer, trust) == (GOOD, NO_TRUST)

"""When canaries are asked before a batch is sent again, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sockudo_publisher.delivery.backoff import backoff_s
from sockudo_publisher.delivery.canary_result import CanaryResult
from sockudo_publisher.delivery.decide import Attempt, Pause, Settle, Step, TryAgain
from sockudo_publisher.delivery.memory_check import ROUNDS, ROUNDS_IN_DOUBT, TRUST_MS, MemoryCheck
from sockudo_publisher.delivery.outcome import Finding, Outcome
from sockudo_publisher.delivery.window import Policy
from sockudo_publisher.journal.batch import Batch

pytestmark = pytest.mark.unit

NOW_MS = 1_000_000
GOOD = CanaryResult(Finding(Outcome.ACCEPTED))


class Still:
    """A process in which nothing happens, but that ``now_s`` may go on."""

    now_s = 0.0

    def stopping(self) -> bool:
        return False

    def others_wait(self) -> bool:
        return False

    def slots_are_scarce(self) -> bool:
        return False

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        return

    def ring_all(self) -> None:
        return


class Asking:
    """A check whose canaries answer ``answers`` one after the other, then that all is well."""

    def __init__(self, *answers: CanaryResult) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.control = Still()
        self.takes_s = 0.0
        self.check = MemoryCheck(Policy(), self.control, self.old, self.fresh)

    def old(self, since_ms: int, timeout_s: float) -> CanaryResult:
        self.asked.append("old")
        return self.answers.pop(0) if self.answers else GOOD

    def fresh(self, rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> CanaryResult:
        self.asked.append(f"fresh {rounds}")
        self.control.now_s += self.takes_s
        return self.answers.pop(0) if self.answers else GOOD

    def tried(self, outcome: Outcome, step: Step, *, resent: bool = False, now_ms: int = NOW_MS) -> None:
        attempt = Attempt(8, 800, resent=resent, in_hold=False, age_s=0.0)
        self.check.note_attempt(Finding(outcome), attempt, step, now_ms)

    def is_due(self, now_ms: int = NOW_MS, *, checked_ms: int = 0, is_searching: bool = False, age_ms: int = 0) -> bool:
        return self.check.is_due(batch(now_ms - age_ms), now_ms, checked_ms, is_searching=is_searching)

    def ask(self, now_ms: int = NOW_MS) -> CanaryResult:
        return self.check.ask(batch(now_ms), now_ms)


def batch(first_ms: int, *, resent: bool = True) -> Batch:
    return Batch((), 8, b"marker", first_ms, first_ms, resent, 8)


def test_batch_that_was_never_sent_asks_nothing() -> None:
    """The usual way."""
    check = Asking().check
    assert not check.is_due(batch(NOW_MS, resent=False), NOW_MS, 0, is_searching=False)


def test_without_canaries_nothing_is_due() -> None:
    """Nothing is known beyond the settings."""
    check = MemoryCheck(Policy(), Still(), None, None)
    assert not check.is_due(batch(NOW_MS), NOW_MS, 0, is_searching=False)


@pytest.mark.parametrize(
    ("outcome", "asked"),
    [
        (Outcome.STUCK, ["old", f"fresh {ROUNDS_IN_DOUBT}"]),
        (Outcome.REFUSED, [f"fresh {ROUNDS}"]),
        (Outcome.CONFLICT, [f"fresh {ROUNDS}"]),
    ],
)
def test_first_attempt_decides_how_many_are_asked(outcome: Outcome, asked: list[str]) -> None:
    """ "In progress" to a first send is what a full memory says; a server that refuses has lost nothing meanwhile."""
    asking = Asking()
    asking.tried(outcome, TryAgain())
    assert asking.is_due()
    assert asking.ask() == GOOD
    assert asking.asked == asked
    assert not asking.is_due()


@pytest.mark.parametrize("takes_ms", [TRUST_MS - 1, TRUST_MS + 1, 20_000])
def test_good_answer_counts_from_its_end(takes_ms: int) -> None:
    """A slow server: what was asked for longer than an answer counts would be asked for ever."""
    asking = Asking()
    asking.takes_s = takes_ms / 1000
    assert asking.is_due()
    asking.ask()
    assert not asking.is_due(NOW_MS + takes_ms + TRUST_MS - 1, age_ms=takes_ms)
    assert asking.is_due(NOW_MS + takes_ms + TRUST_MS + 1, age_ms=takes_ms)


def test_good_answer_counts_for_a_search_and_some_seconds() -> None:
    """A search is not asked for again, other batches are."""
    asking = Asking()
    asking.tried(Outcome.REFUSED, TryAgain())
    asking.ask()
    later_ms = NOW_MS + TRUST_MS
    assert not asking.is_due(later_ms)
    assert asking.is_due(later_ms + 1)
    assert not asking.is_due(later_ms + 1, is_searching=True)
    asking.tried(Outcome.ACCEPTED, Settle(), resent=True)
    assert not asking.is_due()
    asking.tried(Outcome.REFUSED, TryAgain())
    assert asking.is_due(), "another batch"


@pytest.mark.parametrize(
    ("checked_ms", "is_due"),
    [(0, True), (NOW_MS - TRUST_MS - 1, True), (NOW_MS - TRUST_MS, False), (NOW_MS + 1, True), (10**13, True)],
)
def test_mark_of_another_process_trusts_a_recent_check(checked_ms: int, is_due: bool) -> None:
    """Any worker's."""
    assert Asking().is_due(checked_ms=checked_ms) is is_due


def test_doubt_trusts_no_check_of_another() -> None:
    """It was answered before the doubt arose."""
    asking = Asking()
    asking.tried(Outcome.STUCK, TryAgain())
    assert asking.is_due(checked_ms=NOW_MS)


def test_after_trouble_only_a_later_check_counts() -> None:
    """The memory may have been lost in it; a check of another worker since then will do."""
    asking = Asking()
    asking.tried(Outcome.UNKNOWN, Pause("unknown", backoff_s(1), "", unmark=False))
    assert asking.is_due(NOW_MS + 100, checked_ms=NOW_MS - 1)
    assert not asking.is_due(NOW_MS + 100, checked_ms=NOW_MS)


def test_search_that_met_trouble_asks_again() -> None:
    """What was told before is old."""
    asking = Asking()
    asking.tried(Outcome.REFUSED, TryAgain())
    asking.ask()
    asking.tried(Outcome.UNKNOWN, Pause("unknown", 0.1, "", unmark=False), resent=True)
    assert asking.is_due(is_searching=True)


def test_batch_past_its_window_asks_nothing() -> None:
    """It is uncertain already."""
    assert Asking().is_due(age_ms=119_000)
    assert not Asking().is_due(age_ms=121_000)


def test_prober_has_asked_the_old_ones() -> None:
    """They are few: fresh ones remain to be asked."""
    asking = Asking()
    asking.check.note_old_canaries()
    asking.ask()
    assert asking.asked == [f"fresh {ROUNDS}"]


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([CanaryResult(Finding(Outcome.ACCEPTED), forgotten=True)], ["old"]),
        ([GOOD, CanaryResult(Finding(Outcome.ACCEPTED), forgotten=True)], ["old", "fresh 1"]),
        ([CanaryResult(Finding(Outcome.NOT_SENT))], ["old"]),
        ([GOOD, CanaryResult(Finding(Outcome.UNKNOWN))], ["old", "fresh 1"]),
    ],
    ids=["old forgotten", "fresh forgotten", "away", "away behind the old ones"],
)
def test_bad_answer_clears_nothing(answers: list[CanaryResult], asked: list[str]) -> None:
    """The first bad answer is the answer."""
    asking = Asking(*answers)
    assert asking.ask() == answers[-1]
    assert asking.asked == asked
    assert asking.is_due()


def test_server_that_refuses_canaries_lets_the_batch_go() -> None:
    """Nobody can tell: the settings count, as without canaries."""
    asking = Asking(CanaryResult(Finding(Outcome.REFUSED)), CanaryResult(Finding(Outcome.REFUSED)))
    asking.ask()
    assert not asking.is_due()

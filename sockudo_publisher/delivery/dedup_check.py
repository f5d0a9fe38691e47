"""Whether the server still remembers message ids: checked before a batch is sent again.

A resend is safe only while the server remembers what the attempt before it delivered. A server whose dedup memory
is full does not remember, and no answer to an event shows it: it even delivers an event and answers "still in
progress" (docs/reliability.md). So canaries are asked before a resend. Old canaries show whether the dedup memory was
lost, fresh ones whether it is full. One good check counts for the search that follows, and a check of any other
worker counts for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from ..journal.batch import Batch
from .canary_result import CanaryResult
from .decide import Attempt, Pause, Step, has_server_trouble
from .outcome import Finding, Outcome
from .window import Policy, WindowState, check_window

__all__ = [
    "NO_TRUST",
    "ROUNDS",
    "ROUNDS_IN_DOUBT",
    "TRUST_MS",
    "AskFreshCanaries",
    "AskOldCanaries",
    "CheckNeed",
    "DedupTrust",
    "ask_dedup_memory",
    "find_check_need",
    "is_good",
]

#: Asks the canaries that were planted before. Arguments: the time since which the server may have forgotten (Redis',
#: ms), and the seconds that the first request may take.
AskOldCanaries: TypeAlias = Callable[[int, float], CanaryResult]

#: Plants new canaries and asks them. Arguments: rounds, seconds that a request may take, and how to sleep between the
#: two, which returns whether the sleep was cut short.
AskFreshCanaries: TypeAlias = Callable[[int, float, Callable[[float], bool]], CanaryResult]

#: Milliseconds for which a good check counts for batches that met no trouble since.
TRUST_MS: Final = 5_000

#: Rounds of fresh canaries: before a resend, and after "in progress" to a first attempt. A server that remembers
#: gives that answer only where another request carries the same id.
ROUNDS: Final = 1
ROUNDS_IN_DOUBT: Final = 3
assert ROUNDS < ROUNDS_IN_DOUBT, "a doubt is checked more thoroughly"


class CheckNeed(Enum):
    """Whether canaries are asked before a batch goes."""

    NONE = "none"  # never sent, uncertain anyway, or cleared by a check of this run
    DONE_BY_OTHER = "done by other"  # a recent check of any worker clears it
    DUE = "due"


class DedupTrust(NamedTuple):
    """What one run knows of the server's dedup memory, as far as the batch at the head is concerned.

    ``cleared_ms``: when a good check cleared the batch (Redis' time); ``trouble_ms``: when its last attempt ended in
    trouble; both ``None``: never. ``rounds``: of fresh canaries at the next check; ``are_old_asked``: old canaries
    were asked for this batch, and remembered.
    """

    cleared_ms: int | None = None
    trouble_ms: int | None = None
    rounds: int = ROUNDS
    are_old_asked: bool = False

    def after_attempt(
        self, finding: Finding, attempt: Attempt, step: Step, now_ms: int, *, has_fresh: bool
    ) -> DedupTrust:
        """What is known after an attempt that ended at ``now_ms`` and is followed by ``step``."""
        if isinstance(step, Pause):
            return DedupTrust(trouble_ms=now_ms, rounds=self.rounds)
        if attempt.resent:
            return self
        if finding.outcome is Outcome.STUCK:
            return _IN_DOUBT
        # The server has just answered, so it has not lost its dedup memory since. Old canaries are few: they are
        # kept for batches of which that is not known.
        return _ANSWERED if has_fresh else NO_TRUST

    def clear(self, now_ms: int) -> DedupTrust:
        """What is known after a good check."""
        return DedupTrust(cleared_ms=now_ms)


NO_TRUST: Final = DedupTrust()
_ANSWERED: Final = DedupTrust(are_old_asked=True)
_IN_DOUBT: Final = DedupTrust(rounds=ROUNDS_IN_DOUBT)


def find_check_need(
    trust: DedupTrust, batch: Batch, now_ms: int, *, others_ms: int, is_searching: bool, policy: Policy
) -> CheckNeed:
    """Find out whether canaries have to be asked before this batch goes. Pure.

    ``others_ms``: when any worker's fresh canaries were remembered last (Redis' time; 0: never).
    """
    if not batch.resent:
        return CheckNeed.NONE
    if check_window(resent=True, first_ms=batch.first_ms, now_ms=now_ms, policy=policy) is not WindowState.SAFE:
        return CheckNeed.NONE  # uncertain, whatever the canaries say
    if trust.cleared_ms is not None and (is_searching or now_ms - trust.cleared_ms <= TRUST_MS):
        return CheckNeed.NONE
    since_ms = now_ms - TRUST_MS if trust.trouble_ms is None else trust.trouble_ms
    # A check in the future was made before a clock was set back: it says nothing.
    if trust.rounds == ROUNDS and others_ms and since_ms <= others_ms <= now_ms:
        return CheckNeed.DONE_BY_OTHER
    return CheckNeed.DUE


def is_good(answer: CanaryResult) -> bool:
    """Whether the server works and has forgotten nothing, so that the batch may go."""
    return not answer.forgotten and not has_server_trouble(answer.finding)


def ask_dedup_memory(
    trust: DedupTrust,
    first_ms: int,
    ask_old: AskOldCanaries | None,
    ask_fresh: AskFreshCanaries | None,
    *,
    timeout_s: float,
    sleep: Callable[[float], bool],
) -> tuple[CanaryResult, DedupTrust]:
    """Ask old canaries unless that was done, then fresh ones, up to the first bad answer.

    ``first_ms``: when the batch was first sent. Returns the last answer and which canaries need not be asked again;
    the caller clears the batch if the answer :func:`is_good`.
    """
    answer = CanaryResult(Finding(Outcome.ACCEPTED))
    if ask_old is not None and not trust.are_old_asked:
        answer = ask_old(first_ms, timeout_s)
        if not is_good(answer):
            return answer, trust
        trust = trust._replace(are_old_asked=True)
    if ask_fresh is not None:
        answer = ask_fresh(trust.rounds, timeout_s, sleep)
    return answer, trust

"""Whether the server still remembers ids, asked before a batch that may be out is sent again.

A resend is safe only while the server remembers what the attempt before it delivered. A server whose memory of
ids is full does not, and nothing in its answers tells: it even delivers an event and answers "still in
progress" (docs/reliability.md). So each batch that one attempt has carried waits for an answer: old
canaries say whether the memory was lost, fresh ones whether it is full. One check counts for the whole
search that follows, and what any worker has found within the last seconds counts too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ..journal.batch import Batch
from .canaries import Asked
from .control import Control
from .decide import Attempt, Pause, Step
from .outcome import Finding, Outcome
from .probe import AskCanaries
from .window import Policy, Standing, standing

__all__ = ["AskFresh", "MemoryCheck"]

#: Plants new canaries and asks for them, so many rounds of it, sleeping in between with the given function.
AskFresh: TypeAlias = Callable[[int, Callable[[float], None]], Asked]

#: Milliseconds for which a good answer to any worker's fresh canaries counts for batches that met no trouble since.
TRUST_MS: Final = 5_000

#: Rounds of fresh canaries: before any resend, and after "in progress" to a first attempt, which a server that
#: remembers gives only where another request carries the same id.
ROUNDS: Final = 1
ROUNDS_IN_DOUBT: Final = 3


class MemoryCheck:
    """What one run knows of the server's memory since the batch in hand was sent.

    ``ask``: old canaries, ``fresh``: new ones; without either of them nothing is asked, and every batch may go.
    """

    def __init__(self, policy: Policy, control: Control, ask: AskCanaries | None, fresh: AskFresh | None) -> None:
        self._policy = policy
        self._control = control
        self._ask = ask
        self._fresh = fresh
        self._cleared_ms = -1  # the batch (by the start of its first attempt) that may be sent again
        self._since_ms: int | None = None  # the end of an attempt that met trouble
        self._rounds = ROUNDS
        self._is_doubted = False  # another worker's answer does not count
        self._old_asked_ms = -1  # the batch that old canaries were asked for

    def note_attempt(self, finding: Finding, attempt: Attempt, step: Step, now_ms: int) -> None:
        """An attempt has ended at ``now_ms`` (Redis' time), and ``step`` follows."""
        if isinstance(step, Pause):
            self._cleared_ms = self._old_asked_ms = -1
            self._since_ms = now_ms
        elif not attempt.resent:
            self._cleared_ms = self._old_asked_ms = -1
            self._since_ms = None
            self._is_doubted = finding.outcome is Outcome.STUCK
            self._rounds = ROUNDS_IN_DOUBT if self._is_doubted else ROUNDS

    def note_old_canaries(self, batch: Batch) -> None:
        """Old canaries were asked, and remembered, for this batch."""
        self._old_asked_ms = batch.first_ms

    def is_due(self, batch: Batch, now_ms: int, checked_ms: int) -> bool:
        """Whether the batch may be out, is inside its window, and nothing has told since that ids are remembered.

        ``checked_ms``: when fresh canaries of any worker were remembered last (Redis' time; 0: never).
        """
        if not batch.resent or batch.first_ms == self._cleared_ms or (self._ask is None and self._fresh is None):
            return False
        state = standing(resent=True, first_ms=batch.first_ms, now_ms=now_ms, policy=self._policy)
        if state is not Standing.SAFE:
            return False  # uncertain whatever the answer
        since_ms = now_ms - TRUST_MS if self._since_ms is None else self._since_ms
        if checked_ms >= since_ms and not self._is_doubted:
            self._cleared_ms = batch.first_ms
            return False
        return True

    def ask(self, batch: Batch) -> Asked:
        """Ask for this batch. Unless it was forgotten or the server is in trouble, the batch may go."""
        asked = Asked(Finding(Outcome.ACCEPTED))
        if self._ask is not None and batch.first_ms != self._old_asked_ms:
            asked = self._ask(batch.first_ms, self._policy.delivery_timeout_s)
            if asked.finding.outcome is not Outcome.ACCEPTED or asked.forgotten:
                return asked
            self._old_asked_ms = batch.first_ms
        if self._fresh is not None:
            asked = self._fresh(self._rounds, self._control.sleep)
        if not asked.forgotten:
            self._cleared_ms = batch.first_ms
        return asked

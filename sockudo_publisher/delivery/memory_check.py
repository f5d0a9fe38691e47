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
from .canary_result import CanaryResult
from .control import Control
from .decide import Attempt, Pause, Step, has_server_trouble
from .outcome import Finding, Outcome
from .probe import AskCanaries
from .window import Policy, Standing, standing

__all__ = ["AskFresh", "MemoryCheck"]

#: Plants new canaries and asks for them. Arguments: rounds, seconds for a request, how to sleep in between (which
#: answers whether the sleep was cut short).
AskFresh: TypeAlias = Callable[[int, float, Callable[[float], bool]], CanaryResult]

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
        self._cleared_ms: int | None = None  # when the batch in hand was found to be safe
        self._since_ms: int | None = None  # the end of an attempt that met trouble
        self._rounds = ROUNDS
        self._are_old_asked = False  # old canaries were asked, and remembered, for the batch in hand

    def note_attempt(self, finding: Finding, attempt: Attempt, step: Step, now_ms: int) -> None:
        """An attempt has ended at ``now_ms`` (Redis' time), and ``step`` follows."""
        if isinstance(step, Pause):
            self._cleared_ms, self._are_old_asked = None, False
            self._since_ms = now_ms
        elif not attempt.resent:
            self._cleared_ms = self._since_ms = None
            is_doubtful = finding.outcome is Outcome.STUCK
            self._rounds = ROUNDS_IN_DOUBT if is_doubtful else ROUNDS
            # The server has just answered, so it has not lost its memory since: the old canaries, of which there are
            # few, are kept for batches of which that is not known.
            self._are_old_asked = self._fresh is not None and not is_doubtful

    def note_old_canaries(self) -> None:
        """Old canaries were asked, and remembered, for the batch in hand."""
        self._are_old_asked = True

    def is_due(self, batch: Batch, now_ms: int, checked_ms: int, *, is_searching: bool) -> bool:
        """Whether the batch may be out, is inside its window, and no answer since has shown that ids are remembered.

        ``checked_ms``: when fresh canaries of any worker were remembered last (Redis' time; 0: never).
        ``is_searching``: one good answer counts for a whole search.
        """
        if not batch.resent or (self._ask is None and self._fresh is None):
            return False
        state = standing(resent=True, first_ms=batch.first_ms, now_ms=now_ms, policy=self._policy)
        if state is not Standing.SAFE:
            return False  # uncertain whatever the answer
        if self._cleared_ms is not None and (is_searching or now_ms - self._cleared_ms <= TRUST_MS):
            return False
        since_ms = now_ms - TRUST_MS if self._since_ms is None else self._since_ms
        # A check that lies ahead is that of a clock which was set back: it says nothing.
        if self._rounds == ROUNDS and checked_ms and since_ms <= checked_ms <= now_ms:
            self._clear(now_ms)
            return False
        return True

    def ask(self, batch: Batch, now_ms: int) -> CanaryResult:
        """Ask for this batch. Unless it was forgotten or the server is in trouble, the batch may go."""
        asked, started_s = CanaryResult(Finding(Outcome.ACCEPTED)), self._control.monotonic()
        if self._ask is not None and not self._are_old_asked:
            asked = self._ask(batch.first_ms, self._policy.delivery_timeout_s)
            if asked.forgotten or has_server_trouble(asked.finding):
                return asked
            self._are_old_asked = True
        if self._fresh is not None:
            asked = self._fresh(self._rounds, self._policy.delivery_timeout_s, self._sleep)
        if not asked.forgotten and not has_server_trouble(asked.finding):
            # From now on: a slow server takes longer to answer than an answer counts, and would be asked for ever.
            self._clear(now_ms + int((self._control.monotonic() - started_s) * 1000))
        return asked

    def _sleep(self, seconds: float) -> bool:
        """Wait; whether the worker shuts down, and so it was cut short. Nothing is sent any more then."""
        self._control.sleep(seconds)
        return self._control.stopping()

    def _clear(self, now_ms: int) -> None:
        self._cleared_ms = now_ms
        self._since_ms, self._rounds, self._are_old_asked = None, ROUNDS, False

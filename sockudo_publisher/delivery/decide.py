"""What follows an attempt: the finding and the progress of the run in, the next step out. Pure.

This includes the search for a culprit, as arithmetic on prefixes. A prefix that was refused or is stuck holds a
culprit, so half of it is sent next. A prefix that is accepted is settled at once, while the server remembers it. A
refused prefix of one item is the culprit.

Culprits often come many at a time. So the batch after a culprit holds one item, and each accepted batch doubles the
next one: of many culprits in a row each costs one request, and a single culprit slows the queue down for nine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from .backoff import backoff_s, hold_retry_s
from .outcome import Finding, Outcome

__all__ = [
    "Attempt",
    "Bury",
    "Hold",
    "Learn",
    "Pause",
    "Progress",
    "RetryHold",
    "Settle",
    "Step",
    "TryAgain",
    "decide",
    "decide_after_canaries",
    "has_server_trouble",
]

#: Seconds to wait, once, before a stuck batch is searched: the earlier request may still be running.
STUCK_WAIT_S: Final = 2.0

#: Why an app is paused, as people and Redis see it.
PauseReason: TypeAlias = Literal["unreachable", "unknown", "busy", "misconfigured"]

#: Why an item becomes a dead letter after an answer of the server.
BuryReason: TypeAlias = Literal["refused", "conflict", "too_large", "unreadable", "miscounted"]

#: Outcomes that show that the server works, and say something about this batch.
VERDICTS: Final = frozenset(
    (Outcome.ACCEPTED, Outcome.STUCK, Outcome.REFUSED, Outcome.CONFLICT, Outcome.MISCOUNTED, Outcome.TOO_LARGE),
)

#: Seconds between two probes while the server refuses the key or address.
MISCONFIGURED_S: Final = 5.0


@dataclass(frozen=True)
class Attempt:
    """The batch of one request. ``age_s``: seconds since its first attempt began.

    ``resent``: an attempt before may have carried it; ``in_hold``: it is from the queue of a held channel; ``is_late``:
    it was sent again after its window.
    """

    count: int
    body_bytes: int
    resent: bool
    in_hold: bool
    age_s: float
    is_late: bool = False


@dataclass(frozen=True)
class Progress:
    """What a run knows of the items at the head of its queue.

    ``suspects``: a prefix of this many items holds a culprit (``None``: no search); ``max_items``: of the next batch
    (``None``: as many as the settings allow), doubled when it is accepted; ``has_waited``: the one wait for a request
    that may still run is over; ``unknowns``, ``failures``: in a row; ``had_unknown``: an attempt of the marked items
    ended unknown, so they may have been delivered; ``knows_mark``: this run has made the mark or has used it, so it
    knows of every attempt but the first; ``attempts``: since the search began; ``blame``: what is wrong with the last
    suspect, where its own bytes show it.
    """

    suspects: int | None = None
    max_items: int | None = None
    has_waited: bool = False
    unknowns: int = 0
    failures: int = 0
    had_unknown: bool = False
    knows_mark: bool = False
    attempts: int = 0
    blame: str = ""

    @classmethod
    def after_pauses(cls, reason: str, count: int, batch_max_events: int) -> Progress:
        """How a run begins after ``count`` pauses in a row, the last for ``reason``.

        They were met by earlier runs of any worker. Without this, a run that gives its slot back while the server
        dies of large requests would begin with the same large request for ever.
        """
        if reason != "unknown":
            return cls(failures=count)
        max_items = max(1, batch_max_events >> (count - 1)) if count >= 2 else None
        return cls(max_items=max_items, unknowns=count, failures=count)

    @property
    def is_searching(self) -> bool:
        """Whether a search for a culprit runs, or the wait before it."""
        return self.suspects is not None or self.has_waited

    def after_culprit(self) -> Progress:
        """The culprit has left. The next batch is one item, since culprits often follow each other."""
        return replace(self, suspects=None, max_items=1, has_waited=False, attempts=0, blame="")

    def after_head(self) -> Progress:
        """Items have left the head without a request. The next batch has full size."""
        return replace(self, suspects=None, max_items=None, has_waited=False, attempts=0, blame="")


@dataclass(frozen=True)
class Settle:
    """The batch was accepted; ``is_late``: it was sent again after its window, which is counted."""

    is_late: bool = False


@dataclass(frozen=True)
class TryAgain:
    """The head is sent again after ``wait_s``, in the size that the progress says."""

    wait_s: float = 0.0


@dataclass(frozen=True)
class Hold:
    """The single item is stuck: its channel waits, and is tried again after ``retry_in_s``."""

    retry_in_s: float


@dataclass(frozen=True)
class RetryHold:
    """The held item is still stuck: it is tried again after ``wait_s``."""

    wait_s: float


@dataclass(frozen=True)
class Bury:
    """The first item becomes a dead letter; ``attempts``: requests since its search began."""

    reason: BuryReason
    message: str
    maybe_delivered: bool
    attempts: int


@dataclass(frozen=True)
class Learn:
    """The batch is too large for the server; ``unmark``: no attempt before carried any of it."""

    events: int | None
    bytes: int | None
    unmark: bool


@dataclass(frozen=True)
class Pause:
    """Nothing is sent to the app for ``wait_s``; ``unmark``: no attempt can have carried any of the batch.

    ``is_loud``: a person has to change something.
    """

    reason: PauseReason
    wait_s: float
    message: str
    unmark: bool
    is_loud: bool = False


Step: TypeAlias = Settle | TryAgain | Hold | RetryHold | Bury | Learn | Pause


def decide(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    """Decide the next step; also returns what is known when that step is done."""
    # A mark that this run finds was left by a run that died or gave up: its attempt may have ended unknown.
    had_unknown = attempt.resent and (progress.had_unknown or not progress.knows_mark)
    is_verdict = finding.outcome in VERDICTS
    now = replace(
        progress,
        attempts=progress.attempts + 1,
        had_unknown=had_unknown,
        knows_mark=True,
        unknowns=0 if is_verdict else progress.unknowns,
        failures=0 if is_verdict else progress.failures,
    )
    first_attempt = not attempt.resent
    match finding.outcome:
        case Outcome.ACCEPTED:
            return Settle(attempt.is_late), _after_accepted(now, attempt.count)
        case Outcome.STUCK:
            return _stuck(attempt, now)
        case Outcome.REFUSED | Outcome.CONFLICT:
            return _refused(finding, attempt, now)
        case Outcome.MISCOUNTED:
            return _miscounted(finding, attempt, now)
        case Outcome.TOO_LARGE:
            return _too_large(finding, attempt, now)
        case Outcome.UNKNOWN:
            unknowns = now.unknowns + 1
            # From the second unknown in a row on, half of the batch is sent, down to one item: a server that dies of
            # large requests still answers small ones.
            max_items = max(1, attempt.count // 2) if unknowns >= 2 else now.max_items
            after = replace(
                now,
                unknowns=unknowns,
                failures=now.failures + 1,
                max_items=max_items,
                had_unknown=True,
                has_waited=False,  # the request may still run: a stuck item is waited for once more
            )
            return _pause(finding, after.failures, unmark=False), after
        case Outcome.NOT_SENT | Outcome.BUSY | Outcome.MISCONFIGURED:
            after = replace(now, failures=now.failures + 1)
            return _pause(finding, after.failures, unmark=first_attempt), after


def has_server_trouble(finding: Finding) -> bool:
    """Whether the outcome means that nothing can be sent now."""
    return finding.outcome in (Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.BUSY, Outcome.MISCONFIGURED)


def decide_after_canaries(finding: Finding, progress: Progress) -> tuple[Pause | None, Progress]:
    """Decide what follows canaries that were sent instead of the batch. ``None``: the server works, the batch may go.

    What is known of the batch stays, and so does its mark.
    """
    if not has_server_trouble(finding):
        return None, progress
    failures = progress.failures + 1
    return _pause(finding, failures, unmark=False), replace(progress, failures=failures)


def _pause(finding: Finding, failures: int, *, unmark: bool) -> Pause:
    match finding.outcome:
        case Outcome.NOT_SENT:
            return Pause("unreachable", backoff_s(failures), finding.message, unmark)
        case Outcome.BUSY:
            wait_s = finding.retry_after_s if finding.retry_after_s is not None else 1.0 + backoff_s(failures)
            return Pause("busy", wait_s, finding.message, unmark)
        case Outcome.MISCONFIGURED:
            return Pause("misconfigured", MISCONFIGURED_S, finding.message, unmark, is_loud=True)
        case _:
            assert finding.outcome is Outcome.UNKNOWN, "an answer about an item pauses nothing"
            return Pause("unknown", backoff_s(failures), finding.message, unmark)


def _after_accepted(progress: Progress, count: int) -> Progress:
    suspects = progress.suspects - count if progress.suspects is not None else 0
    if suspects > 0:
        return replace(progress, suspects=suspects, max_items=_half(suspects))
    max_items = progress.max_items
    if max_items is not None and count >= max_items:  # a batch that was smaller for another reason proves nothing
        max_items *= 2
    return replace(progress, suspects=None, max_items=max_items, has_waited=False, attempts=0, blame="")


def _stuck(attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    if attempt.in_hold and attempt.count == 1:
        return RetryHold(hold_retry_s(attempt.age_s)), progress
    # Several items of a held queue are searched too. If they were resent until they are accepted, the server would
    # have forgotten the items before a second stuck one when its claim ends: they would be delivered twice.
    if not progress.has_waited:
        return TryAgain(STUCK_WAIT_S), replace(progress, has_waited=True)
    if attempt.count > 1:
        return TryAgain(), replace(progress, suspects=attempt.count, max_items=_half(attempt.count))
    return Hold(hold_retry_s(0)), progress.after_culprit()


def _refused(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    if attempt.count > 1:
        return TryAgain(), replace(progress, suspects=attempt.count, max_items=_half(attempt.count))
    reason: BuryReason = "conflict" if finding.outcome is Outcome.CONFLICT else "refused"
    # An item's bytes never change: a conflict means that another publisher used the id, or that an earlier attempt
    # of this item is out (the claim of a request that was cut gives this answer too).
    maybe_delivered = reason == "conflict" and progress.had_unknown
    bury = Bury(reason, finding.message, maybe_delivered, progress.attempts)
    return bury, progress.after_culprit()


def _miscounted(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    at = finding.culprit
    progress = replace(progress, had_unknown=True)  # a 200 that fits no batch does not say which items are out
    if at == 0 or attempt.count == 1:
        # Something of it is out, perhaps all that it holds.
        reason: BuryReason = "miscounted" if at is None else "unreadable"
        return Bury(reason, finding.message, maybe_delivered=True, attempts=progress.attempts), progress.after_culprit()
    if at is not None:  # its own bytes show it: the items before it go first
        return TryAgain(), replace(progress, suspects=at + 1, max_items=at, blame=finding.message)
    return TryAgain(), replace(progress, suspects=attempt.count, max_items=_half(attempt.count))


def _too_large(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    if attempt.count == 1:
        bury = Bury("too_large", finding.message, maybe_delivered=False, attempts=progress.attempts)
        return bury, progress.after_culprit()
    # The server checks the size before the first item, so it has accepted none of them.
    unmark = not attempt.resent
    if finding.limit is not None and finding.limit < attempt.count:
        return Learn(finding.limit, None, unmark), progress
    if finding.limit is not None or finding.message.lower().startswith("batch size"):
        return Learn(max(1, attempt.count // 2), None, unmark), progress
    return Learn(None, max(1024, attempt.body_bytes // 2), unmark), replace(
        progress, max_items=max(1, attempt.count // 2)
    )


def _half(count: int) -> int:
    return max(1, count // 2)

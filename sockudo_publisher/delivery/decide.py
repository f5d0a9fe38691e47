"""What follows an attempt. Pure: a finding and the run's progress in, the next step out.

The search for a culprit is in here too, as arithmetic on prefixes: a prefix that was refused or is
stuck holds one; half of it is asked next; a prefix that is accepted is settled at once, while the
server remembers it; a refused prefix of one item *is* the culprit.

Culprits come in floods, so the batch after a culprit holds one item, and each accepted batch doubles the
next one: of many culprits in a row each costs one request, and a lone one slows the queue for nine.
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
    "after_canary",
    "decide",
    "has_server_trouble",
]

#: Seconds to wait, once, before a stuck batch is searched: the earlier request may still be running.
STUCK_WAIT_S: Final = 2.0

#: Why an app is paused, as people and Redis see it.
PauseReason: TypeAlias = Literal["unreachable", "unknown", "busy", "misconfigured"]

#: Why an item was buried by the server's word.
BuryReason: TypeAlias = Literal["refused", "conflict", "too_large", "unreadable", "miscounted"]

#: The server works, and says something of this batch.
VERDICTS: Final = frozenset(
    (Outcome.ACCEPTED, Outcome.STUCK, Outcome.REFUSED, Outcome.CONFLICT, Outcome.MISCOUNTED, Outcome.TOO_LARGE),
)

#: Seconds between two probes of an app that refuses our key or address.
MISCONFIGURED_S: Final = 5.0


@dataclass(frozen=True)
class Attempt:
    """The batch that was sent: its size, whether it went out before, and whether from a held queue."""

    count: int
    body_bytes: int
    resent: bool
    in_hold: bool
    age_s: float


@dataclass(frozen=True)
class Progress:
    """What a run knows of the items at the head.

    ``bad``: a prefix this long holds a culprit; ``most``: the most items of the next batch, twice as many once it was
    accepted;
    ``waited``: the one wait for a running request was spent; ``unknowns``, ``failures``: in a row;
    ``unknown_before``: an attempt of what is marked ended unknown, so it may have been delivered;
    ``is_known``: this run made the mark or has used it, so that it knows of every attempt but the first.
    """

    bad: int | None = None
    most: int | None = None
    waited: bool = False
    unknowns: int = 0
    failures: int = 0
    unknown_before: bool = False
    is_known: bool = False
    attempts: int = 0

    @classmethod
    def after_pauses(cls, reason: str, count: int, batch_max_events: int) -> Progress:
        """How a run begins after ``count`` pauses in a row, the last for ``reason``.

        Earlier runs, of any worker, met them. Without this a run that gives its slot back while the
        server dies of large requests would begin with the same large request for ever.
        """
        if reason != "unknown":
            return cls(failures=count)
        most = max(1, batch_max_events >> (count - 1)) if count >= 2 else None
        return cls(most=most, unknowns=count, failures=count)

    @property
    def is_searching(self) -> bool:
        """Whether a culprit is being looked for, or the wait before it runs."""
        return self.bad is not None or self.waited

    def after_culprit(self) -> Progress:
        """The culprit has left: the next batch is one item, which may be a culprit too."""
        return replace(self, bad=None, most=1, waited=False, attempts=0)

    def after_head(self) -> Progress:
        """Items left the head without a request: what follows goes next, at full size."""
        return replace(self, bad=None, most=None, waited=False, attempts=0)


@dataclass(frozen=True)
class Settle:
    """The batch was accepted."""


@dataclass(frozen=True)
class TryAgain:
    """Send the head again after ``wait_s``, in the size that the progress says."""

    wait_s: float = 0.0


@dataclass(frozen=True)
class Hold:
    """The single item is stuck: its channel waits, and is tried again after ``retry_in_s``."""

    retry_in_s: float


@dataclass(frozen=True)
class RetryHold:
    """The held item is still stuck."""

    wait_s: float


@dataclass(frozen=True)
class Bury:
    """The first item cannot be delivered; ``attempts``: of requests since its search began."""

    reason: BuryReason
    words: str
    maybe_delivered: bool
    attempts: int


@dataclass(frozen=True)
class Learn:
    """The batch is too large for the server; ``unmark``: none of it was ever sent."""

    events: int | None
    bytes: int | None
    unmark: bool


@dataclass(frozen=True)
class Pause:
    """The whole app waits; ``unmark``: none of the batch was ever sent."""

    reason: PauseReason
    wait_s: float
    words: str
    unmark: bool
    is_loud: bool = False


Step: TypeAlias = Settle | TryAgain | Hold | RetryHold | Bury | Learn | Pause


def decide(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    """The next step, and what is known when it is done."""
    # A mark that this run finds was left by one that died or gave up: its attempt may have ended unknown.
    unknown_before = attempt.resent and (progress.unknown_before or not progress.is_known)
    is_verdict = finding.outcome in VERDICTS
    now = replace(
        progress,
        attempts=progress.attempts + 1,
        unknown_before=unknown_before,
        is_known=True,
        unknowns=0 if is_verdict else progress.unknowns,
        failures=0 if is_verdict else progress.failures,
    )
    first_attempt = not attempt.resent
    match finding.outcome:
        case Outcome.ACCEPTED:
            return Settle(), _after_accepted(now, attempt.count)
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
            # It may be running still, so that a stuck item is waited for once more.
            # After a second unknown in a row half of the batch is asked, down to one item: a server that
            # dies of large requests still answers small ones. One item alone, still unknown: its trouble.
            most = max(1, attempt.count // 2) if unknowns >= 2 else now.most
            after = replace(
                now, unknowns=unknowns, failures=now.failures + 1, most=most, unknown_before=True, waited=False
            )
            return _pause(finding, after.failures, unmark=False), after
        case Outcome.NOT_SENT | Outcome.BUSY | Outcome.MISCONFIGURED:
            after = replace(now, failures=now.failures + 1)
            return _pause(finding, after.failures, unmark=first_attempt), after


def has_server_trouble(finding: Finding) -> bool:
    """Whether an answer to a canary means that nothing can be sent now."""
    return finding.outcome in (Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.BUSY, Outcome.MISCONFIGURED)


def after_canary(finding: Finding, progress: Progress) -> tuple[Pause | None, Progress]:
    """What follows when a canary went first after trouble. ``None``: the server answers, the batch may go.

    The batch itself was not sent: what is known of it stays.
    """
    if not has_server_trouble(finding):
        return None, progress
    failures = progress.failures + 1
    return _pause(finding, failures, unmark=True), replace(progress, failures=failures)


def _pause(finding: Finding, failures: int, *, unmark: bool) -> Pause:
    match finding.outcome:
        case Outcome.NOT_SENT:
            return Pause("unreachable", backoff_s(failures), finding.words, unmark)
        case Outcome.BUSY:
            wait_s = finding.retry_after_s if finding.retry_after_s is not None else 1.0 + backoff_s(failures)
            return Pause("busy", wait_s, finding.words, unmark)
        case Outcome.MISCONFIGURED:
            return Pause("misconfigured", MISCONFIGURED_S, finding.words, unmark, is_loud=True)
        case _:
            assert finding.outcome is Outcome.UNKNOWN, "the server's word about an item pauses nothing"
            return Pause("unknown", backoff_s(failures), finding.words, unmark)


def _after_accepted(progress: Progress, count: int) -> Progress:
    bad = progress.bad - count if progress.bad is not None else 0
    if bad > 0:
        return replace(progress, bad=bad, most=_half(bad))
    most = progress.most
    if most is not None and count >= most:  # a batch that something else kept smaller says nothing of a larger one
        most *= 2
    return replace(progress, bad=None, most=most, waited=False, attempts=0)


def _stuck(attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    if attempt.in_hold and attempt.count == 1:
        return RetryHold(hold_retry_s(attempt.age_s)), progress
    # Several items of a held queue are searched too: resent until accepted, those before a second stuck
    # item would be forgotten when its claim ends, and come twice.
    if not progress.waited:
        return TryAgain(STUCK_WAIT_S), replace(progress, waited=True)
    if attempt.count > 1:
        return TryAgain(), replace(progress, bad=attempt.count, most=_half(attempt.count))
    return Hold(hold_retry_s(0)), progress.after_culprit()


def _refused(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    if attempt.count > 1:
        return TryAgain(), replace(progress, bad=attempt.count, most=_half(attempt.count))
    reason: BuryReason = "conflict" if finding.outcome is Outcome.CONFLICT else "refused"
    # Our bytes never change: a conflict means that somebody else used the id, or (a cut request's
    # claim answers so too) that an earlier attempt of ours is out.
    maybe_delivered = reason == "conflict" and progress.unknown_before
    bury = Bury(reason, finding.words, maybe_delivered, progress.attempts)
    return bury, progress.after_culprit()


def _miscounted(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    at = finding.culprit
    progress = replace(progress, unknown_before=True)  # a 200 that fits no batch says of no item whether it is out
    if at == 0 or attempt.count == 1:
        # Something of it is out, perhaps all that it holds.
        reason: BuryReason = "miscounted" if at is None else "unreadable"
        return Bury(reason, finding.words, maybe_delivered=True, attempts=progress.attempts), progress.after_culprit()
    if at is not None:  # its bytes name it: what is before it goes first
        return TryAgain(), replace(progress, bad=at + 1, most=at)
    return TryAgain(), replace(progress, bad=attempt.count, most=_half(attempt.count))


def _too_large(finding: Finding, attempt: Attempt, progress: Progress) -> tuple[Step, Progress]:
    if attempt.count == 1:
        bury = Bury("too_large", finding.words, maybe_delivered=False, attempts=progress.attempts)
        return bury, progress.after_culprit()
    # Nothing of a batch refused for its size was accepted (the size is checked before the first item).
    unmark = not attempt.resent
    if finding.limit is not None and finding.limit < attempt.count:
        return Learn(finding.limit, None, unmark), progress
    if finding.limit is not None or finding.words.lower().startswith("batch size"):
        return Learn(max(1, attempt.count // 2), None, unmark), progress
    return Learn(None, max(1024, attempt.body_bytes // 2), unmark), replace(progress, most=max(1, attempt.count // 2))


def _half(count: int) -> int:
    return max(1, count // 2)

"""What becomes of a batch whose fate nobody knows. Pure.

Its window is over (``window.standing``), so that a resend may come twice. History may have some of the
items, some may have expired; the policy says what to do with the rest. Always the head of the batch
leaves, or the head of it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .decide import Attempt
from .outcome import Finding, Outcome
from .window import Policy, Standing

__all__ = ["Fate", "LeaveFirst", "SendFirst", "SettleFirst", "fate", "possible_copies"]


@dataclass(frozen=True)
class SendFirst:
    """The first ``count`` items may be sent again."""

    count: int


@dataclass(frozen=True)
class SettleFirst:
    """History has the first ``count`` items. Recorded is not delivered: they are counted apart."""

    count: int


@dataclass(frozen=True)
class LeaveFirst:
    """The first item leaves unsent; ``keep``: as a dead letter."""

    reason: str
    words: str
    keep: bool


Fate: TypeAlias = SendFirst | SettleFirst | LeaveFirst


def fate(
    expires_ms: Sequence[int],
    recorded: Sequence[bool],
    *,
    state: Standing,
    now_ms: int,
    policy: Policy,
    remembers: bool,
) -> Fate:
    """What follows for the first items of an uncertain batch.

    ``expires_ms``, ``recorded``: of each item, when it expires (0: never) and whether history has it.
    """
    alike = next((i for i, one in enumerate(recorded) if one is not recorded[0]), len(recorded))
    if recorded[0]:
        return SettleFirst(alike)
    wanted = next((i for i, at in enumerate(expires_ms[:alike]) if 0 < at <= now_ms), alike)
    if wanted == 0:
        return LeaveFirst("expired_uncertain", "", keep=False)
    if state is Standing.OVER:
        over = f"a resend might end after the server's memory of it ({policy.window_s:g} s)"
        why = over if remembers else "the server does not remember ids"
        return LeaveFirst("uncertain", f"not known to be delivered, and {why}", keep=True)
    return SendFirst(wanted)


def possible_copies(finding: Finding, attempt: Attempt) -> int:
    """How many events of a batch may have come twice, that was sent again late and not accepted."""
    match finding.outcome:
        # Also the stuck item: a full memory says so of what it has published.
        case Outcome.UNKNOWN | Outcome.STUCK | Outcome.MISCOUNTED:
            return attempt.count
        case Outcome.REFUSED | Outcome.CONFLICT:  # the culprit is not published, those before it are
            return attempt.count - 1
        case _:
            return 0

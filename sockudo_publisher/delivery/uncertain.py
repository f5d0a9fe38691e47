"""What becomes of uncertain events: those of a batch past its window whose attempts were not answered. Pure.

The channel's history may have some of them, others may have expired; the policy says what happens to the rest.
Each decision is about the first events of the batch only: they are sent, or they leave the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .decide import Attempt
from .outcome import Finding, Outcome
from .window import Policy, WindowState

__all__ = ["RemoveFirst", "SendFirst", "SettleFirst", "UncertainStep", "count_possible_copies", "decide_uncertain"]


@dataclass(frozen=True)
class SendFirst:
    """The first ``count`` events are sent again."""

    count: int


@dataclass(frozen=True)
class SettleFirst:
    """History has the first ``count`` events: they leave, counted apart, since recorded does not mean delivered."""

    count: int


@dataclass(frozen=True)
class RemoveFirst:
    """The first event leaves unsent; ``keep``: as a dead letter, else it is only counted."""

    reason: str
    message: str
    keep: bool


UncertainStep: TypeAlias = SendFirst | SettleFirst | RemoveFirst


def decide_uncertain(
    expires_ms: Sequence[int],
    recorded: Sequence[bool],
    *,
    state: WindowState,
    now_ms: int,
    policy: Policy,
    is_forgetful: bool,
) -> UncertainStep:
    """Decide about the first events of an uncertain batch.

    ``expires_ms``: when each event expires (Redis' time; 0: never); ``recorded``: whether history has it.
    """
    alike = next((i for i, is_recorded in enumerate(recorded) if is_recorded is not recorded[0]), len(recorded))
    if recorded[0]:
        return SettleFirst(alike)
    wanted = next((i for i, at_ms in enumerate(expires_ms[:alike]) if 0 < at_ms <= now_ms), alike)
    if wanted == 0:
        return RemoveFirst("expired_uncertain", "", keep=False)
    if state is WindowState.TOO_LATE:
        late = f"a resend might end after the server has forgotten the id ({policy.window_s:g} s)"
        why = "the server does not remember ids" if is_forgetful else late
        return RemoveFirst("uncertain", f"not known to be delivered, and {why}", keep=True)
    return SendFirst(wanted)


def count_possible_copies(finding: Finding, attempt: Attempt) -> int:
    """Count the events that a late resend may have repeated; an accepted batch is counted when it is settled."""
    match finding.outcome:
        # A stuck event too: a server with a full dedup memory answers so for an event that it has published.
        case Outcome.UNKNOWN | Outcome.STUCK | Outcome.MISCOUNTED:
            return attempt.count
        case Outcome.REFUSED | Outcome.CONFLICT:  # the culprit is not published, the events before it are
            return attempt.count - 1
        case _:
            return 0

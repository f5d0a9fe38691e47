"""Hand outcomes to the loops that wait for them, from another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from ..redaction import package_logger
from .waiting_call import Outcome, WaitingCall

__all__ = ["by_loop", "hand_over", "set_outcome"]

logger = package_logger("sockudo_publisher.group_commit")

#: Outcomes that are set in one step of the loop; the callers that they wake run in the next step, before others wake.
#: A step costs a look at the selector, for which the loop gives up Python's lock: with 4, a third of a call's time.
SLICE = 16

Loop: TypeAlias = asyncio.AbstractEventLoop
Done: TypeAlias = "Sequence[tuple[WaitingCall, Outcome]]"


def by_loop(done: Iterable[tuple[WaitingCall, Outcome]]) -> dict[Loop, Done]:
    """Calls with their outcomes, by the loop that waits for them. Pure."""
    sorted_out: dict[Loop, list[tuple[WaitingCall, Outcome]]] = {}
    for one in done:
        sorted_out.setdefault(one[0].loop, []).append(one)
    return {**sorted_out}


def hand_over(app: str, done: Mapping[Loop, Done], then: Callable[[Loop], None] | None) -> int:
    """Give each call its outcome, with one wake-up per loop. Returns how many errors met a closed loop: no caller
    gets them, so they are logged.

    ``then(loop)`` is called when the callers of a loop have run, in that loop; at once if it is closed.
    """
    lost = 0
    for loop, outcomes in done.items():
        try:
            loop.call_soon_threadsafe(_set_slice, loop, outcomes, 0, then)
        except RuntimeError:  # the loop was closed while these calls waited
            lost += _log_errors(app, outcomes)
            if then is not None:
                then(loop)
    return lost


def set_outcome(call: WaitingCall, outcome: Outcome) -> None:
    """Give a call its outcome, in its loop."""
    # A value, also for an error: an exception that a cancelled caller does not fetch would be logged by asyncio.
    if not call.future.done():
        call.future.set_result(outcome)


def _set_slice(loop: Loop, outcomes: Done, start: int, then: Callable[[Loop], None] | None) -> None:
    """Set some of the outcomes now, the others in the loop's next steps: a thousand at once would hold it."""
    stop = start + SLICE
    for call, outcome in outcomes[start:stop]:
        set_outcome(call, outcome)
    if stop < len(outcomes):
        loop.call_soon(_set_slice, loop, outcomes, stop, then)
    elif then is not None:  # behind the callers that were woken last
        loop.call_soon(then, loop)


def _log_errors(app: str, outcomes: Iterable[tuple[WaitingCall, Outcome]]) -> int:
    lost = 0
    for call, outcome in outcomes:
        error = outcome if isinstance(outcome, Exception) else outcome.failure
        if error is not None:
            lost += 1
            logger.error(
                "event not stored, and its caller's loop is closed app=%s channel=%s message_id=%s events=%d error=%s",
                app,
                call.items[0].channel,
                call.message_id or "-",
                call.event_count,
                error,
            )
    return lost

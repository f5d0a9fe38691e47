"""The watch of an empty lane: its run stays, so that the next event needs no doorbell."""

from __future__ import annotations

from typing import Final

from ..errors import JournalUnavailable, JournalUnreadable
from ..journal.holder import Holder, Journal
from .control import Control

__all__ = ["watch_queue", "watch_quiet_queue"]

#: Seconds for which any worker watches an empty lane; fewer where slots are scarce.
HOT_S: Final = 10.0
SCARCE_HOT_S: Final = 0.2

#: Seconds of one look: a stop is seen after it.
HOT_LOOK_S: Final = 0.2
#: The same in the watch of a quiet lane, which may last for days: each look is a request to Redis.
QUIET_LOOK_S: Final = 1.0

assert HOT_LOOK_S <= SCARCE_HOT_S < HOT_S, "an empty lane is looked at once at least"


def watch_queue(journal: Journal, holder: Holder, control: Control) -> bool:
    """Wait for an entry; ``False``: none came in time, or the worker stops."""
    hot_until = control.monotonic() + (SCARCE_HOT_S if control.slots_are_scarce() else HOT_S)
    while control.monotonic() < hot_until and not control.stopping():
        if journal.wait_for_entry(holder, HOT_LOOK_S):
            return True
    return False


def watch_quiet_queue(journal: Journal, holder: Holder, control: Control) -> bool:
    """Wait for an entry for as long as the worker may stay at the lane; ``False``: none came until then.

    Nothing is in hand, so a Redis that is away for a moment does not end it while the lease lasts: without its holder
    the lane would rest until the lease is over.
    """
    while control.may_stay() and not control.stopping() and not holder.lease.lost:
        try:
            if journal.wait_for_entry(holder, QUIET_LOOK_S):
                return True
        except JournalUnreadable:
            raise
        except JournalUnavailable:
            control.sleep(QUIET_LOOK_S)
    return False

"""The watch of an empty lane: its run stays for a while, so that the next event needs no doorbell."""

from __future__ import annotations

from typing import Final

from ..journal.holder import Holder, Journal
from .control import Control

__all__ = ["watch_queue"]

#: Seconds for which an empty lane is watched before it is released; fewer where slots are scarce.
HOT_S: Final = 10.0
SCARCE_HOT_S: Final = 0.2

#: Seconds of one look: a stop is seen after it.
HOT_LOOK_S: Final = 0.2

assert HOT_LOOK_S <= SCARCE_HOT_S < HOT_S, "an empty lane is looked at once at least"


def watch_queue(journal: Journal, holder: Holder, control: Control) -> bool:
    """Wait for an entry; ``False``: none came in time, or the worker stops."""
    hot_until = control.monotonic() + (SCARCE_HOT_S if control.slots_are_scarce() else HOT_S)
    while control.monotonic() < hot_until and not control.stopping():
        if journal.wait_for_entry(holder, HOT_LOOK_S):
            return True
    return False

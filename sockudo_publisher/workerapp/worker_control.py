"""The drain loop's view of its worker: the stop, the other lanes, the clock."""

from __future__ import annotations

import time

from ..config.settings import get_settings
from ..errors import JournalUnreadable
from ..wiring import stop
from ..wiring.app import App, app_named
from ..wiring.doorbell import doorbell
from . import quiet_lanes, slots

__all__ = ["WorkerControl"]


class WorkerControl:
    """What ``delivery.control.Control`` asks for, of this process."""

    def __init__(self, app: App, lane: int, *, stays: bool = True) -> None:
        self._app = app
        self._lane = lane
        self._stays = stays
        self._names = tuple(get_settings().app_urls())

    def stopping(self) -> bool:
        """Whether the worker shuts down."""
        return stop.flag.is_set()

    def others_wait(self) -> bool:
        """Whether another lane, a held channel that is due, or a message waits for a slot."""
        if self.slots_are_scarce():
            return True  # messages may wait too, in the broker or the pool's queue, where they cannot be counted
        for name in self._names:
            journal = app_named(name).journal
            shared = journal.shared.view()
            if shared.operator_pause is not None:
                continue  # what waits there has to wait
            if shared.pause is not None and shared.pause.left_ms(journal.now_ms()):
                continue
            try:
                lanes = journal.lanes()
            except JournalUnreadable:
                continue  # the sweep logs it; the other apps go on
            others = [lane for lane in lanes if (name, lane) != (self._app.name, self._lane)]
            if (others and journal.has_waiting_lane(others)) or journal.has_waiting_hold(lanes):
                return True
        return False

    def slots_are_scarce(self) -> bool:
        """Whether there are no more slots than lanes."""
        # Where every lane has a slot there is none for a held channel.
        return slots.count <= get_settings().lanes * len(self._names)

    def may_stay(self) -> bool:
        """Whether the lane is one of those that this worker watches while they are quiet."""
        return self._stays and not self.slots_are_scarce() and quiet_lanes.is_kept(self._app.name, self._lane)

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the worker shuts down."""
        stop.wait_or_stop(seconds)

    def ring_all(self) -> None:
        """Ring every lane of the app that has entries."""
        journal = self._app.journal
        doorbell.ring(self._app.name, journal.lanes_with_entries(journal.lanes()))

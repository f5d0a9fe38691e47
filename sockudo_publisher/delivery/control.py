"""What the drain loop needs from the process in which it runs."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Control"]


class Control(Protocol):
    """The clock, the stop of the worker, the other lanes."""

    def stopping(self) -> bool:
        """Whether the worker shuts down, so that the queue is given back."""

    def others_wait(self) -> bool:
        """Whether something waits for a slot: another lane without a holder, a held channel that is due, a message."""

    def slots_are_scarce(self) -> bool:
        """Whether there are no more slots than lanes: an empty lane is not watched for long then."""

    def may_stay(self) -> bool:
        """Whether this worker watches the empty lane on, after the time for which any worker does."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the worker shuts down."""

    def ring_all(self) -> None:
        """Ring every lane that has entries, after the server is back."""

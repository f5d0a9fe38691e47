"""The result of one check: its state, the reason, and what to change. Imports nothing of the package."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CheckFinding", "State", "broken", "fine", "risk", "unknown"]


class State(str, Enum):
    """The state that a check found."""

    FINE = "fine"
    RISK = "risk"  # the promise holds until something else goes wrong
    BROKEN = "broken"  # events are lost, repeated or not delivered
    UNKNOWN = "unknown"  # the doctor could not find out; ``change`` says how to


@dataclass(frozen=True)
class CheckFinding:
    """One line of the doctor's report: ``name`` is stable, for programs; ``why`` and ``change`` are for people.

    ``change`` is the exact setting to change; for the state UNKNOWN, how to find out. It is empty for FINE, and only
    then. Neither text holds a secret.
    """

    name: str
    state: State
    why: str
    change: str = ""

    def __post_init__(self) -> None:
        assert bool(self.change) is (self.state is not State.FINE), self.name


def fine(name: str, why: str) -> CheckFinding:
    """A finding without anything to change."""
    return CheckFinding(name, State.FINE, why)


def risk(name: str, why: str, change: str) -> CheckFinding:
    """A finding that the promise holds only until something else goes wrong."""
    return CheckFinding(name, State.RISK, why, change)


def broken(name: str, why: str, change: str) -> CheckFinding:
    """A finding that the promise is broken."""
    return CheckFinding(name, State.BROKEN, why, change)


def unknown(name: str, why: str, how_to_look: str) -> CheckFinding:
    """A finding that the doctor could not find out."""
    return CheckFinding(name, State.UNKNOWN, why, how_to_look)

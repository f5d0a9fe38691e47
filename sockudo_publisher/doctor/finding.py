"""What one check says: fine, risk, broken or unknown; why; and what to change. Imports nothing of the package."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "State", "broken", "fine", "risk", "unknown"]


class State(str, Enum):
    """How a part stands."""

    FINE = "fine"
    RISK = "risk"  # the promise holds until something else goes wrong
    BROKEN = "broken"  # events are lost, repeated or not delivered
    UNKNOWN = "unknown"  # it could not be found out; the change says how to look


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: ``name`` is stable, for programs; ``why`` and ``change`` are for people.

    ``change`` is the exact setting to change, or, of something unknown, how to find out. Empty when all is
    fine, and only then. Neither holds a secret.
    """

    name: str
    state: State
    why: str
    change: str = ""

    def __post_init__(self) -> None:
        assert bool(self.change) is (self.state is not State.FINE), self.name


def fine(name: str, why: str) -> Finding:
    """Nothing to do."""
    return Finding(name, State.FINE, why)


def risk(name: str, why: str, change: str) -> Finding:
    """Well until something else goes wrong."""
    return Finding(name, State.RISK, why, change)


def broken(name: str, why: str, change: str) -> Finding:
    """The promise is not kept."""
    return Finding(name, State.BROKEN, why, change)


def unknown(name: str, why: str, how_to_look: str) -> Finding:
    """It could not be found out from here."""
    return Finding(name, State.UNKNOWN, why, how_to_look)

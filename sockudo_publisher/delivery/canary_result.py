"""What canaries show, as a value: the delivery asks for it, the room ``canaries`` makes it."""

from __future__ import annotations

from dataclasses import dataclass

from .outcome import Finding

__all__ = ["CanaryResult"]


@dataclass(frozen=True)
class CanaryResult:
    """The result of the canaries' requests, and whether the server has forgotten an id."""

    finding: Finding
    forgotten: bool = False

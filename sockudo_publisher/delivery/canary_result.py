"""What the server's answers to canaries say, as a value: the loop asks for it, ``canaries`` gives it."""

from __future__ import annotations

from dataclasses import dataclass

from .outcome import Finding

__all__ = ["CanaryResult"]


@dataclass(frozen=True)
class CanaryResult:
    """The finding about our request, and whether an id was forgotten."""

    finding: Finding
    forgotten: bool = False

"""The errors of parts: a part is not on this machine, or does not run."""

from __future__ import annotations

from pathlib import Path

from ...errors import SockudoError

__all__ = ["EmbeddedError", "PartFailed", "PartMissing"]


class EmbeddedError(SockudoError):
    """A part of the embedded stack cannot be had or does not run."""


class PartMissing(EmbeddedError):
    """The program is not on this machine; the message says where it was looked for and how to get it."""


class PartFailed(EmbeddedError):
    """The part ended or did not answer in time. ``log`` is its log file, whose end the message quotes."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log

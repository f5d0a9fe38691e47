"""What Sockudo, or a proxy before it, said to one question. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...client.http.answer import error_of
from ...client.http.transport import Response

__all__ = ["Said", "said"]


@dataclass(frozen=True)
class Said:
    """An answer's status, Sockudo's code where it gave one, and the words (shortened, without signatures)."""

    status: int
    code: str | None = None
    words: str = ""

    def __str__(self) -> str:
        return f"HTTP {self.status}{': ' if self.words else ''}{self.words}"


def said(response: Response) -> Said:
    """Read an answer of any status."""
    if 200 <= response.status < 300:
        return Said(response.status)
    error = error_of(response)
    return Said(response.status, error.code, error.message)

"""What Sockudo, or a proxy before it, said to one question. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...client.http.answer import error_of
from ...client.http.transport import Response

__all__ = ["ServerReply", "read_reply"]


@dataclass(frozen=True)
class ServerReply:
    """An answer's status, Sockudo's code where it gave one, and the words (shortened, without signatures)."""

    status: int
    code: str | None = None
    words: str = ""

    def __str__(self) -> str:
        return f"HTTP {self.status}{': ' if self.words else ''}{self.words}"


def read_reply(response: Response) -> ServerReply:
    """Read an answer of any status."""
    if 200 <= response.status < 300:
        return ServerReply(response.status)
    error = error_of(response)
    return ServerReply(response.status, error.code, error.message)

"""The reply of Sockudo, or of a proxy before it, to one request. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...client.http.answer import error_of
from ...client.http.transport import Response

__all__ = ["ServerReply", "batch_limit", "last_number", "read_reply"]


@dataclass(frozen=True)
class ServerReply:
    """An answer's status, Sockudo's code or ``None``, and the error message (shortened, without signatures)."""

    status: int
    code: str | None = None
    message: str = ""

    def __str__(self) -> str:
        return f"HTTP {self.status}{': ' if self.message else ''}{self.message}"


def read_reply(response: Response) -> ServerReply:
    """Read an answer of any status."""
    if 200 <= response.status < 300:
        return ServerReply(response.status)
    error = error_of(response)
    return ServerReply(response.status, error.code, error.message)


def batch_limit(reply: ServerReply) -> int | None:
    """The largest batch, in events, that a refusal for size names.

    0: the refusal names no number. ``None``: the reply is not a refusal for size.
    """
    if reply.code != "limit_exceeded" or not reply.message.lower().startswith("batch size"):
        return None  # the server refuses a long event name with the same code
    return last_number(reply.message) or 0


def last_number(text: str) -> int | None:
    """The last number in a text: the server's messages end with the limit."""
    numbers = re.findall(r"\d+", text)
    return int(numbers[-1]) if numbers else None

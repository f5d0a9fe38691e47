"""What Sockudo, or a proxy before it, said to one question. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...client.http.answer import error_of
from ...client.http.transport import Response

__all__ = ["ServerReply", "batch_limit", "last_number", "read_reply"]


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


def batch_limit(said: ServerReply) -> int | None:
    """The events of a batch that a refusal for its size names (0: it names none); ``None``: it is no such refusal."""
    if said.code != "limit_exceeded" or not said.words.lower().startswith("batch size"):
        return None  # a long event name has the same code
    return last_number(said.words) or 0


def last_number(text: str) -> int | None:
    """The last number in a text: a limit stands at the end of the server's words."""
    numbers = re.findall(r"\d+", text)
    return int(numbers[-1]) if numbers else None

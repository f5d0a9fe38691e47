"""Data in Redis that the journal did not write: how to recognise it, and how to name its key.

An *advisory* record (pause, limits, dedup memory) is deleted and counted; an *entry* becomes a dead letter
(``quarantine.lua``); a *place* (head, marker) is mended (``mend.lua``); a key of another type and a malformed layout
stop the operations that need them, with an error that names the key. Imports the link only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from ..errors import JournalUnavailable
from .redis.link import RedisLink

__all__ = [
    "KINDS",
    "MAX_NUMBER",
    "UNREADABLE_STATE",
    "as_count",
    "decode_names",
    "is_wrong_type",
    "wrong_keys",
    "wrong_type",
]

#: The last part of a key's name -> the type of key that the journal keeps there, as Redis names it.
KINDS = {
    "stream": "stream",
    "state": "hash",
    "lease": "string",
    "gone": "hash",
    "holds": "zset",
    "dead": "stream",
    "dead_size": "hash",
    "counts": "hash",
    "latest": "hash",
    "pause": "hash",
    "probe": "string",
    "limits": "hash",
    "lanes": "string",
    "rate": "hash",
    "memory": "hash",
    "canaries": "zset",
    "canary_answers": "zset",
    "canary_holder": "string",
    "dead_reporter": "string",
    "workers": "hash",
    "operator_pause": "hash",
    "audit": "stream",
    "apps": "set",
    "due_holder": "string",
    "times": "zset",
    "items": "hash",
    "claimed": "set",
}

#: The answer of ``take.lua`` in place of an entry's id, if the head or the marker cannot be read.
UNREADABLE_STATE = b"state"

#: The largest number that the journal writes: milliseconds have 13 digits until the year 2286.
MAX_NUMBER = 10**14


def as_count(text: object, *, low: int = 0, high: int = MAX_NUMBER) -> int | None:
    """The whole number that Redis answered as text, ``None`` if it is not one from ``low`` to ``high``."""
    raw = text if isinstance(text, bytes) else str(text).encode()
    if len(raw) > 16 or not raw.removeprefix(b"-").isdigit():
        return None
    number = int(raw)
    return number if low <= number <= high else None


def is_wrong_type(answer: object) -> bool:
    """Whether Redis refused a command because its key is of another type."""
    return isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer)


def decode_names(members: Sequence[bytes]) -> list[str]:
    """Names as text; the journal's names are UTF-8, others are left out."""
    found = []
    for member in members:
        try:
            found.append(member.decode())
        except UnicodeDecodeError:
            continue
    return found


def wrong_keys(link: RedisLink, keys: Sequence[str]) -> list[str]:
    """Describe each of these keys that is of another type than the journal's, with both types. Raises nothing."""
    try:
        answers: list[Any] = link.run([("TYPE", key) for key in keys])
    except JournalUnavailable:
        return []
    found = []
    for key, answer in zip(keys, answers, strict=True):
        if not isinstance(answer, bytes):  # the right to TYPE is missing
            continue
        wanted, kind = KINDS.get(key.rpartition(":")[2]), answer.decode()
        if wanted is not None and kind not in (wanted, "none"):
            found.append(wrong_type(key, kind, wanted))
    return found


def wrong_type(key: str, kind: str, wanted: str) -> str:
    """The text about a key of another type."""
    return f"{key} holds a {kind}, expected a {wanted}"

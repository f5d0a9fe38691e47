"""Data in Redis that the journal has not written so: how it is recognised, and how its key is named.

An *advisory* record (pause, limits, the server's memory) is begun anew and counted; an *entry* becomes a dead letter
(``quarantine.lua``); a *place* (head, marker) is mended (``mend.lua``); a key of another type, and a malformed layout,
stop the operations that need them, and are named. Imports the link alone.
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

#: What Redis says of a key's type -> by the last part of its name, what the journal keeps there.
KINDS = {
    "stream": "stream",
    "state": "hash",
    "lease": "string",
    "gone": "hash",
    "holds": "zset",
    "dead": "stream",
    "dead_size": "hash",
    "counts": "hash",
    "pause": "hash",
    "probe": "string",
    "limits": "hash",
    "lanes": "string",
    "rate": "hash",
    "memory": "hash",
    "canaries": "zset",
    "canary_answers": "zset",
    "canary_holder": "string",
    "workers": "hash",
    "apps": "set",
}

#: What ``take.lua`` answers instead of an entry's id.
UNREADABLE_STATE = b"state"

#: Beyond this no number of the journal goes: milliseconds have 13 digits until the year 2286.
MAX_NUMBER = 10**14


def as_count(text: object, *, low: int = 0, high: int = MAX_NUMBER) -> int | None:
    """The whole number that Redis answered as text, ``None`` where it is none between ``low`` and ``high``."""
    raw = text if isinstance(text, bytes) else str(text).encode()
    if len(raw) > 16 or not raw.removeprefix(b"-").isdigit():
        return None
    number = int(raw)
    return number if low <= number <= high else None


def is_wrong_type(answer: object) -> bool:
    """Whether Redis refused a command because its key holds another type."""
    return isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer)


def decode_names(members: Sequence[bytes]) -> list[str]:
    """Names as text; the journal's are UTF-8, others are left out."""
    found = []
    for member in members:
        try:
            found.append(member.decode())
        except UnicodeDecodeError:
            continue
    return found


def wrong_keys(link: RedisLink, keys: Sequence[str]) -> list[str]:
    """Each of these keys that holds another type than the journal's, with both types. Raises nothing."""
    try:
        answers: list[Any] = link.run([("TYPE", key) for key in keys])
    except JournalUnavailable:
        return []
    found = []
    for key, answer in zip(keys, answers, strict=True):
        if not isinstance(answer, bytes):  # no right to ask
            continue
        wanted, kind = KINDS.get(key.rpartition(":")[2]), answer.decode()
        if wanted is not None and kind not in (wanted, "none"):
            found.append(wrong_type(key, kind, wanted))
    return found


def wrong_type(key: str, kind: str, wanted: str) -> str:
    """How a key of another type is named."""
    return f"{key} holds a {kind}, expected a {wanted}"

"""What operators do to a whole app: their pause, and the audit of all their actions.

An operator's pause is a record of its own: no probe ends it, no trouble of the server overwrites it. It stops first
sends only: what is marked is resolved, because its window does not wait (``delivery/gates.py``). The audit is a bounded
stream; an action is recorded before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..redis.link import Command, RedisLink, checked
from ..redis.scripts import Answer
from ..unreadable import as_count, is_wrong_type

__all__ = ["MAX_AUDIT", "AuditRecord", "OperatorPause", "OperatorRecords", "Resumed", "read_operator_pause"]

#: Entries of an app's audit; the oldest beyond it leave.
MAX_AUDIT = 10_000

#: Entries of the audit in one read.
PAGE = 500


@dataclass(frozen=True)
class OperatorPause:
    """Nothing is sent for the first time until an operator resumes the app. ``since_ms``: Redis' time, 0: unknown."""

    reason: str
    by: str
    since_ms: int


@dataclass(frozen=True)
class Resumed:
    """Which pauses a person has ended: an ``operator``'s, that of a server in ``trouble``."""

    operator: bool = False
    trouble: bool = False

    def __bool__(self) -> bool:
        """Whether the app was paused."""
        return self.operator or self.trouble


@dataclass(frozen=True)
class AuditRecord:
    """One entry as it is stored: its id (``milliseconds-sequence`` of Redis' clock) and its fields."""

    id: str
    fields: Mapping[str, str]

    @property
    def at_ms(self) -> int:
        """When: Redis' time."""
        return int(self.id.partition("-")[0])


def pause_command(key: str) -> Command:
    """The command that reads an operator's pause; :func:`read_operator_pause` reads the answer."""
    return ("HMGET", key, "reason", "by", "since")


def read_operator_pause(values: Sequence[Any] | None) -> OperatorPause | None:
    """The pause by its fields; ``None``: there is none. A time that cannot be read does not end it."""
    reason, by, since = values or (None, None, None)
    if reason is None and by is None and since is None:
        return None
    why, who = [(value or b"").decode(errors="replace") for value in (reason, by)]
    return OperatorPause(why, who, as_count(since or 0) or 0)


class OperatorRecords:
    """Writes and reads the records of one app. All methods raise :class:`JournalUnavailable`."""

    def __init__(self, link: RedisLink, app: str) -> None:
        self._link = link
        self._keys = link.keyspace.app(app)

    def pause(self, reason: str, by: str) -> tuple[OperatorPause, str]:
        """Pause the app; answers the pause, and the reason of the pause before it, ``""`` if there was none."""
        keys = self._keys
        answer = self._link.script("operator_pause", (keys.operator_pause, keys.audit), (reason, by, MAX_AUDIT))
        return OperatorPause(reason, by, as_count(answer[1]) or 0), answer[2].decode(errors="replace")

    def resume(self, by: str) -> Resumed:
        """End every pause of the app."""
        keys = self._keys
        names = (keys.operator_pause, keys.pause, keys.probe, keys.audit)
        answer = self._link.script("operator_resume", names, (by, MAX_AUDIT))
        return Resumed(bool(answer[1]), bool(answer[2])) if answer[0] == Answer.DONE else Resumed()

    def record(self, **fields: str) -> str:
        """Add an entry to the audit; answers its id."""
        pairs = [part for pair in fields.items() for part in pair]
        answer = self._link.script("audit", (self._keys.audit,), (MAX_AUDIT, *pairs))
        return str(answer[1].decode())

    def newest(self, limit: int) -> list[AuditRecord]:
        """At most ``limit`` entries, newest first; none if the key is of another type."""
        found: list[AuditRecord] = []
        before = "+"
        while len(found) < limit:
            count = min(PAGE, limit - len(found))
            answer = self._link.run([("XREVRANGE", self._keys.audit, before, "-", "COUNT", count)])[0]
            entries = () if is_wrong_type(answer) else checked(answer)
            found += [_record(*entry) for entry in entries]
            if len(entries) < count:
                break
            before = f"({found[-1].id}"
        return found


def _record(entry_id: bytes, fields: Sequence[bytes]) -> AuditRecord:
    texts = [part.decode(errors="replace") for part in fields]
    return AuditRecord(entry_id.decode(), dict(zip(texts[::2], texts[1::2], strict=True)))

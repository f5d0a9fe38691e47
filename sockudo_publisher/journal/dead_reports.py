"""Which dead letters have been reported to the application: a mark in each lane, the id of the last one.

The mark moves after the report, so each letter is reported at least once, from every script that writes one, and if a
worker dies. One process of an app reports at a time, which has the right to (``take_right.lua``).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from .dead_letters import Letter, as_letter
from .redis.link import Command, RedisLink, checked, evalsha
from .redis.scripts import Answer
from .unreadable import is_wrong_type

__all__ = ["RIGHT_MS", "DeadReports"]

#: How long the right lasts beyond its last renewal, which is before each letter: a longer report may be made twice.
RIGHT_MS = 20_000

#: Letters in one read: 200 KB of the largest usual items.
PAGE = 20

_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")


class DeadReports:
    """The marks of an app, and the right to report. Methods raise :class:`JournalUnavailable`."""

    def __init__(self, link: RedisLink, app: str) -> None:
        self._link = link
        self._app = app
        self._token = uuid.uuid4().hex

    def lanes_to_report(self, lanes: Sequence[int]) -> list[int]:
        """The lanes with letters behind their marks; none while a process reports."""
        commands: list[Command] = [("PTTL", self._link.keyspace.app(self._app).dead_reporter)]
        for lane in lanes:
            keys = self._link.keyspace.lane(self._app, lane)
            commands += [("HGET", keys.dead_size, "reported"), ("XREVRANGE", keys.dead, "+", "-", "COUNT", 1)]
        left_ms, *answers = self._link.run(commands)
        if checked(left_ms) >= 0:  # a right without an expiry counts as free (take_right.lua)
            return []
        found = []
        for lane, mark, last in zip(lanes, answers[::2], answers[1::2], strict=True):
            if is_wrong_type(mark) or is_wrong_type(last) or not checked(last):
                continue  # `status` shows a key of another type
            if _order(checked(last)[0][0]) > _order(checked(mark)):
                found.append(lane)
        return found

    def letters_to_report(self, lane: int) -> list[Letter]:
        """The oldest letters of a lane behind its mark."""
        keys = self._link.keyspace.lane(self._app, lane)
        mark = self._link.run([("HGET", keys.dead_size, "reported")])[0]
        if is_wrong_type(mark):
            return []
        text = checked(mark)
        after = b"(" + text if text and _ID.fullmatch(text) else b"-"
        entries = self._link.run([("XRANGE", keys.dead, after, "+", "COUNT", PAGE)])[0]
        return [] if is_wrong_type(entries) else [as_letter(lane, entry) for entry in checked(entries)]

    def take_right(self) -> bool:
        """Take or renew the right to report; ``False``: another process has it."""
        return bool(checked(self._link.run([self._take()])[0])[0] == Answer.DONE)

    def mark_and_renew(self, letter: Letter) -> bool:
        """Remember that a letter is reported, and renew the right; ``False``: another process has it now."""
        keys = self._link.keyspace.lane(self._app, letter.lane)
        # By the script, which a full Redis takes too.
        mark = evalsha("write", (keys.dead_size,), ("HSET", "reported", letter.entry_id))
        marked, renewed = self._link.run([mark, self._take()], in_order=True)
        checked(marked)
        return bool(checked(renewed)[0] == Answer.DONE)

    def drop_right(self) -> None:
        """Give the right back."""
        self._link.script("drop_right", (self._link.keyspace.app(self._app).dead_reporter,), (self._token,))

    def _take(self) -> Command:
        return evalsha("take_right", (self._link.keyspace.app(self._app).dead_reporter,), (self._token, RIGHT_MS))


def _order(entry_id: bytes | None) -> tuple[int, int]:
    """An entry's id for comparison; a missing or malformed mark is before all letters."""
    if not entry_id or _ID.fullmatch(entry_id) is None:
        return -1, -1
    milliseconds, sequence = entry_id.split(b"-")
    return int(milliseconds), int(sequence)

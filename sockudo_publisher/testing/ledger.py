"""The ledger of a recorder: which keys were used, with which payload, as ``append_once.lua`` and ``schedule_once.lua``.

Pure: the time is an argument. Tests hold it against the scripts (tests/integration/testing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import IdempotencyConflict
from ..journal.appended import Appending, OnRefusal
from ..journal.pack import KeyedItem

__all__ = ["CONFLICT", "Ledger"]

CONFLICT = "key: used before on this channel with another payload (within SOCKUDO_KEY_TTL)"


class _KnownKey(NamedTuple):
    """``is_appended``: else its event is scheduled, or waits in a canvas' message."""

    is_appended: bool
    fingerprint: str
    until_ms: int


class Ledger:
    """The keys of one app."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], _KnownKey] = {}

    def append(
        self, items: Sequence[KeyedItem], *, on_refusal: OnRefusal, now_ms: int, ttl_ms: int
    ) -> tuple[Appending, list[int]]:
        """The answer of an append, and the indexes of the items that it stores."""
        done = Appending()
        fresh: dict[tuple[str, str], tuple[int, KeyedItem]] = {}
        for index, item in enumerate(items):
            place = item.channel, item.key
            known = self._find(place, now_ms)
            if place in fresh:
                known = _KnownKey(True, fresh[place][1].fingerprint, 0)
            if known is not None and known.fingerprint != item.fingerprint:
                refusal = IdempotencyConflict(CONFLICT, index=index)
                if on_refusal is OnRefusal.STOP:
                    done = Appending()
                    done.refuse(range(len(items)), refusal)
                    return done, []
                done.refuse([index], refusal)
            elif known is not None and known.is_appended:
                done.already_stored.append(index)
            else:
                fresh[place] = index, item
        for place, (_, item) in fresh.items():
            self._records[place] = _KnownKey(True, item.fingerprint, now_ms + ttl_ms)
        done.count = len(fresh)
        return done, [index for index, _ in fresh.values()]

    def remember(self, items: Sequence[KeyedItem], *, now_ms: int, ttl_ms: int) -> list[KeyedItem]:
        """Remember the keys of items that are stored later; returns those that are not appended.

        Raises :class:`IdempotencyConflict`.
        """
        needed = []
        for item in items:
            known = self._find((item.channel, item.key), now_ms)
            if known is not None and known.fingerprint != item.fingerprint:
                raise IdempotencyConflict(CONFLICT)
        for item in items:
            place = item.channel, item.key
            known = self._find(place, now_ms)
            if known is None or not known.is_appended:
                until_ms = max(now_ms + ttl_ms, 0 if known is None else known.until_ms)
                self._records[place] = _KnownKey(False, item.fingerprint, until_ms)
                needed.append(item)
        return needed

    def knows(self, item: KeyedItem, now_ms: int) -> bool:
        """Whether its key is a caller's."""
        return self._find((item.channel, item.key), now_ms) is not None

    def free(self, channel: str, key: str) -> None:
        """Forget the key of a scheduled event that was cancelled (``free_key.lua``)."""
        known = self._records.get((channel, key))
        if known is not None and not known.is_appended:
            del self._records[channel, key]

    def _find(self, place: tuple[str, str], now_ms: int) -> _KnownKey | None:
        record = self._records.get(place)
        return record if record is not None and now_ms < record.until_ms else None

"""Appending: what happens between an application's call and the event being stored.

One script call per lane and flush. Nothing here retries: a failure tells what is stored.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BacklogFull, IdempotencyConflict, JournalUnavailable
from .keys import AppKeys, lane_keys, ledger_key
from .link import CALLER_TIMEOUT_S, Command, RedisLink, checked, evalsha, is_out_of_memory
from .pack import Item, packs
from .scripts import Answer

__all__ = ["Appended", "KeyedItem", "Producer"]

#: Share of `maxmemory` above which nothing is appended: the rest is for draining, dead letters and the broker.
MEMORY_SHARE = 0.9

#: Seconds between two looks at Redis' memory in one process.
MEMORY_LOOK_S = 1.0

#: Seconds between two looks at the number of lanes the journal was laid out with.
LANES_LOOK_S = 5.0


@dataclass(frozen=True)
class KeyedItem:
    """An item with the key that makes it append at most once; ``fingerprint`` is of its payload."""

    item: Item
    key: str
    fingerprint: str


@dataclass(frozen=True)
class Appended:
    """What one flush did.

    ``lanes`` whose items are stored, those of them to ``ring``, the items appended and the items
    that their key had stored before; ``failure`` is what ``failed_lane`` answered, which took nothing.
    """

    lanes: tuple[int, ...]
    ring: tuple[int, ...]
    count: int
    already_stored: int = 0
    failure: BacklogFull | JournalUnavailable | IdempotencyConflict | None = None
    failed_lane: int | None = None


class Producer:
    """Appends items of one app to its lanes.

    ``lanes`` is what the settings ask for; what the journal was laid out with holds (a change of the
    number would put a channel's next events beside its waiting ones).
    """

    def __init__(
        self,
        redis_url: str,
        app: str,
        *,
        lanes: int,
        max_backlog: int,
        key_ttl_ms: int,
        wait: tuple[int, int] | None = None,
    ) -> None:
        self.app = app
        self._wanted_lanes = lanes
        self._most = max_backlog
        self._key_ttl_ms = key_ttl_ms
        self._wait = wait
        self._link = RedisLink(redis_url, timeout_s=CALLER_TIMEOUT_S)
        self._memory_looked_at = float("-inf")
        self._lanes_looked_at = float("-inf")
        self._memory_full = False
        self._lanes = lanes

    def lanes(self) -> int:
        """The number of lanes in force: what the journal records, recorded by the first to ask."""
        now = time.monotonic()
        if now - self._lanes_looked_at > LANES_LOOK_S:
            self._lanes = recorded_lanes(self._link, self.app, self._wanted_lanes)
            self._lanes_looked_at = now
        return self._lanes

    def append(self, by_lane: Mapping[int, Sequence[Item]]) -> Appended:
        """Append items, in order, one script call a lane.

        Raises :class:`JournalUnavailable` when Redis fails and :class:`BacklogFull` when its memory
        is short; what single lanes refuse is the result's ``failure``.
        """
        self._refuse_when_memory_is_short()
        lanes = list(by_lane)
        commands: list[Command] = []
        for lane in lanes:
            keys = lane_keys(self.app, lane)
            args: list[Any] = [self._most, len(by_lane[lane])]
            for one in packs(by_lane[lane]):
                args += (one.count, one.earliest_expiry_ms, one.meta, one.body)
            commands.append(evalsha("append", (keys.stream, keys.state), args))
        return self._read(lanes, self._send(commands), [len(by_lane[lane]) for lane in lanes])

    def append_once(self, by_lane: Mapping[int, Sequence[KeyedItem]]) -> Appended:
        """Append items that carry a key, each at most once per key and channel.

        Several lanes are all looked at first (conflict, backlog), then appended; a refusal is the
        result's ``failure``, where the ``index`` of a conflict counts within its lane.
        """
        self._refuse_when_memory_is_short()
        lanes = list(by_lane)
        if len(lanes) > 1:
            look = [self._append_once(lane, by_lane[lane], look=True) for lane in lanes]
            looked = self._read(lanes, self._link.run(look), [len(by_lane[lane]) for lane in lanes])
            if looked.failure is not None:
                return Appended((), (), 0, 0, looked.failure, looked.failed_lane)
        answers = self._send([self._append_once(lane, by_lane[lane], look=False) for lane in lanes])
        return self._read(lanes, answers, [len(by_lane[lane]) for lane in lanes])

    def schedule_once(self, lane: int, channel: str, key: str, fingerprint: str, *, look: bool = False) -> bool:
        """Remember a key whose event goes into a countdown message; ``False``: it is appended already.

        ``look``: say so without remembering anything.
        """
        args = (fingerprint, self._key_ttl_ms, "1" if look else "0")
        answer = self._link.script("schedule_once", (ledger_key(self.app, lane, channel, key),), args)
        if answer[0] == Answer.CONFLICT:
            raise IdempotencyConflict(_CONFLICT)
        return bool(answer[0] == Answer.DONE)

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def _append_once(self, lane: int, items: Sequence[KeyedItem], *, look: bool) -> Command:
        keys = lane_keys(self.app, lane)
        ledger = [ledger_key(self.app, lane, one.item.channel, one.key) for one in items]
        args: list[Any] = [self._most, self._key_ttl_ms, "1" if look else "0"]
        for one in items:
            args += (one.fingerprint, one.item.channel, one.item.expires_ms, one.item.body)
        return evalsha("append_once", (keys.stream, keys.state, *ledger), args)

    def _send(self, commands: list[Command]) -> list[Any]:
        if self._wait is None:
            return self._link.run(commands)
        *answers, replicas = self._link.run([*commands, ("WAIT", *self._wait)])
        if checked(replicas) < self._wait[0]:
            raise JournalUnavailable(
                f"SOCKUDO_REDIS_WAIT: {replicas} replicas have it within {self._wait[1]} ms, wanted {self._wait[0]}",
                stored=None,
            )
        return answers

    def _read(self, lanes: Sequence[int], answers: Sequence[Any], counts: Sequence[int]) -> Appended:
        stored, ring, appended, already = [], [], 0, 0
        failure, failed_lane = None, None
        for lane, answer, count in zip(lanes, answers, counts, strict=True):
            error = self._failure(lane, answer)
            if error is not None:
                if failure is None:
                    failure, failed_lane = error, lane
                continue
            stored.append(lane)
            if answer[0] == Answer.RING:
                ring.append(lane)
            fresh = answer[1] if len(answer) > 1 else count
            appended += fresh
            already += count - fresh
        return Appended(tuple(stored), tuple(ring), appended, already, failure, failed_lane)

    def _failure(self, lane: int, answer: Any) -> BacklogFull | JournalUnavailable | IdempotencyConflict | None:
        if is_out_of_memory(answer):
            return BacklogFull("Redis is full (maxmemory): nothing was stored")
        if isinstance(answer, Exception):
            try:
                checked(answer)
            except JournalUnavailable as error:
                return error
        if answer[0] == Answer.FULL:
            return BacklogFull(f"lane {lane}: {answer[1]} events, limit {self._most} (SOCKUDO_MAX_BACKLOG)")
        if answer[0] == Answer.CONFLICT:
            return IdempotencyConflict(_CONFLICT, index=answer[1])
        return None

    def _refuse_when_memory_is_short(self) -> None:
        now = time.monotonic()
        if now - self._memory_looked_at > MEMORY_LOOK_S:
            self._memory_full = memory_share(self._link.call("INFO", "memory")) >= MEMORY_SHARE
            self._memory_looked_at = now
        if self._memory_full:
            raise BacklogFull(f"Redis has used {MEMORY_SHARE:.0%} of its maxmemory: nothing was stored")


_CONFLICT = "key: used before on this channel with another payload (within SOCKUDO_KEY_TTL)"


def memory_share(info: bytes | dict[str, Any]) -> float:
    """The used share of ``maxmemory`` in the answer of ``INFO memory``; 0.0 when there is no limit."""
    if isinstance(info, dict):
        used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    else:
        fields = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
        used, limit = int(fields.get(b"used_memory", 0)), int(fields.get(b"maxmemory", 0))
    return used / limit if limit else 0.0


def recorded_lanes(link: RedisLink, app: str, wanted: int) -> int:
    """The number of lanes the journal was laid out with; the first to ask lays it out."""
    key = AppKeys.of(app).lanes
    _, recorded = link.run([("SET", key, wanted, "NX"), ("GET", key)])
    return int(checked(recorded))

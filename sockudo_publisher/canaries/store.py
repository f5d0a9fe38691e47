"""The shared record of an app's dedup memory in Redis: canaries, their answers, the report.

The record belongs to one app, is small and bounded, and may be lost: workers then measure again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from ..journal.redis.link import Command, RedisLink, checked, evalsha, read_scores
from ..journal.redis.scripts import Answer
from ..journal.unreadable import MAX_NUMBER, as_count, is_wrong_type
from ..redaction import package_logger
from .values import Beat, Canary, CanaryAnswer, MemoryReport

__all__ = ["DedupMemory"]

logger = package_logger("sockudo_publisher.journal")

#: Answers kept: with the longest windows, canaries are asked every few seconds for days.
MAX_ANSWERS = 512

#: Canaries that may wait to be asked; ``schedule`` plants fewer than 40 in a window.
MAX_CANARIES = 256


class DedupMemory:
    """The record of one app. All methods raise :class:`JournalUnavailable`."""

    def __init__(self, link: RedisLink, app: str) -> None:
        self._link = link
        self._app = app
        self._keys = link.keyspace.app(app)

    # -- the holder ---------------------------------------------------------------------------------

    def take_right(self, owner: str, ttl_ms: int) -> bool:
        """Take or renew the right to send canaries, for ``ttl_ms``; ``False``: another worker has it."""
        answer = self._link.script("take_right", (self._keys.canary_holder,), (owner, ttl_ms))
        return bool(answer[0] == Answer.DONE)

    def drop_right(self, owner: str) -> None:
        """Drop the right, so that another worker can take it at once."""
        self._link.script("drop_right", (self._keys.canary_holder,), (owner,))

    def beat(self, lanes: Sequence[int]) -> Beat:
        """Count a beat and read the record; ``lanes``: the lanes whose delivered events count for the rate."""
        memory = self._keys.memory
        self._delete_unreadable_keys()
        counts: list[Command] = [
            ("HGET", self._link.keyspace.lane(self._app, lane).counts, "settled") for lane in lanes
        ]
        answers = self._link.run(
            [
                ("TIME",),
                _write("HINCRBY", memory, "beat", 1),
                ("HMGET", memory, "settled", "settled_ms", "peak", "peak_ms"),
                ("ZRANGE", self._keys.canaries, 0, -1, "WITHSCORES"),
                *counts,
            ],
            in_order=True,
        )
        time, (_, number), kept, canaries = (checked(answer) for answer in answers[:4])
        before, before_ms, peak, peak_ms = (_number(value) for value in kept)
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        settled = sum(as_count(0 if is_wrong_type(count) else checked(count) or 0) or 0 for count in answers[4:])
        self._link.call(*_write("HSET", memory, "settled", settled, "settled_ms", now_ms))
        return Beat(int(number), now_ms, _canaries(canaries), settled, int(before), int(before_ms), peak, int(peak_ms))

    # -- canaries -----------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def canaries(self) -> tuple[Canary, ...]:
        """The canaries that wait to be asked, oldest first."""
        found = self._link.run([("ZRANGE", self._keys.canaries, 0, -1, "WITHSCORES")])[0]
        return () if is_wrong_type(found) else _canaries(checked(found))

    def record_planted(self, canaries: Iterable[Canary]) -> None:
        """Record canaries that the server has accepted."""
        pairs: list[Any] = []
        for canary in canaries:
            pairs += (canary.planted_ms, _member(canary))
        if pairs:
            key = self._keys.canaries
            commands = [_write("ZADD", key, *pairs), ("ZREMRANGEBYRANK", key, 0, -MAX_CANARIES - 1)]
            for answer in self._link.run(commands):
                checked(answer)

    def claim(self, canaries: Sequence[Canary]) -> list[Canary]:
        """Remove canaries from the record. Returns those that no other worker had removed: only they may be asked."""
        answers = self._link.run([("ZREM", self._keys.canaries, _member(one)) for one in canaries]) if canaries else []
        return [one for one, answer in zip(canaries, answers, strict=True) if checked(answer) == 1]

    # -- answers ------------------------------------------------------------------------------------

    def record_answers(self, answers: Iterable[CanaryAnswer]) -> None:
        """Record answers."""
        pairs: list[Any] = []
        for answer in answers:
            pairs += (answer.asked_ms, f"{answer.id} {answer.age_ms} {int(answer.remembered)}")
        if pairs:
            key = self._keys.canary_answers
            commands = [_write("ZADD", key, *pairs), ("ZREMRANGEBYRANK", key, 0, -MAX_ANSWERS - 1)]
            for answer in self._link.run(commands):
                checked(answer)

    def answers(self, since_ms: int) -> list[CanaryAnswer]:
        """The answers since ``since_ms`` (Redis' time); deletes older ones."""
        key = self._keys.canary_answers
        found = self._link.run(
            [("ZREMRANGEBYSCORE", key, "-inf", since_ms - 1), ("ZRANGE", key, 0, -1, "WITHSCORES")], in_order=True
        )
        if is_wrong_type(found[1]):
            return []
        answers = [_answer(member, score) for member, score in read_scores(checked(found[1]))]
        return [one for one in answers if one is not None]

    def record_report(self, report: MemoryReport, *, peak_ms: int | None = None) -> None:
        """Record the report for workers (takes read ``forgets_until``) and operators."""
        pairs: list[Any] = ["forgets_until", report.forgets_until_ms, "report", json.dumps(asdict(report))]
        if peak_ms is not None:
            pairs += ["peak", report.rate, "peak_ms", peak_ms]
        self._link.call(*_write("HSET", self._keys.memory, *pairs))

    def record_check(self, at_ms: int) -> None:
        """Record that all new canaries planted at ``at_ms`` were remembered; takes of all workers read it."""
        self._link.call(*_write("HSET", self._keys.memory, "checked", at_ms))

    def report(self) -> MemoryReport:
        """The last recorded report; without one, a report with the verdict ``unknown``."""
        text = self._link.run([("HGET", self._keys.memory, "report")])[0]
        return MemoryReport() if not text or is_wrong_type(text) else _report(checked(text))

    def _delete_unreadable_keys(self) -> None:
        """Delete keys of another type and an unreadable beat number: workers measure again."""
        keys = (self._keys.memory, self._keys.canaries, self._keys.canary_answers)
        kinds = self._link.run([("TYPE", key) for key in keys])
        for key, kind, wanted in zip(keys, kinds, (b"hash", b"zset", b"zset"), strict=True):
            if checked(kind) not in (wanted, b"none"):
                logger.error("unreadable record deleted app=%s key=%s field=-", self._app, key)
                self._link.call("DEL", key)
        number = self._link.call("HGET", keys[0], "beat")
        if number is not None and as_count(number) is None:
            logger.error("unreadable record deleted app=%s key=%s field=beat", self._app, keys[0])
            self._link.call("HDEL", keys[0], "beat")


def _write(name: str, key: str, *args: Any) -> Command:
    """A command that a full Redis also accepts: without the verdict, other lanes would resend forgotten ids."""
    return evalsha("write", (key,), (name, *args))


def _member(canary: Canary) -> str:
    if not canary.planted_ms and not canary.ask_ms:
        return canary.id  # an unreadable member, as `_canaries` read it
    return f"{canary.id} {canary.ask_ms}"


def _canaries(answer: Sequence[Any]) -> tuple[Canary, ...]:
    found = []
    for member, score in read_scores(answer):
        id, _, ask = member.partition(" ")
        ask_ms = as_count(ask)
        # An unreadable member is due and too old at once, so the next beat removes it without asking.
        found.append(Canary(id, score, ask_ms) if ask_ms is not None else Canary(member, 0, 0))
    return tuple(found)


def _answer(member: str, score: int) -> CanaryAnswer | None:
    id, _, rest = member.partition(" ")
    age, _, remembered = rest.partition(" ")
    age_ms = as_count(age)
    if age_ms is None or remembered not in ("0", "1"):
        return None
    return CanaryAnswer(id, age_ms, remembered == "1", score)


def _number(value: Any) -> float:
    """The number that a text contains; 0 if it contains none."""
    try:
        number = float(value or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) and abs(number) < MAX_NUMBER else 0.0


def _report(text: bytes) -> MemoryReport:
    """The recorded report; an unreadable one becomes a report with the verdict ``unknown``."""
    try:
        recorded = json.loads(text)
        # A newer release may have recorded more.
        values: dict[str, Any] = {
            field.name: recorded[field.name] for field in fields(MemoryReport) if field.name in recorded
        }
    except (ValueError, TypeError, RecursionError):
        return MemoryReport()
    verdict = values.pop("verdict", "unknown")
    numbers = values.values()
    if verdict not in ("unknown", "remembers", "forgets") or not all(
        type(number) in (int, float) for number in numbers
    ):
        return MemoryReport()
    if not all(0 <= number < MAX_NUMBER for number in numbers):
        return MemoryReport()
    times: dict[str, Any] = {
        name: int(values[name]) for name in ("asked", "forgotten", "forgets_until_ms", "at_ms") if name in values
    }
    return MemoryReport(verdict=verdict, **{**values, **times})

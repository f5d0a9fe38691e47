"""Measure the dedup memory: publish an id, and repeat it later with another payload.

400 "already used with a different payload" means remembered. 200 means forgotten, and the repeat was published: so
canaries have a channel of their own without subscribers. Each canary is repeated once and then dropped, whatever the
answer: if the answer was lost, the server may have stored the second payload; and a cache that admits frequently
used ids would favour an id that is repeated twice.

This module sends and records. ``schedule`` decides when, ``verdict`` what the answers mean.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from ..delivery.canary_result import CanaryResult
from ..delivery.outcome import Finding, NoReply, Outcome, Reply, classify
from ..errors import JournalUnavailable
from ..redaction import package_logger
from .schedule import ages_to_plant, beat_s, canaries_after_trouble, due_canaries, is_askable
from .store import DedupMemory
from .values import Canary, CanaryAnswer, MemoryReport
from .verdict import advice, judge_answers, peak_rate, summary

__all__ = ["CHANNEL", "Canaries"]

logger = package_logger("sockudo_publisher.canary")

#: A channel without subscribers. Public, without history: its events are marked `ephemeral`.
CHANNEL: Final = "sockudo-publisher-canary"

#: New canaries of one round. A full memory cache keeps new ids at random, so a single canary is a coin flip.
FRESH_CANARIES: Final = 10

#: Seconds after which a check with new canaries ends early on a slow server: a batch waits meanwhile.
MAX_CHECK_S: Final = 5.0

#: Seconds until a new canary is repeated: Sockudo's memory cache evicts every 0.3 s and keeps new ids until then.
EVICTION_S: Final = 0.35

#: The payloads of the first and of the second send.
PLANT_DATA: Final = "planted"
REPEAT_DATA: Final = "asked"

#: Canaries repeated in one beat: after an absence of the holder, overdue canaries must not keep the server busy.
MAX_REPEATS: Final = 8


class Canaries:
    """The canaries of one app.

    ``post`` sends a body to ``/batch_events`` with a timeout in seconds. ``window_s``: SOCKUDO_DEDUP_WINDOW.
    ``timeout_s``: the timeout of each request of a beat.
    """

    def __init__(
        self,
        app: str,
        memory: DedupMemory,
        post: Callable[[bytes, float], Reply | NoReply],
        *,
        window_s: float,
        timeout_s: float,
    ) -> None:
        self.app = app
        self.memory = memory
        self._post = post
        self._window_s = window_s
        self._timeout_s = timeout_s

    def beat(self, lanes: Sequence[int]) -> MemoryReport:
        """Repeat the due canaries, plant new ones, record the answers. Raises :class:`JournalUnavailable`."""
        seen = self.memory.beat(lanes)
        stale = [canary for canary in seen.canaries if not is_askable(canary, seen.now_ms, self._window_s)]
        self.memory.claim(stale)
        due = [canary for canary in due_canaries(seen.canaries, seen.now_ms) if canary not in stale]
        self._ask(self.memory.claim(due[:MAX_REPEATS]), self._timeout_s)
        self._plant(ages_to_plant(seen.number, self._window_s), self._timeout_s)
        rate, peak_ms = peak_rate(seen, self._window_s)
        return self._record_report(rate, peak_ms)

    def check_after_trouble(self, since_ms: int, timeout_s: float) -> CanaryResult:
        """After trouble that began at ``since_ms`` (Redis' time): check whether the server works and remembers ids.

        ``timeout_s``: the timeout of the first request, which plants a new canary. While it fails, the few old
        canaries are kept. Without an old canary the result is "not forgotten".
        """
        canaries = canaries_after_trouble(self.memory.canaries(), self.memory.now_ms(), since_ms, self._window_s)
        sent = self._plant((beat_s(self._window_s),), timeout_s)
        if sent.outcome is not Outcome.ACCEPTED:
            return CanaryResult(sent)
        answers, findings = self._ask(self.memory.claim(canaries), min(timeout_s, self._timeout_s))
        self._try_to_store(self._record_report)
        if findings and not answers:
            return CanaryResult(findings[-1])
        forgotten = sum(not answer.remembered for answer in answers)
        if forgotten:
            logger.warning("dedup memory lost ids app=%s asked=%d forgotten=%d", self.app, len(answers), forgotten)
        else:
            logger.info("dedup memory intact app=%s asked=%d forgotten=0", self.app, len(answers))
        return CanaryResult(sent, forgotten=forgotten > 0)

    def check_with_fresh_canaries(self, rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> CanaryResult:
        """Check whether the dedup memory is full: plant new canaries, and repeat them when they may be evicted.

        Repeated ``rounds`` times. ``timeout_s``: the timeout of each request; on a slow server the check ends early.
        The first forgotten canary ends the check and is recorded for the verdict. A remembered one is too young to
        prove more than "not full": only the time of the round is recorded. A ``sleep`` that was cut short (it
        returns true) ends the check unrecorded: a full memory too still has ids that young.
        """
        sent = Finding(Outcome.ACCEPTED)
        start = time.monotonic()
        for number in range(rounds):
            if number and time.monotonic() - start > MAX_CHECK_S:
                break
            started_ms = self.memory.now_ms()
            canaries = [Canary(uuid.uuid4().hex, started_ms, 0) for _ in range(FRESH_CANARIES)]
            sent, count = self._plant_fresh(canaries, timeout_s)
            if sent.outcome is Outcome.STUCK:
                return self._record_forgotten(canaries[0], sent)
            if sent.outcome is not Outcome.ACCEPTED:
                return CanaryResult(sent)
            if sleep(EVICTION_S):
                break
            for canary in canaries[:count]:
                if canary is not canaries[0] and time.monotonic() - start > MAX_CHECK_S:
                    break
                finding = classify(self._post(_body([canary.id], REPEAT_DATA), timeout_s), 1)
                remembered = _is_remembered(finding)
                if remembered is None:
                    return CanaryResult(finding)
                if not remembered:
                    return self._record_forgotten(canary, sent)
            self._try_to_store(partial(self.memory.record_check, started_ms))
        return CanaryResult(sent)

    def _plant_fresh(self, canaries: Sequence[Canary], timeout_s: float) -> tuple[Finding, int]:
        """Send the canaries as one batch, or as smaller ones if it is too large. Returns the result and the count."""
        start, count, max_events = time.monotonic(), 0, len(canaries)
        while count < len(canaries) and (not count or time.monotonic() - start <= MAX_CHECK_S):
            batch = canaries[count : count + max_events]
            finding = classify(self._post(_body([canary.id for canary in batch], PLANT_DATA), timeout_s), len(batch))
            if finding.outcome is Outcome.TOO_LARGE and len(batch) > 1:
                max_events = max(1, min(finding.limit or len(batch), len(batch) // 2))
                continue
            if finding.outcome is not Outcome.ACCEPTED:
                return finding, count
            count += len(batch)
        return Finding(Outcome.ACCEPTED), count

    def _record_forgotten(self, canary: Canary, sent: Finding) -> CanaryResult:
        """Record a new canary that the server forgot, or whose claim was evicted during the request that sent it."""
        now_ms = self.memory.now_ms()
        answer = CanaryAnswer(canary.id, now_ms - canary.planted_ms, remembered=False, asked_ms=now_ms)
        self._try_to_store(lambda: self.memory.record_answers([answer]))
        self._try_to_store(self._record_report)
        logger.warning("dedup memory forgot an id app=%s age_ms=%d", self.app, answer.age_ms)
        return CanaryResult(sent, forgotten=True)

    def _try_to_store(self, write: Callable[[], object]) -> None:
        """Call ``write``; an unavailable journal is logged, and the check still has its result."""
        try:
            write()
        except JournalUnavailable as error:
            logger.warning("canary record not stored app=%s error=%s", self.app, error)

    def _plant(self, ages_s: Sequence[float], timeout_s: float) -> Finding:
        now_ms = self.memory.now_ms()  # before the call: a canary is never younger than its recorded age
        canaries = [Canary(uuid.uuid4().hex, now_ms, int(age_s * 1000)) for age_s in ages_s]
        finding = classify(self._post(_body([canary.id for canary in canaries], PLANT_DATA), timeout_s), len(canaries))
        if finding.outcome is Outcome.ACCEPTED:
            self._try_to_store(lambda: self.memory.record_planted(canaries))
        return finding

    def _ask(self, claimed: Sequence[Canary], timeout_s: float) -> tuple[list[CanaryAnswer], list[Finding]]:
        """Repeat each canary and record the answers. Returns the answers, and the findings of all requests."""
        answers, findings = [], []
        start_ms, start = self.memory.now_ms() if claimed else 0, time.monotonic()
        for canary in claimed:
            finding = classify(self._post(_body([canary.id], REPEAT_DATA), timeout_s), 1)
            findings.append(finding)
            remembered = _is_remembered(finding)
            if remembered is not None:
                now_ms = start_ms + int((time.monotonic() - start) * 1000)
                answers.append(CanaryAnswer(canary.id, now_ms - canary.planted_ms, remembered, now_ms))
        self._try_to_store(lambda: self.memory.record_answers(answers))
        return answers, findings

    def _record_report(self, rate: float | None = None, peak_ms: int | None = None) -> MemoryReport:
        before = self.memory.report()
        now_ms = self.memory.now_ms()
        answers = self.memory.answers(now_ms - int(self._window_s * 1000))
        report = judge_answers(answers, now_ms, self._window_s, before)
        if rate is not None:
            report = replace(report, rate=rate)
        self.memory.record_report(report, peak_ms=peak_ms)
        if report.verdict != before.verdict:
            level = logging.WARNING if report.verdict == "forgets" else logging.INFO
            text = "; ".join(filter(None, (summary(report), advice(report))))
            logger.log(level, "dedup memory verdict changed app=%s verdict=%s: %s", self.app, report.verdict, text)
        return report


def _is_remembered(finding: Finding) -> bool | None:
    """Whether the server remembered the repeated id; ``None``: the answer proves neither.

    "Still in progress" means forgotten: a server that has the id with another payload refuses it before it waits.
    """
    match finding.outcome:
        case Outcome.CONFLICT:
            return True
        case Outcome.ACCEPTED | Outcome.STUCK | Outcome.MISCOUNTED:  # accepted, with any number of receipts
            return False
        case _:
            return None


def _body(ids: Sequence[str], data: str) -> bytes:
    """A batch of canaries. Repeats are sent one by one: a refusal does not name the item that it means."""
    event = {"channel": CHANNEL, "name": "canary", "data": data, "extras": {"ephemeral": True}}
    return json.dumps({"batch": [{**event, "message_id": id} for id in ids]}, separators=(",", ":")).encode()

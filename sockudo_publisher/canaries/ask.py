"""Asking the server whether it remembers: ids sent once, and once more with another payload.

400 "already used with a different payload" says remembered, 200 says forgotten, and the question has
then been published: so canaries live on a channel of ours that nobody reads. Each is asked once and
dropped, whatever came of it: one whose answer was lost may have left its second payload behind, and one
asked twice is favoured by a cache that admits what is asked for often.

Like ``drain`` this acts on a journal and a ``post`` function; what to do and what it means is decided in
``memory``.
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
from .schedule import ages_to_plant, beat_s, canaries_after_trouble, due_canaries, is_askable
from .store import DedupMemory
from .values import Canary, CanaryAnswer, MemoryReport
from .verdict import advice, judge_answers, peak_rate, summary

__all__ = ["CHANNEL", "Canaries"]

logger = logging.getLogger("sockudo_publisher.canary")

#: The channel that nobody reads. Public, without history: its events say `ephemeral`.
CHANNEL: Final = "sockudo-publisher-canary"

#: Canaries of one round of fresh ones. A full memory is a lottery, and the odds of one of them are a coin's.
FRESH: Final = 10

#: Seconds after which a slow server has been asked for enough of them: a batch waits meanwhile.
FRESH_S: Final = 5.0

#: Seconds until a fresh canary is asked for: Sockudo's memory cache evicts every 0.3 s, and has what is new till then.
EVICTED_S: Final = 0.35

#: Canaries asked in one beat: a holder that was away must not keep the server busy with old questions.
MAX_ASKED: Final = 8


class Canaries:
    """The canaries of one app.

    ``post`` sends a body to ``/batch_events`` with a timeout in seconds; ``window_s``: SOCKUDO_DEDUP_WINDOW;
    ``timeout_s``: of each request of a beat.
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
        """Ask for the canaries that are due, plant new ones, record the answers. Raises :class:`JournalUnavailable`."""
        seen = self.memory.beat(lanes)
        stale = [one for one in seen.canaries if not is_askable(one, seen.now_ms, self._window_s)]
        self.memory.claim(stale)
        asked = [one for one in due_canaries(seen.canaries, seen.now_ms) if one not in stale]
        self._ask(self.memory.claim(asked[:MAX_ASKED]), self._timeout_s)
        self._plant(ages_to_plant(seen.number, self._window_s), self._timeout_s)
        rate, peak_ms = peak_rate(seen, self._window_s)
        return self._record(rate, peak_ms)

    def after_trouble(self, since_ms: int, timeout_s: float) -> CanaryResult:
        """The server was in trouble from ``since_ms`` (Redis' time): does it answer, and did it forget?

        ``timeout_s``: of the first request, which plants a new canary: while that fails the old ones, of
        which there are few, are not spent. With none to ask, nothing was forgotten.
        """
        canaries = canaries_after_trouble(self.memory.canaries(), self.memory.now_ms(), since_ms, self._window_s)
        planted = self._plant((beat_s(self._window_s),), timeout_s)
        if planted.outcome is not Outcome.ACCEPTED:
            return CanaryResult(planted)
        answers, findings = self._ask(self.memory.claim(canaries), min(timeout_s, self._timeout_s))
        self._try(self._record)
        if findings and not answers:
            return CanaryResult(findings[-1])
        forgotten = sum(not one.remembered for one in answers)
        level = logging.WARNING if forgotten else logging.INFO
        logger.log(level, "app %s: after trouble, %d of %d ids were forgotten", self.app, forgotten, len(answers))
        return CanaryResult(planted, forgotten=forgotten > 0)

    def fresh(self, rounds: int, timeout_s: float, sleep: Callable[[float], bool]) -> CanaryResult:
        """Find out whether the server's memory is full: ``rounds`` of new canaries, asked for once they may be evicted.

        ``timeout_s``: of each request; a slow server is not asked for all of them. The first that was forgotten
        ends it, and is kept for the verdict; what was remembered is too young to tell anything beside "not full",
        and only the time of that is kept. Nothing is where ``sleep`` was cut short, as it then answers: what is that
        young is remembered by a full memory too.
        """
        planted = Finding(Outcome.ACCEPTED)
        start = time.monotonic()
        for number in range(rounds):
            if number and time.monotonic() - start > FRESH_S:
                break
            started_ms = self.memory.now_ms()
            canaries = [Canary(uuid.uuid4().hex, started_ms, 0) for _ in range(FRESH)]
            planted, count = self._plant_fresh(canaries, timeout_s)
            if planted.outcome is Outcome.STUCK:
                return self._lost(canaries[0], planted)
            if planted.outcome is not Outcome.ACCEPTED:
                return CanaryResult(planted)
            if sleep(EVICTED_S):
                break
            for one in canaries[:count]:
                if one is not canaries[0] and time.monotonic() - start > FRESH_S:
                    break
                finding = classify(self._post(_body([one.id], "asked"), timeout_s), 1)
                remembered = _is_remembered(finding)
                if remembered is None:
                    return CanaryResult(finding)
                if not remembered:
                    return self._lost(one, planted)
            self._try(partial(self.memory.checked, started_ms))
        return CanaryResult(planted)

    def _plant_fresh(self, canaries: Sequence[Canary], timeout_s: float) -> tuple[Finding, int]:
        """Send them as one batch, or as smaller ones to a server that takes fewer events at once; how many went."""
        start, count, most = time.monotonic(), 0, len(canaries)
        while count < len(canaries) and (not count or time.monotonic() - start <= FRESH_S):
            batch = canaries[count : count + most]
            finding = classify(self._post(_body([one.id for one in batch], "planted"), timeout_s), len(batch))
            if finding.outcome is Outcome.TOO_LARGE and len(batch) > 1:
                most = max(1, min(finding.limit or len(batch), len(batch) // 2))
                continue
            if finding.outcome is not Outcome.ACCEPTED:
                return finding, count
            count += len(batch)
        return Finding(Outcome.ACCEPTED), count

    def _lost(self, canary: Canary, planted: Finding) -> CanaryResult:
        """A fresh canary is forgotten, or its claim has left the server's memory in the request that brought it."""
        now_ms = self.memory.now_ms()
        answer = CanaryAnswer(canary.id, now_ms - canary.planted_ms, remembered=False, asked_ms=now_ms)
        self._try(lambda: self.memory.answered([answer]))
        self._try(self._record)
        logger.warning("app %s: an id was forgotten age_ms=%d", self.app, answer.age_ms)
        return CanaryResult(planted, forgotten=True)

    def _try(self, write: Callable[[], object]) -> None:
        """Keep something in the journal, which may be away: the question is answered all the same."""
        try:
            write()
        except JournalUnavailable as error:
            logger.warning("app %s: canaries: %s", self.app, error)

    def _plant(self, ages_s: Sequence[float], timeout_s: float) -> Finding:
        now_ms = self.memory.now_ms()  # before it is sent: the server's clock starts later than ours
        canaries = [Canary(uuid.uuid4().hex, now_ms, int(age_s * 1000)) for age_s in ages_s]
        finding = classify(self._post(_body([one.id for one in canaries], "planted"), timeout_s), len(canaries))
        if finding.outcome is Outcome.ACCEPTED:
            self._try(lambda: self.memory.planted(canaries))
        return finding

    def _ask(self, claimed: Sequence[Canary], timeout_s: float) -> tuple[list[CanaryAnswer], list[Finding]]:
        """Ask for each; answers are kept, and so are the findings, clear or not."""
        answers, findings = [], []
        start_ms, start = self.memory.now_ms() if claimed else 0, time.monotonic()
        for one in claimed:
            finding = classify(self._post(_body([one.id], "asked"), timeout_s), 1)
            findings.append(finding)
            remembered = _is_remembered(finding)
            if remembered is not None:
                now_ms = start_ms + int((time.monotonic() - start) * 1000)
                answers.append(CanaryAnswer(one.id, now_ms - one.planted_ms, remembered, now_ms))
        self._try(lambda: self.memory.answered(answers))
        return answers, findings

    def _record(self, rate: float | None = None, peak_ms: int | None = None) -> MemoryReport:
        before = self.memory.report()
        now_ms = self.memory.now_ms()
        answers = self.memory.answers(now_ms - int(self._window_s * 1000))
        report = judge_answers(answers, now_ms, self._window_s, before)
        if rate is not None:
            report = replace(report, rate=rate)
        self.memory.record(report, peak_ms=peak_ms)
        if report.verdict != before.verdict:
            level = logging.WARNING if report.verdict == "forgets" else logging.INFO
            logger.log(level, "app %s: %s", self.app, "; ".join(filter(None, (summary(report), advice(report)))))
        return report


def _is_remembered(finding: Finding) -> bool | None:
    """What the answer to a question means; ``None``: nothing.

    "Still in progress" means forgotten: a server that has the id of another payload says so before it waits.
    """
    match finding.outcome:
        case Outcome.CONFLICT:
            return True
        case Outcome.ACCEPTED | Outcome.STUCK | Outcome.MISCOUNTED:  # taken, with however many receipts
            return False
        case _:
            return None


def _body(ids: Sequence[str], data: str) -> bytes:
    """A batch of canaries. One question is a batch of one: a refusal does not say which item it means."""
    event = {"channel": CHANNEL, "name": "canary", "data": data, "extras": {"ephemeral": True}}
    return json.dumps({"batch": [{**event, "message_id": one} for one in ids]}, separators=(",", ":")).encode()

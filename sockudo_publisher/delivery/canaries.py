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
from dataclasses import dataclass, replace
from typing import Final

from ..errors import JournalUnavailable
from ..journal.canary import Canary, CanaryAnswer, MemoryReport
from ..journal.memory import DedupMemory
from .memory import advice, after_trouble, ages_to_plant, askable, beat_s, due, judge, rate_seen, summary
from .outcome import Finding, NoReply, Outcome, Reply, classify

__all__ = ["CHANNEL", "Asked", "Canaries"]

logger = logging.getLogger("sockudo_publisher.canary")

#: The channel that nobody reads. Public, without history: its events say `ephemeral`.
CHANNEL: Final = "sockudo-publisher-canary"

#: Canaries asked in one beat: a holder that was away must not keep the server busy with old questions.
MOST_ASKED: Final = 8


@dataclass(frozen=True)
class Asked:
    """What the server said after trouble: what became of our request, and whether an id was forgotten."""

    finding: Finding
    forgotten: bool = False


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
        """Ask who is due, plant new ones, say what is known. Raises :class:`JournalUnavailable`."""
        seen = self.memory.beat(lanes)
        stale = [one for one in seen.canaries if not askable(one, seen.now_ms, self._window_s)]
        self.memory.claim(stale)
        asked = [one for one in due(seen.canaries, seen.now_ms) if one not in stale]
        self._ask(self.memory.claim(asked[:MOST_ASKED]), self._timeout_s)
        self._plant(ages_to_plant(seen.number, self._window_s), self._timeout_s)
        rate, peak_ms = rate_seen(seen, self._window_s)
        return self._record(rate, peak_ms)

    def after_trouble(self, since_ms: int, timeout_s: float) -> Asked:
        """The server was in trouble from ``since_ms`` (Redis' time): does it answer, and did it forget?

        ``timeout_s``: of the first request, which plants a new canary: while that fails the old ones, of
        which there are few, are not spent. With none to ask, nothing was forgotten.
        """
        canaries = after_trouble(self.memory.canaries(), self.memory.now_ms(), since_ms, self._window_s)
        planted = self._plant((beat_s(self._window_s),), timeout_s)
        if planted.outcome is not Outcome.ACCEPTED:
            return Asked(planted)
        answers, findings = self._ask(self.memory.claim(canaries), min(timeout_s, self._timeout_s))
        try:
            self._record()
        except JournalUnavailable as error:  # full, perhaps: who asked is told all the same
            logger.warning("app %s: the server's memory: %s", self.app, error)
        if findings and not answers:
            return Asked(findings[-1])
        forgotten = sum(not one.remembered for one in answers)
        logger.warning("app %s: after trouble, %d of %d ids were forgotten", self.app, forgotten, len(answers))
        return Asked(planted, forgotten=forgotten > 0)

    def _plant(self, ages_s: Sequence[float], timeout_s: float) -> Finding:
        now_ms = self.memory.now_ms()  # before it is sent: the server's clock starts later than ours
        canaries = [Canary(uuid.uuid4().hex, now_ms, int(age_s * 1000)) for age_s in ages_s]
        finding = classify(self._post(_body([one.id for one in canaries], "planted"), timeout_s), len(canaries))
        if finding.outcome is Outcome.ACCEPTED:
            try:
                self.memory.planted(canaries)
            except JournalUnavailable as error:
                logger.warning("app %s: canaries: %s", self.app, error)
        return finding

    def _ask(self, claimed: Sequence[Canary], timeout_s: float) -> tuple[list[CanaryAnswer], list[Finding]]:
        """Ask for each; answers are kept, and so are the findings, clear or not."""
        answers, findings = [], []
        start_ms, start = self.memory.now_ms() if claimed else 0, time.monotonic()
        for one in claimed:
            finding = classify(self._post(_body([one.id], "asked"), timeout_s), 1)
            findings.append(finding)
            if finding.outcome in (Outcome.CONFLICT, Outcome.ACCEPTED):
                now_ms = start_ms + int((time.monotonic() - start) * 1000)
                remembered = finding.outcome is Outcome.CONFLICT
                answers.append(CanaryAnswer(one.id, now_ms - one.planted_ms, remembered, now_ms))
        try:
            self.memory.answered(answers)
        except JournalUnavailable as error:
            logger.warning("app %s: canaries: %s", self.app, error)
        return answers, findings

    def _record(self, rate: float | None = None, peak_ms: int | None = None) -> MemoryReport:
        before = self.memory.report()
        now_ms = self.memory.now_ms()
        answers = self.memory.answers(now_ms - int(self._window_s * 1000))
        report = judge(answers, now_ms, self._window_s, before)
        if rate is not None:
            report = replace(report, rate=rate)
        self.memory.record(report, peak_ms=peak_ms)
        if report.verdict != before.verdict:
            level = logging.WARNING if report.verdict == "forgets" else logging.INFO
            logger.log(level, "app %s: %s", self.app, "; ".join(filter(None, (summary(report), advice(report)))))
        return report


def _body(ids: Sequence[str], data: str) -> bytes:
    """A batch of canaries. One question is a batch of one: a refusal does not say which item it means."""
    event = {"channel": CHANNEL, "name": "canary", "data": data, "extras": {"ephemeral": True}}
    return json.dumps({"batch": [{**event, "message_id": one} for one in ids]}, separators=(",", ":")).encode()

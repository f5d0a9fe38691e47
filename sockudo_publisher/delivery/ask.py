"""Canaries in place of the batch: whether the server works, and whether it remembers ids."""

from __future__ import annotations

import logging

from .canary_result import CanaryResult
from .decide import Pause, TryAgain, decide_after_canaries
from .dedup_check import ask_dedup_memory, is_good
from .log import log
from .moves import AskCanaries
from .outcome import Outcome
from .run import Run

__all__ = ["check_dedup_memory", "probe_with_canaries"]


def probe_with_canaries(run: Run, ask: AskCanaries) -> Pause | TryAgain:
    """Ask canaries whether the server is back; returns what follows."""
    run.put_back()  # a death while canaries are out must not leave the batch marked as sent
    assert run.ports.ask_canaries is not None, "the gates know it"
    answer = run.ports.ask_canaries(ask.since_ms, ask.timeout_s)
    run.probe.is_canary_accepted = answer.finding.outcome is Outcome.ACCEPTED
    head = run.taken.batch
    if head is not None and head.resent and run.probe.is_canary_accepted and not answer.forgotten:
        run.trust = run.trust._replace(are_old_asked=True)
    return _follow(run, answer)


def check_dedup_memory(run: Run) -> Pause | TryAgain:
    """Ask canaries whether the server remembers what earlier attempts delivered; returns what follows."""
    log(logging.INFO, "checking dedup memory before a resend", app=run.journal.app, count=run.batch.count)
    answer, run.trust = ask_dedup_memory(
        run.trust,
        run.batch.first_ms,
        run.ports.ask_canaries,
        run.ports.ask_fresh_canaries,
        timeout_s=run.ports.policy.delivery_timeout_s,
        sleep=run.sleep_unless_stopping,
    )
    if is_good(answer):
        # Counted from now: a slow server takes longer to answer than a check counts, and would be asked for ever.
        run.trust = run.trust.clear(run.now_ms())
    return _follow(run, answer)


def _follow(run: Run, answer: CanaryResult) -> Pause | TryAgain:
    step, run.progress = decide_after_canaries(answer.finding, run.progress)
    if step is None and answer.forgotten:
        # All workers find it in the journal; this run knows it from now on.
        run.forgets_until_ms = run.now_ms() + int(run.ports.policy.window_s * 1000)
    return step or TryAgain()

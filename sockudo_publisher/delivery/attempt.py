"""One attempt: send the batch, say what the answer proves, decide what follows."""

from __future__ import annotations

from ..journal.wellformed import fault_of
from .decide import Attempt, Pause, Step, decide
from .moves import Send, Wait
from .outcome import Finding, NoReply, Outcome, Reply, blame_item, classify
from .run import Run
from .uncertain import count_possible_copies

__all__ = ["make_attempt"]


def make_attempt(run: Run, send: Send) -> Step | Wait:
    """POST the first items of the batch, while the lease surely lasts; returns what follows.

    :class:`Wait`: nothing was sent, since what the gates saw is out of date.
    """
    run.waited_s = 0.0
    run.cut_batch(send.count)
    run.ports.crash_point("taken")
    body = run.batch.body
    if not _may_send(run):
        return Wait()
    if run.tokens is not None and not run.batch.resent:
        run.tokens -= send.count
    run.history.forget(run.batch)
    observer, app = run.ports.observer, run.journal.app
    if run.batch.resent:
        observer.resent(app, send.count)
    began = run.ports.control.monotonic()
    with observer.delivering(app, send.count, lambda: run.batch.traces()):  # noqa: PLW0108 -- evaluated if wanted
        result = run.ports.post(body)
        took_s = run.ports.control.monotonic() - began
        run.ports.crash_point("posted")
        finding = _find(run, result)
        observer.post(app, finding.outcome.value.replace(" ", "_"), took_s, send.count)
    attempt = _attempt_of(run, len(body), is_late=send.is_late)
    before = run.progress
    step, run.progress = decide(finding, attempt, before)
    has_fresh = run.ports.ask_fresh_canaries is not None
    run.trust = run.trust.after_attempt(finding, attempt, step, run.now_ms(), has_fresh=has_fresh)
    if before.suspects is None and run.progress.suspects is not None:
        run.count("searched")
    copies = count_possible_copies(finding, attempt) if attempt.is_late else 0
    if copies:
        run.count("resent_after_window", copies)
        observer.uncertain(app, "resent", copies)
    if not isinstance(step, Pause):
        run.probe.end_pause()
    return step


def _may_send(run: Run) -> bool:
    """Renew what a request needs; ``False``: another run probes, or the lease had to be renewed, which takes time."""
    is_paused = run.taken.shared.pause is not None
    return (not is_paused or run.probe.keep_right()) and run.holder.lease.ensure_fresh()


def _attempt_of(run: Run, body_bytes: int, *, is_late: bool) -> Attempt:
    batch = run.batch
    age_s = (run.now_ms() - batch.first_ms) / 1000
    # The window may end during the request: the server looks an id up when it comes to the item.
    is_late = is_late or (batch.resent and age_s > run.ports.policy.window_s)
    return Attempt(batch.count, body_bytes, batch.resent, run.holder.channel is not None, age_s, is_late)


def _find(run: Run, result: Reply | NoReply) -> Finding:
    finding = classify(result, run.batch.count)
    if isinstance(result, Reply) and result.status == 200 and finding.outcome is not Outcome.ACCEPTED:
        finding = blame_item(finding, result, [fault_of(item) for item in run.batch.items()])
    return finding

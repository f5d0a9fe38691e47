"""The drain loop: deliver one queue from its head, until it is empty or has to wait.

``gates`` decide what comes next, ``decide`` what follows a request, ``run`` has the actions. All I/O is in what comes
as arguments.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from typing_extensions import assert_never

from ..errors import JournalUnavailable, JournalUnreadable
from ..journal.app.shared import SharedView
from ..journal.holder import DeadLetterFields, Holder, Journal
from ..journal.lease import LeaseLost
from ..journal.pack import UnreadableEntry
from ..telemetry.observer import NOTHING, Observer
from . import moves as to
from .ask import check_dedup_memory, probe_with_canaries
from .attempt import make_attempt
from .control import Control
from .decide import Bury, Hold, Learn, Pause, Progress, RetryHold, Settle, Step, TryAgain
from .dedup_check import AskFreshCanaries, AskOldCanaries
from .gates import gate
from .history import HistoryLookup
from .log import log
from .moves import DrainAgain
from .run import Ports, Post, Run
from .window import Policy

__all__ = ["DrainAgain", "Post", "drain"]

#: Pauses that may begin while a run takes its lease, each after the end of the one before; then the sweep rings.
MAX_PAUSES = 3


def drain(
    journal: Journal,
    lane: int,
    channel: str | None = None,
    *,
    post: Post,
    policy: Policy,
    control: Control,
    crash_point: Callable[[str], None],
    ask_canaries: AskOldCanaries | None = None,
    ask_fresh_canaries: AskFreshCanaries | None = None,
    history_lookup: HistoryLookup | None = None,
    observer: Observer = NOTHING,
) -> DrainAgain | None:
    """Deliver a lane, or one held channel of it; returns when to ring it again.

    ``None``: it is empty, another run has it, or the sweep will ring it. ``ask_canaries`` probes after a pause, and
    with ``ask_fresh_canaries`` checks the server's dedup memory before a resend; ``history_lookup`` is asked about
    uncertain events. Without these the settings alone count. ``observer``: counts requests and pauses.

    Raises :class:`JournalUnavailable` when Redis fails; the caller has nothing to undo.
    """
    try:
        holder, shared = _acquire(journal, lane, channel)
    except LeaseLost:  # a freeze, of a process that was to give it back
        _log_lost_lease(journal, lane, channel)
        return None
    if holder is None:
        return None  # its holder sees the entries: release.lua
    pause = shared.pause
    progress = Progress.after_pauses(pause.reason, pause.count, policy.batch_max_events) if pause else Progress()
    if channel is not None:
        progress = replace(progress, max_items=1)  # a held queue starts with its stuck item, alone
    ports = Ports(post, policy, control, crash_point, ask_canaries, ask_fresh_canaries, history_lookup, observer)
    run = Run(journal, holder, ports, progress, shared)
    try:
        crash_point("leased")
        while True:
            try:
                return _deliver(run)
            except UnreadableEntry as error:
                journal.quarantine(run.holder, error.entry_id)  # it leaves; then from the head again
    except LeaseLost:
        _log_lost_lease(journal, lane, channel)
        return None
    except JournalUnreadable:
        _free(run)
        raise
    except JournalUnavailable:
        raise  # the lease runs out
    except Exception:
        _free(run)
        raise
    finally:
        run.letters.flush()
        run.probe.give_back_right()
        journal.forget(run.holder)


def _acquire(journal: Journal, lane: int, channel: str | None) -> tuple[Holder | None, SharedView]:
    """Take the lease, unless another run has it or the app is paused: the run that began the pause rings a lane, and
    the end of the pause rings all of them.

    With what the app shares in one round trip, so that an event on a quiet lane waits for no other. So a paused app's
    lease is taken too, and given back.
    """
    holder: Holder | None = None
    try:
        holder, shared = journal.acquire_and_view(lane, channel)
        for _ in range(MAX_PAUSES):
            if holder is None or not _is_paused(journal, shared, lane, channel):
                return holder, shared
            journal.hand_over(holder)
            # The pause may have ended just now: then the ring for its end found this lease, and ended.
            shared = journal.shared.view()
            if _is_paused(journal, shared, lane, channel):
                return None, shared
            holder, shared = journal.acquire_and_view(lane, channel)
        if holder is not None:
            journal.hand_over(holder)
    except BaseException:
        if holder is not None:
            journal.forget(holder)  # or this process would renew it for ever
        raise
    return None, shared


def _log_lost_lease(journal: Journal, lane: int, channel: str | None) -> None:
    log(logging.INFO, "lease lost, its new holder goes on", app=journal.app, lane=lane, channel=channel)


def _is_paused(journal: Journal, shared: SharedView, lane: int, channel: str | None) -> bool:
    """Whether a run has nothing to do in this queue. An operator's pause lets what is marked be resolved first."""
    if shared.pause:  # when its time is over, it is probed with canaries, under an operator's pause too
        return shared.pause.left_ms(journal.now_ms()) > 0
    # A held queue begins with an event that was sent.
    return bool(shared.operator_pause) and channel is None and not journal.is_marked(lane)


def _free(run: Run) -> None:
    """Free the queue at once after an error. The batch keeps its mark: it may have been sent."""
    with suppress(JournalUnavailable, LeaseLost):
        run.journal.hand_over(run.holder)


def _deliver(run: Run) -> DrainAgain | None:  # noqa: PLR0915 -- a case for each move
    """Decide and act, until the queue is given back."""
    run.take()
    while True:
        move: to.Move | Step = gate(run.view(), run.now_ms())
        if isinstance(move, to.Send):
            move = make_attempt(run, move)
        elif isinstance(move, to.AskCanaries):
            move = probe_with_canaries(run, move)
        elif isinstance(move, to.CheckDedupMemory):
            move = check_dedup_memory(run)
        match move:
            # What follows a request.
            case Settle(is_late):
                run.settle_and_take(is_late=is_late)
                continue
            case TryAgain(wait_s):
                run.sleep(wait_s)
            case Bury(reason, message, maybe_delivered, attempts):
                run.bury(DeadLetterFields(reason, message, attempts, run.batch.first_ms, maybe_delivered))
            case Hold(retry_in_s):
                run.hold(retry_in_s)
            case RetryHold(wait_s):
                run.journal.retry_hold_in(run.holder, wait_s)
                run.journal.hand_over(run.holder)
                return None
            case Learn() | Pause():
                if move.unmark:  # first: a death in between must not leave marked what was never sent
                    run.put_back()
                run.learn(move) if isinstance(move, Learn) else run.probe.pause(move)
            # What a batch needs before its request.
            case to.Wait(seconds):
                run.put_back()
                run.waited_s += seconds
                run.sleep(seconds)
            case to.TakeRight(count):
                run.looks = run.looks._replace(has_tried_probe=True)
                run.probe.take_right(run.holder.lease, count)
                continue
            case to.TrustOthersCheck():
                run.trust = run.trust.clear(run.now_ms())
                continue
            case to.LookUpHistory():
                run.looks = run.looks._replace(recorded=run.history.look_up(run.batch))
                continue
            case to.BuyTokens(count):
                run.buy_tokens(count)
                continue
            # What leaves without a request.
            case to.SettleRecorded(count):
                run.cut_batch(count)
                run.settle_recorded()
                run.progress = run.progress.after_head()
            case to.BuryUncertain(letter, keep):
                run.bury(letter, keep=keep)
                run.progress = run.progress.after_head()
            case to.BuryBlamed(letter):
                run.bury(letter)
                run.progress = run.progress.after_culprit()
            # How the run ends.
            case to.AskOthers():
                run.ask_others()
                continue
            case to.EndProbe(is_answered):
                run.looks = run.looks._replace(has_tried_probe=True)
                run.probe.end_pause() if is_answered else run.probe.give_back_right()
                continue
            case to.WatchQueue():
                if not run.watch():
                    run.looks = run.looks._replace(was_watched=True)
                    continue
            case to.Release():
                if run.journal.release(run.holder):
                    return None
            case to.Leave(again):
                run.hand_over()
                return again
            case to.LeaveToOperator():
                run.hand_over()
                # The pause may have ended just now: then the ring for its end found this lease, and ended.
                shared = run.journal.shared.view()
                return None if shared.pause or shared.operator_pause else DrainAgain(0.0)
            case to.LeaveToNewer(version):
                fields = {"app": run.journal.app, "lane": run.holder.keys.lane, "version": version}
                log(logging.ERROR, "entry of a newer release is left to a newer worker", **fields)
                run.hand_over()
                return None
            case _:
                assert_never(move)
        run.take()

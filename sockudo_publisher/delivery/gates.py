"""What a run does next, before any request: a view of its state in, the next move out. Pure.

:func:`gate` asks its questions in this order: must the slot be given back, is the app paused, is the queue empty, does
the server still remember what an earlier attempt delivered, is the window over, is the rate paid. A batch that passes
them all is sent. While an operator pauses the app, a batch that was never sent counts as absent; one that may be out is
resolved, as its window does not wait. ``decide`` decides what follows the request.
"""

from __future__ import annotations

from typing import Final

from ..journal.app.shared import AppPause
from ..journal.batch import Batch
from ..journal.holder import DeadLetterFields
from ..journal.wellformed import fault_of
from .backoff import CAP_S, probe_timeout_s
from .dedup_check import CheckNeed, find_check_need
from .moves import (
    AskCanaries,
    AskOthers,
    BuryBlamed,
    BuryUncertain,
    BuyTokens,
    CheckDedupMemory,
    DrainAgain,
    EndProbe,
    Leave,
    LeaveToNewer,
    LeaveToOperator,
    LookUpHistory,
    Move,
    Release,
    Send,
    SettleRecorded,
    TakeRight,
    TrustOthersCheck,
    View,
    Wait,
    WatchQueue,
)
from .uncertain import RemoveFirst, SendFirst, SettleFirst, decide_uncertain
from .window import WindowState, check_window

__all__ = ["PROBE_LOOK_S", "WAIT_IN_PLACE_S", "gate"]

#: Seconds that a wait may last inside the task. For a longer one the slot is given back.
WAIT_IN_PLACE_S: Final = 2.0

#: Seconds between two looks at a pause that another run probes in.
PROBE_LOOK_S: Final = 0.2

assert CAP_S <= WAIT_IN_PLACE_S, "a backoff is waited for in place"
assert PROBE_LOOK_S < WAIT_IN_PLACE_S, "a run looks at a pause more than once"


def gate(view: View, now_ms: int) -> Move:
    """Decide what comes next; ``now_ms``: Redis' time."""
    looks, taken = view.looks, view.taken
    if looks.was_watched:
        return Release()
    if view.is_stopping or looks.do_others_wait:
        return Leave(DrainAgain(0.0))
    # A search that is given up half-way would begin anew, and it has to end inside the window.
    if view.is_slice_over and looks.do_others_wait is None and not view.progress.is_searching:
        return AskOthers()
    pause, is_ordered = taken.shared.pause, taken.shared.operator_pause is not None
    head = None if is_ordered and taken.batch is not None and not taken.batch.resent else taken.batch
    move = _pass_pause(view, pause, head, now_ms) if pause is not None else None
    if move is not None:
        return move
    if head is None:
        return LeaveToOperator() if taken.batch is not None and not view.is_probing else _leave_empty(view, pause)
    return _pass_resend(view, head, now_ms) if head.resent else _pass_rate(view, head)


def _pass_pause(view: View, pause: AppPause, head: Batch | None, now_ms: int) -> Move | None:
    """``None``: this run probes, or it has nothing to send."""
    has_tried = view.looks.has_tried_probe
    if view.is_probing:
        # While the server is known to forget, a canary could tell nothing new.
        if has_tried and view.can_ask and view.forgets_until_ms <= now_ms:
            return _ask_canaries(view, pause, head)
        return None
    left_ms = pause.left_ms(now_ms)
    if not left_ms and not has_tried:
        return TakeRight(pause.count)
    if head is None:
        return None
    wait_s = max(left_ms / 1000, PROBE_LOOK_S)
    # A ring comes back to the worker that sent it. So a long pause is left to the sweeps of all workers: a worker whose
    # own key or network is at fault would else be the only one to probe.
    has_to_ring = view.has_paused and wait_s <= WAIT_IN_PLACE_S
    return _wait_or_leave(view, wait_s, DrainAgain(wait_s) if has_to_ring else None)


def _ask_canaries(view: View, pause: AppPause, head: Batch | None) -> AskCanaries:
    # The pause was written at the end of an attempt, and the trouble may have begun when that attempt did.
    since_ms = pause.since_ms - int(view.policy.delivery_timeout_s * 1000)
    if head is not None and head.resent:
        since_ms = min(since_ms, head.first_ms)
    return AskCanaries(since_ms, probe_timeout_s(pause.count, view.policy.delivery_timeout_s))


def _leave_empty(view: View, pause: AppPause | None) -> Move:
    """There is no batch."""
    if view.taken.unknown_version is not None:
        return LeaveToNewer(view.taken.unknown_version)
    if view.is_probing:
        return EndProbe(view.is_canary_accepted)
    if pause is not None or view.taken.shared.operator_pause is not None or view.is_hold:
        return Release()
    return WatchQueue()


def _pass_resend(view: View, head: Batch, now_ms: int) -> Move:
    """An attempt before may have delivered the batch. Its tokens were spent then."""
    is_forgetful = view.forgets_until_ms > now_ms
    if view.can_check and not is_forgetful:
        need = find_check_need(
            view.trust,
            head,
            now_ms,
            others_ms=view.taken.shared.checked_ms,
            is_searching=view.progress.is_searching,
            policy=view.policy,
        )
        if need is CheckNeed.DUE:
            return CheckDedupMemory()
        if need is CheckNeed.DONE_BY_OTHER:
            return TrustOthersCheck()
    state = check_window(
        resent=True, first_ms=head.first_ms, now_ms=now_ms, policy=view.policy, is_forgetful=is_forgetful
    )
    send = Send(head.count)
    if state is not WindowState.SAFE:
        move = _pass_window(view, head, state, now_ms, is_forgetful=is_forgetful)
        if not isinstance(move, Send):
            return move
        send = move
    progress = view.progress
    if progress.blame and progress.suspects == 1 and fault_of(head.first_item):
        # It may be out, and where it has no id the server would publish it again.
        return BuryBlamed(
            DeadLetterFields("unreadable", progress.blame, progress.attempts, head.first_ms, maybe_delivered=True)
        )
    return send


def _pass_window(view: View, head: Batch, state: WindowState, now_ms: int, *, is_forgetful: bool) -> Move:
    """The batch is uncertain."""
    recorded = view.looks.recorded
    if recorded is None:
        return LookUpHistory()
    expires_ms = [item.expires_ms for item in head.items()]
    step = decide_uncertain(
        expires_ms, recorded, state=state, now_ms=now_ms, policy=view.policy, is_forgetful=is_forgetful
    )
    match step:
        case SendFirst(count):
            return Send(count, is_late=state is WindowState.LATE)
        case SettleFirst(count):
            return SettleRecorded(count)
        case RemoveFirst(reason, message, keep):
            attempts = max(1, view.progress.attempts)  # attempts of earlier runs are not counted; one was made
            return BuryUncertain(
                DeadLetterFields(reason, message, attempts, head.first_ms, maybe_delivered=True), keep=keep
            )


def _pass_rate(view: View, head: Batch) -> Move:
    """The batch was never sent."""
    tokens = view.tokens
    if tokens is None or tokens >= head.count:
        return Send(head.count)
    wait_s = view.looks.token_wait_s
    if wait_s is None:
        return BuyTokens(head.count - tokens)
    if tokens:
        return Wait()  # the next take is cut to them
    return _wait_or_leave(view, wait_s, DrainAgain(wait_s))


def _wait_or_leave(view: View, wait_s: float, again: DrainAgain | None) -> Wait | Leave:
    """Wait here, or give the slot back where that would take too long."""
    return Leave(again) if view.waited_s + wait_s > WAIT_IN_PLACE_S else Wait(wait_s)

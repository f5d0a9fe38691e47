"""Group commit: one thread of each app and process appends what the coroutines of all loops have given it.

A flush is one append: it takes what has come while the flush before was under way, so its size follows the load. While
callers of that flush are still being woken it waits for their next calls (a few milliseconds at most), unless enough
waits. One flush is under way at a time, so the order of a channel is the order of the calls. Each call has its own
outcome.

A call that comes while nothing waits and no flush is under way is appended by its own loop (:mod:`.early_append`). The
thread takes that over when the next call comes, and whenever the usual answer does not.

When Redis does not answer a flush, all waiting calls fail with it, and from then on new ones fail at once, except one
at a time, which tries Redis again.
"""

from __future__ import annotations

import atexit
import copy
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from ..config.settings import on_configure
from ..errors import BacklogFull, JournalUnavailable
from ..redaction import package_logger
from ..wiring.app import App
from .background_thread import BackgroundThread, LookAgain
from .early_append import EarlyAppend
from .flush_plan import (
    MAX_PATIENCE_S,
    MAX_WAITING_BYTES,
    MAX_WAITING_EVENTS,
    Admission,
    admit,
    count_next_flush,
    is_worth_a_flush,
    outcomes_of,
    split_kinds,
)
from .loop_outcomes import Loop, by_loop, hand_over, set_outcome
from .ring_thread import ring_soon, wait_for_rings
from .store import append_items
from .waiting_call import CallState, Outcome, WaitingCall

__all__ = ["enter"]

logger = package_logger("sockudo_publisher.group_commit")

#: Seconds that the end of the process, or `configure()`, waits beyond the time that one append may take.
MARGIN_S = 0.5


class _Group:
    """The waiting calls of one app, and the thread that appends them."""

    def __init__(self, app: App) -> None:
        self.app = app
        #: Errors that no loop was there to get.
        self.lost = 0
        self.waiting_events = 0
        self._queue: deque[WaitingCall] = deque()
        self._waiting_bytes = 0
        #: The call whose append its loop has sent, until the loop, or the thread, reads the answer.
        self._early: WaitingCall | None = None
        #: Why Redis was away at the last flush; ``None``: it was not.
        self._away: JournalUnavailable | None = None
        #: Until the callers know the outcome: one of them may be the next that tries.
        self._is_flushing = False
        #: The loops that still wake callers of the last hand-over, with its number; until when a flush waits for them.
        self._waking: dict[Loop, int] = {}
        self._waking_until = 0.0
        self._hand_overs = 0
        self.thread = BackgroundThread(f"sockudo-publisher-append-{app.name}", self._take, self._flush)

    def add(self, call: WaitingCall) -> bool:
        """Let a call wait; ``False``: this group takes none any more. Raises the error of a call that may not wait."""
        with self.thread.lock:
            if self.thread.is_stopping:
                return False
            admission = admit(
                call,
                waiting_events=self.waiting_events,
                waiting_bytes=self._waiting_bytes,
                is_away=self._away is not None,
                is_flushing=self._is_flushing,
            )
            if admission is Admission.ENTER:
                if self._begin_early(call):
                    return True
                self._queue.append(call)
                self._count(call, 1)
                try:
                    if not self._waking or is_worth_a_flush(self.waiting_events, self._waiting_bytes):
                        self.thread.wake()
                except RuntimeError:
                    self.withdraw(call)
                    raise JournalUnavailable("no thread can be started: the process ends", stored=False) from None
                return True
            away = self._away
        if admission is Admission.FULL:
            raise BacklogFull(
                f"{self.waiting_events} events, {self._waiting_bytes} bytes wait in this process for Redis, "
                f"limit {MAX_WAITING_EVENTS} events or {MAX_WAITING_BYTES} bytes"
            )
        raise JournalUnavailable(f"not tried, another call tries Redis again: {away}", stored=False)

    def withdraw(self, call: WaitingCall) -> None:
        """Take a call out of the queue, if no flush has taken it: nothing of it is stored then."""
        with self.thread.lock:
            if call.state is CallState.WAITING:
                call.state = CallState.WITHDRAWN
                self._count(call, -1)
                call.items = ()  # it stays in the queue until its turn, without its payload
            elif call is self._early:
                self._leave_to_thread()

    def finish(self) -> bool:
        """Append what waits, for a bounded time; ``False``: something is left."""
        early: list[WaitingCall] = []
        with self.thread.lock:
            if self._early is not None and not self._leave_to_thread():
                early.append(self._early)
                self._early = None
        if early:
            self._flush(early)
        return self.thread.wait_until_idle(
            self.app.append_bound_s + MARGIN_S, lambda: self.waiting_events > 0 or self._early is not None
        )

    def _count(self, call: WaitingCall, sign: int) -> None:
        self.waiting_events += sign * call.event_count
        self._waiting_bytes += sign * call.size

    # -- the loop of a lone call ----------------------------------------------------------------------

    def _begin_early(self, call: WaitingCall) -> bool:
        """Let the loop of this call append it, if it has no other before it."""
        if self._queue or self._waking or self._early is not None or self._away is not None or self.thread.is_busy:
            return False
        begun = self.app.producer.begin(call.items, on_refusal=call.on_refusal)
        if begun is None:
            return False
        call.state = CallState.TAKEN
        call.early = EarlyAppend(begun, call.loop)
        self._early = call
        if not call.early.watch(partial(self._end_early, call)):
            self._leave_to_thread()
        return True

    def _end_early(self, call: WaitingCall, is_stored: bool) -> None:
        """The answer has come, or another than the usual one, or none."""
        with self.thread.lock:
            if call is not self._early:
                return  # the thread has it
            if not is_stored:
                self._leave_to_thread()
                return
            self._early = None
        stored = self._store([call])
        if isinstance(stored, Exception):  # the connection has ended since the look
            self._fail_all(stored, [[call]])
            return
        (outcome,), rings = stored
        set_outcome(call, outcome)
        if rings:
            ring_soon(self.app.name, rings)

    def _leave_to_thread(self) -> bool:
        """Let the thread read the answer; ``False``: the process ends, and none can be started any more."""
        try:
            self.thread.wake()
        except RuntimeError:
            return False
        return True

    # -- the thread -----------------------------------------------------------------------------------

    def _take(self) -> list[WaitingCall] | LookAgain | None:
        """The calls of the next flush."""
        if self._early is not None:
            early, self._early = self._early, None
            self._is_flushing = True
            return [early]
        if self._waking and not self.thread.is_stopping:
            left_s = self._waking_until - time.monotonic()
            if left_s > 0 and not is_worth_a_flush(self.waiting_events, self._waiting_bytes):
                self._is_flushing = False
                return LookAgain(left_s)
            if left_s <= 0:
                self._waking.clear()
        self._is_flushing = bool(self._queue)
        if not self._queue:
            self.waiting_events = self._waiting_bytes = 0
            return None
        calls = [self._queue.popleft() for _ in range(count_next_flush(self._queue))]
        for call in calls:
            if call.state is CallState.WAITING:
                call.state = CallState.TAKEN
                self._count(call, -1)
        return calls

    def _flush(self, calls: list[WaitingCall]) -> None:
        parts = split_kinds(calls)
        while parts:
            failure = self._append(parts[0])
            if failure is not None:
                self._fail_all(failure, parts)
                return
            del parts[0]

    def _append(self, calls: list[WaitingCall]) -> JournalUnavailable | None:
        """Append the items of some calls and hand over their outcomes. Returns the error if Redis did not answer."""
        stored = self._store(calls)
        if isinstance(stored, Exception):
            return stored
        outcomes, rings = stored
        # Callers first: a ring may take half a second.
        self._hand_over(list(zip(calls, outcomes, strict=True)))
        if rings:
            ring_soon(self.app.name, rings)
        return None

    def _store(self, calls: list[WaitingCall]) -> tuple[list[Outcome], Sequence[int]] | JournalUnavailable:
        """Append the items of some calls. Returns their outcomes and the lanes to ring, or why Redis did not answer."""
        items: Any = [item for call in calls for item in call.items]
        begun = None if calls[0].early is None else calls[0].early.begun  # then it is the only one
        rings: Sequence[int] = ()
        outcomes: list[Outcome]
        try:
            appended = append_items(self.app, items, on_refusal=calls[0].on_refusal, begun=begun)
            rings, outcomes = appended.ring, outcomes_of(calls, appended)
        except (JournalUnavailable, BacklogFull) as error:
            if isinstance(error, JournalUnavailable) and error.is_unreachable:
                return error
            outcomes = [copy.copy(error) for _ in calls]
        except Exception as error:
            logger.exception("append failed app=%s events=%d", self.app.name, len(items))
            outcomes = [JournalUnavailable(f"append failed: {type(error).__name__}", stored=None) for _ in calls]
        self._away = None
        return outcomes, rings

    def _fail_all(self, failure: JournalUnavailable, parts: Sequence[Sequence[WaitingCall]]) -> None:
        """Fail the calls that Redis did not answer, those of the flush behind them, and all that wait."""
        with self.thread.lock:
            waiting = [call for call in self._queue if call.state is CallState.WAITING]
            for call in waiting:
                call.state = CallState.TAKEN
            self._queue.clear()
            self.waiting_events = self._waiting_bytes = 0
            self._away = failure
            self._is_flushing = False
        done: list[tuple[WaitingCall, Outcome]] = [(call, copy.copy(failure)) for call in parts[0]]
        for call in chain(*parts[1:], waiting):
            error = copy.copy(failure)
            error.stored = False  # not sent
            done.append((call, error))
        self._hand_over(done)

    def _hand_over(self, done: Sequence[tuple[WaitingCall, Outcome]]) -> None:
        outcomes = by_loop(done)
        then: Callable[[Loop], None] | None = None
        with self.thread.lock:
            # One caller alone has no other to share a flush with, and would only be woken later.
            if len(done) > 1 or self.waiting_events:
                self._hand_overs += 1
                self._waking = dict.fromkeys(outcomes, self._hand_overs)
                self._waking_until = time.monotonic() + MAX_PATIENCE_S
                then = partial(self._end_wait_for, self._hand_overs)
        self.lost += hand_over(self.app.name, outcomes, then)

    def _end_wait_for(self, number: int, loop: Loop) -> None:
        """The callers of a loop have run, and have made their next calls."""
        with self.thread.lock:
            if self._waking.get(loop) == number:
                del self._waking[loop]
            if self._queue and not self._waking:
                self.thread.wake()


#: The groups of this process. Replaced by :func:`configure`, and in a fork, where the parent's threads do not exist.
_groups: dict[App, _Group] = {}


def enter(app: App, call: WaitingCall) -> Callable[[WaitingCall], None]:
    """Let a call wait for the next flush. Returns the function that withdraws it.

    Raises :class:`BacklogFull` if too much waits, and :class:`JournalUnavailable` (``stored=False``) while Redis is
    away and another call tries it.
    """
    while True:
        group = _groups.get(app) or _groups.setdefault(app, _Group(app))
        if group.add(call):
            return group.withdraw
        # `configure()` has replaced the groups meanwhile.


def _finish_groups() -> tuple[int, int]:
    """Append all that waits, for a bounded time, and send the rings. Returns events left, and errors without a caller.

    Later calls get new groups.
    """
    global _groups
    groups, _groups = list(_groups.values()), {}
    if not groups:
        return 0, 0
    lost_before = sum(group.lost for group in groups)
    for group in groups:
        group.thread.stop()
    left = sum(0 if group.finish() else group.waiting_events for group in groups)
    wait_for_rings()
    return left, sum(group.lost for group in groups) - lost_before


def _on_configure() -> None:
    _finish_groups()


def _at_exit() -> None:
    left, lost = _finish_groups()
    if left or lost:
        raise JournalUnavailable(
            f"at the end of the process {left + lost} events that coroutines had published were not stored",
            stored=None if left else False,
        )


def _after_fork() -> None:
    global _groups  # noqa: PLW0603 -- the one place
    _groups = {}


os.register_at_fork(after_in_child=_after_fork)
on_configure(_on_configure, first=True)
atexit.register(_at_exit)

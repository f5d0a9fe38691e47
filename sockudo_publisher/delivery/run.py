"""One drain of one queue under one lease: its state, and the actions of the loop.

Each action does one thing and decides nothing: ``gates`` and ``decide`` say which, ``drain`` calls it. The batch in
hand is that of the last take.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ..journal.app.shared import Limits, SharedView
from ..journal.batch import Batch
from ..journal.holder import DeadLetterFields, Holder, Journal, MarkerChanged, Taken
from ..journal.lease import LeaseLost
from ..telemetry.observer import NOTHING, Observer
from .bounds import BatchBounds, bound_batch
from .control import Control
from .decide import Learn, Progress
from .dedup_check import NO_TRUST, AskFreshCanaries, AskOldCanaries
from .history import HistoryAnswers, HistoryLookup
from .letter_log import LetterLog
from .log import item_fields, log
from .moves import NO_LOOKS, View
from .outcome import NoReply, Reply
from .probe import Probe
from .watch import watch_queue, watch_quiet_queue
from .window import Policy

__all__ = ["Ports", "Post", "Run"]

#: Sends the body of a batch.
Post: TypeAlias = Callable[[bytes], Reply | NoReply]

#: Seconds after which a run looks whether another queue waits for its slot.
SLICE_S: Final = 5.0


@dataclass(frozen=True)
class Ports:
    """What a run acts with beside the journal; :func:`.drain.drain` says what each is."""

    post: Post
    policy: Policy
    control: Control
    crash_point: Callable[[str], None]
    ask_canaries: AskOldCanaries | None
    ask_fresh_canaries: AskFreshCanaries | None
    history_lookup: HistoryLookup | None
    observer: Observer = NOTHING


class Run:
    """The state of a run, and its actions."""

    def __init__(self, journal: Journal, holder: Holder, ports: Ports, progress: Progress, shared: SharedView) -> None:
        self.journal = journal
        self.holder = holder
        self.ports = ports
        self.probe = Probe(journal, ports.control, ports.observer)
        self.letters = LetterLog(journal.app)
        self.history = HistoryAnswers(ports.history_lookup)
        self.progress = progress
        self.trust = NO_TRUST
        self.looks = NO_LOOKS
        self.limits = shared.limits
        self.forgets_until_ms = shared.forgets_until_ms
        self.taken = Taken(None, shared, 0)
        self.waited_s = 0.0
        self.tokens: int | None = 0 if journal.rate else None
        self._taken_at = 0.0  # when the last take was asked for, of the monotonic clock
        self._slice_end = ports.control.monotonic() + SLICE_S

    # -- what is known ------------------------------------------------------------------------------

    @property
    def batch(self) -> Batch:
        """The batch in hand."""
        assert self.taken.batch is not None, "the gates know it"
        return self.taken.batch

    def now_ms(self) -> int:
        """Redis' time now, from that of the last take and the monotonic clock."""
        return self.taken.now_ms + int((self.ports.control.monotonic() - self._taken_at) * 1000)

    def view(self) -> View:
        """The state, for the gates: by position, which takes half the time, once a batch."""
        ports, probe = self.ports, self.probe
        has_old = ports.ask_canaries is not None
        return View(
            self.taken,
            ports.policy,
            self.progress,
            self.trust,
            self.looks,
            self.forgets_until_ms,
            self.waited_s,
            self.tokens,
            self.holder.keys.channel is not None,
            ports.control.stopping(),
            ports.control.monotonic() >= self._slice_end,
            probe.is_ours,
            probe.is_canary_accepted,
            probe.has_paused,
            has_old,
            has_old or ports.ask_fresh_canaries is not None,
        )

    # -- the batch in hand --------------------------------------------------------------------------

    def take(self) -> None:
        """Take the head of the queue."""
        asked_at = self.ports.control.monotonic()  # before the call, so that a slow answer makes no batch younger
        self._keep(self.journal.take(self.holder, **self._bounds()), asked_at)

    def settle_and_take(self, *, is_late: bool) -> None:
        """Let the batch leave the journal and take the next one, in one round trip."""
        asked_at = self.ports.control.monotonic()
        try:
            taken = self.journal.settle_and_take(self.holder, self.batch, late=is_late, **self._bounds())
        except LeaseLost:
            # The server has accepted the batch: to settle it now, under a new lease, spares a resend.
            self._lease_again()
            self._settle_again(is_late=is_late)
            self.take()
        except MarkerChanged:
            self.take()
        else:
            self._keep(taken, asked_at)
        self.ports.crash_point("settled")

    def _lease_again(self) -> None:
        """Take the lost lease again, as a new holder; raises :class:`LeaseLost` if another run has it."""
        again = self.journal.acquire(self.holder.keys.lane, self.holder.channel)
        if again is None:
            raise LeaseLost(repr(self.holder.lease))
        self.journal.forget(self.holder)
        self.holder = again

    def _settle_again(self, *, is_late: bool) -> None:
        try:
            self.journal.settle(self.holder, self.batch, late=is_late)
        except MarkerChanged:
            self.progress = Progress()  # another run has moved the head

    def _bounds(self) -> BatchBounds:
        return bound_batch(
            self.ports.policy,
            self.limits,
            max_items=self.progress.max_items,
            tokens=self.tokens,
            is_forgetful=self.forgets_until_ms > self.taken.now_ms,
        )

    def _keep(self, taken: Taken, asked_at: float) -> None:
        self.taken, self._taken_at, self.looks = taken, asked_at, NO_LOOKS
        self.limits = taken.shared.limits
        # Never earlier: where the journal had no room for what canaries showed, this run knows it all the same.
        self.forgets_until_ms = max(self.forgets_until_ms, taken.shared.forgets_until_ms)

    def cut_batch(self, count: int) -> None:
        """Go on with the first ``count`` items of the batch."""
        if count < self.batch.count:
            self.taken = replace(self.taken, batch=self.batch.head(count))

    def put_back(self) -> None:
        """The batch is not sent now: take its mark off, unless an attempt before may have carried it."""
        batch = self.taken.batch
        if batch is not None and not batch.resent:
            self._change(lambda: self.journal.unmark(self.holder, batch))

    def settle_recorded(self) -> None:
        """Let a batch that history has leave the journal."""
        fields = {"app": self.journal.app, "lane": self.holder.keys.lane, "count": self.batch.count}
        log(logging.WARNING, "uncertain events are in history, taken for accepted", **fields)
        self._change(lambda: self.journal.settle(self.holder, self.batch, counter="settled_by_history"))

    def hold(self, retry_in_s: float) -> None:
        """Let the channel of the stuck item wait; the other channels flow on."""
        fields = {"app": self.journal.app, "lane": self.holder.keys.lane, **item_fields(self.batch.first_item)}
        log(logging.WARNING, "event is stuck in the server, its channel waits", **fields, retry_s=retry_in_s)
        self._change(lambda: self.journal.hold(self.holder, self.batch, retry_in_s=retry_in_s))
        self.ports.crash_point("held")

    def bury(self, letter: DeadLetterFields, *, keep: bool = True) -> None:
        """Let the first item leave as a dead letter, or only counted."""
        if self._change(lambda: self.journal.bury(self.holder, self.batch, letter, keep=keep)) and keep:
            self.letters.write(self.batch.first_item, letter, self.ports.control.monotonic())
        self.ports.crash_point("buried")

    def _change(self, change: Callable[[], None]) -> bool:
        """Make a change under the marker; ``False``: Redis has lost it in a failover, and the head is taken again."""
        try:
            change()
        except MarkerChanged:
            log(logging.INFO, "marker changed", app=self.journal.app, lane=self.holder.keys.lane)
            return False
        return True

    # -- the queue, the slot, the app ---------------------------------------------------------------

    def buy_tokens(self, count: int) -> None:
        """Let the rate limit grant more tokens, as many as there are."""
        assert self.journal.rate is not None
        assert self.tokens is not None
        grant = self.journal.rate.take(count)
        self.tokens += grant.tokens
        self.looks = self.looks._replace(token_wait_s=grant.wait_s)

    def watch(self) -> bool:
        """Wait at the empty queue; ``False``: no entry has come.

        The watch of a quiet lane may last for days: all log lines are written before it, and after it the run is as
        a new one.
        """
        control = self.ports.control
        if watch_queue(self.journal, self.holder, control):
            return True
        if not control.may_stay():
            return False
        self.letters.flush()
        self.journal.rest(self.holder)
        if not watch_quiet_queue(self.journal, self.holder, control):
            return False
        self.progress, self.trust, self.history = Progress(), NO_TRUST, HistoryAnswers(self.ports.history_lookup)
        self._slice_end = control.monotonic() + SLICE_S  # no other queue waited for the slot
        return True

    def ask_others(self) -> None:
        """Begin the next slice, and find out whether another queue waits for the slot."""
        self._slice_end = self.ports.control.monotonic() + SLICE_S
        self.looks = self.looks._replace(do_others_wait=self.ports.control.others_wait())

    def learn(self, learn: Learn) -> None:
        """Let the next batches of all workers respect the limit that the server has shown."""
        fields = {"app": self.journal.app, "refused_events": self.batch.count}
        log(logging.WARNING, "server takes smaller batches", **fields, max_events=learn.events, max_bytes=learn.bytes)
        self.journal.shared.learn(Limits(learn.events, learn.bytes))
        self.limits = self.journal.shared.view().limits

    def count(self, counter: str, number: int = 1) -> None:
        """Add to a counter of the lane."""
        self.journal.count(self.holder.keys.lane, counter, number)

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the worker stops."""
        if seconds:
            self.ports.control.sleep(seconds)

    def sleep_unless_stopping(self, seconds: float) -> bool:
        """Wait; returns whether the worker stops, which cuts the wait short."""
        self.ports.control.sleep(seconds)
        return self.ports.control.stopping()

    def hand_over(self) -> None:
        """Give the queue back with what it holds."""
        self.put_back()
        self.probe.give_back_right()
        self.journal.hand_over(self.holder)

"""The drain loop: one queue, from its head, until it is empty or has to wait.

``outcome`` says what an answer proves, ``decide`` what follows, ``window`` and ``uncertain`` what may
still be sent, the journal does it. What is decided here is only when: what is waited for, and when the
queue is given back. Everything it acts with comes as an argument.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from typing_extensions import assert_never

from ..canaries.ask import Asked
from ..errors import JournalUnavailable, JournalUnreadable
from ..journal.app.shared import Limits
from ..journal.app.shared import Pause as AppPause
from ..journal.batch import Batch
from ..journal.holder import DeadLetterFields, Holder, Journal, MarkerChanged, Taken
from ..journal.lease import LeaseLost
from ..journal.pack import Item, UnreadableEntry
from .control import Control
from .decide import Attempt, Bury, Hold, Learn, Pause, Progress, RetryHold, Settle, TryAgain, after_canary, decide
from .letter_log import LetterLog
from .memory_check import AskFresh, MemoryCheck
from .outcome import Finding, NoReply, Outcome, Reply, blamed, classify
from .probe import AskCanaries, Probe
from .uncertain import LeaveFirst, SendFirst, SettleFirst, fate, possible_copies
from .wellformed import fault_of
from .window import FORGETFUL_BATCH, Policy, Standing, standing

__all__ = ["DrainAgain", "Find", "Post", "drain"]

logger = logging.getLogger("sockudo_publisher.delivery")

#: Sends the body of a batch.
Post: TypeAlias = Callable[[bytes], Reply | NoReply]

#: Says of each item, first sent at that time (Redis', ms), whether the server has recorded it in history since;
#: ``False`` where nobody can tell.
Find: TypeAlias = Callable[[Sequence[Item], int], Sequence[bool]]

#: Seconds after which a drain looks whether another lane waits for its slot.
SLICE_S = 5.0

#: Seconds that a wait may last inside the task; a longer one gives the slot back.
WAIT_IN_PLACE_S = 2.0

#: Seconds an empty lane is watched before it is released; fewer where slots are scarce.
HOT_S = 10.0
SCARCE_HOT_S = 0.2

#: Seconds of one look at an empty lane: bounds how long a stop is not seen.
HOT_LOOK_S = 0.2

#: Seconds between two looks at a pause whose probe is another's.
PROBE_LOOK_S = 0.2


@dataclass(frozen=True)
class DrainAgain:
    """The queue has to be rung again after ``after_s``."""

    after_s: float


def drain(
    journal: Journal,
    lane: int,
    channel: str | None = None,
    *,
    post: Post,
    policy: Policy,
    control: Control,
    crash_point: Callable[[str], None],
    ask: AskCanaries | None = None,
    fresh: AskFresh | None = None,
    find: Find | None = None,
) -> DrainAgain | None:
    """Deliver a lane, or one held channel of it. ``None``: empty, or not ours; else when to ring it.

    ``ask``: goes first after a pause; ``fresh``: with ``ask`` before what may be out is sent again; ``find``: is
    asked about items of unknown fate. Without them nothing is known beyond the settings. Raises
    :class:`JournalUnavailable` when Redis fails; nothing has to be undone then.
    """
    view = journal.shared.view()
    pause = view.pause
    if pause and pause.left_ms(journal.now_ms()):
        return None  # who paused the app rings this lane or another; clearing the pause rings them all
    holder = journal.acquire(lane, channel)
    if holder is None:
        return None  # its holder sees our entries: release.lua
    progress = Progress.after_pauses(pause.reason, pause.count, policy.batch_max_events) if pause else Progress()
    if channel is not None:
        progress = replace(progress, most=1)  # a held queue starts with its stuck item, alone
    run = _Run(journal, holder, post, policy, control, crash_point, progress, view.limits, ask, fresh, find)
    run.forgets_until_ms = view.forgets_until_ms
    try:
        crash_point("leased")
        while True:
            try:
                return run.deliver()
            except UnreadableEntry as error:
                journal.quarantine(run.holder, error.entry_id)  # then from the head again, where it is no more
    except LeaseLost:
        logger.info("%r is lost: its new holder goes on", run.holder.lease)
        return None
    except JournalUnreadable:
        run.give_back()
        raise
    except JournalUnavailable:
        raise  # the lease runs out
    except Exception:
        run.give_back()
        raise
    finally:
        run.letters.flush()
        run.probe.end()
        journal.forget(run.holder)


class _Run:
    """One drain of one queue under one lease."""

    def __init__(
        self,
        journal: Journal,
        holder: Holder,
        post: Post,
        policy: Policy,
        control: Control,
        crash_point: Callable[[str], None],
        progress: Progress,
        limits: Limits,
        ask: AskCanaries | None,
        fresh: AskFresh | None,
        find: Find | None,
    ) -> None:
        self.journal = journal
        self.holder = holder
        self.post = post
        self.policy = policy
        self.control = control
        self.crash_point = crash_point
        self.progress = progress
        self.limits = limits
        self.probe = Probe(journal, policy, control, ask)
        self.letters = LetterLog(journal.app)
        self.memory = MemoryCheck(policy, control, ask, fresh)
        self.find = find
        self.blame = ""  # what an odd 200 said that an item of this search is to blame for
        self.forgets_until_ms = 0
        self.recorded: dict[Item, bool] = {}  # what history says of uncertain items, until they are sent
        self.ring: DrainAgain | None = None
        self.pause: AppPause | None = None  # as it was at the last take
        self.slice_end = control.monotonic() + SLICE_S
        self.taken_at = 0.0
        self.taken_ms = 0
        self.waited_s = 0.0
        self.tokens = 0  # of the rate limit: granted, not spent yet
        self.late = False

    def deliver(self) -> DrainAgain | None:
        """Take, send, decide, do: until the queue is empty or must wait."""
        taken = self.take()
        while (batch := self.sendable(taken)) is not None:
            if self.is_blamed(batch):
                taken = self.bury_blamed(batch)
                continue
            sent = self.send(batch)
            if sent is None:
                taken = self.take()
                continue
            finding, attempt = sent
            was_searching = self.progress.bad is not None
            step, self.progress = decide(finding, attempt, self.progress)
            self.memory.note_attempt(finding, attempt, step, self.now_ms(batch.now_ms))
            self.blame = finding.words if finding.culprit else self.blame if self.progress.bad else ""
            if self.progress.bad is not None and not was_searching:
                self.journal.count(self.holder.keys.lane, "searched")
            if self.late:
                self.count_copies(finding, attempt)
            if not isinstance(step, Pause):
                self.probe.answered()
            match step:
                case Settle():
                    taken = self.settle_and_take(batch)
                case TryAgain(wait_s):
                    taken = self.take(after_s=wait_s)
                case Hold(retry_in_s):
                    taken = self.hold_and_take(batch, retry_in_s)
                case RetryHold(wait_s):
                    self.retry_hold(wait_s)
                    return None
                case Bury() as bury:
                    taken = self.bury_and_take(batch, bury)
                case Learn() as learn:
                    taken = self.learn_and_take(batch, learn)
                case Pause() as pause:
                    taken = self.pause_and_take(batch, pause)
                case _:
                    assert_never(step)
        return self.ring

    def give_back(self) -> None:
        """End in an error: the queue is free at once. What is marked stays so: it may have been sent."""
        with suppress(JournalUnavailable, LeaseLost):
            self.journal.hand_over(self.holder)

    # -- before a request ---------------------------------------------------------------------------

    def take(self, *, after_s: float = 0.0) -> Taken:
        """The head of the queue, cut by settings, learned limits and the search."""
        if after_s:
            self.control.sleep(after_s)
        asked_at = self.control.monotonic()
        return self.noted(self.journal.take(self.holder, **self.bounds()), asked_at)

    def bounds(self) -> dict[str, int]:
        """The most that the next batch may hold."""
        items = min(self.policy.batch_max_events, self.limits.events or self.policy.batch_max_events)
        items = min(items, self.tokens or items)
        if self.policy.on_uncertain == "park" and self.forgets_until_ms > self.taken_ms:
            items = min(items, FORGETFUL_BATCH)
        return {
            "most_items": min(items, self.progress.most or items),
            "most_bytes": min(self.policy.batch_max_bytes, self.limits.bytes or self.policy.batch_max_bytes),
        }

    def noted(self, taken: Taken, asked_at: float) -> Taken:
        """Remember what came with a take: the time, and the limits for the next one.

        ``asked_at``: before it was asked, so that what delays the answer makes no batch younger than it is.
        """
        self.taken_at, self.taken_ms = asked_at, taken.now_ms
        self.pause = taken.shared.pause
        if taken.shared.limits != self.limits:
            self.limits = taken.shared.limits
        # Never earlier: what a canary told this run may not have found room in the journal.
        self.forgets_until_ms = max(self.forgets_until_ms, taken.shared.forgets_until_ms)
        return taken

    def now_ms(self, taken_ms: int) -> int:
        """Redis' time now, from the take's and our monotonic clock."""
        return taken_ms + int((self.control.monotonic() - self.taken_at) * 1000)

    def sendable(self, taken: Taken) -> Batch | None:
        """The next batch that may be sent; waits for one. ``None``: this run is over, the lease is given back."""
        while True:
            if self.must_yield():
                self.over(taken, DrainAgain(0.0))
                return None
            head, pause = taken.batch, taken.shared.pause
            wait_s = pause.left_ms(self.now_ms(taken.now_ms)) / 1000 if pause else 0.0
            if pause and wait_s <= 0 and not self.probe.is_ours and self.probe.begin(self.holder.lease, pause.count):
                taken = self.ask_first(taken, pause)
                continue
            if head is None:
                if taken.unknown_version is not None:
                    self.leave_to_newer(taken)
                    return None
                self.probe.nothing_to_send()
                if (pause or not self.entry_came()) and self.journal.release(self.holder):
                    return None
            elif pause and not self.probe.is_ours:
                wait_s = max(wait_s, PROBE_LOOK_S)
                # A countdown comes back to the worker that sent it: a long pause is left to everybody's sweep, or one
                # whose own key or way is wrong would be the only one to ask.
                rings = self.probe.paused_by_us and wait_s <= WAIT_IN_PLACE_S
                if not self.wait(taken, head, wait_s, DrainAgain(wait_s) if rings else None):
                    return None
            elif self.must_check_memory(taken, head):
                taken = self.check_memory(taken, head)
                continue
            else:
                batch = self.within_window(head)
                if batch is not None:
                    short_s = self.unpaid_for_s(batch)
                    if short_s is None:
                        self.waited_s = 0.0
                        return batch
                    if not self.wait(taken, batch, short_s, DrainAgain(short_s)):
                        return None
            taken = self.take()

    def wait(self, taken: Taken, batch: Batch, wait_s: float, ring: DrainAgain | None) -> bool:
        """Put the batch back and wait here; ``False``: too long for that, the queue is given back."""
        if self.waited_s + wait_s > WAIT_IN_PLACE_S:
            self.over(taken, ring)
            return False
        self.put_back(batch)
        if wait_s:
            self.waited_s += wait_s
            self.control.sleep(wait_s)
        return True

    def unpaid_for_s(self, batch: Batch) -> float | None:
        """Pay for a first send under the rate limit: ``None``, paid; else seconds until tokens come.

        0.0: there are some, and the next take is cut to them.
        """
        rate = self.journal.rate
        if rate is None or batch.resent:  # a resend was paid for when it was first sent
            return None
        if self.tokens < batch.count:
            grant = rate.take(batch.count - self.tokens)
            self.tokens += grant.tokens
            if self.tokens < batch.count:
                return 0.0 if self.tokens else grant.wait_s
        self.tokens -= batch.count
        return None

    def pay_back(self, batch: Batch) -> None:
        """A batch that was paid for is not sent now."""
        if self.journal.rate is not None and not batch.resent:
            self.tokens += batch.count

    def must_yield(self) -> bool:
        """Whether the worker stops, or the slice is over and another lane waits for a slot."""
        if self.control.stopping():
            return True
        if self.control.monotonic() < self.slice_end or self.progress.is_searching:
            return False  # a search given up half-way would begin again, and must end inside the window
        self.slice_end = self.control.monotonic() + SLICE_S
        return self.control.others_wait()

    def over(self, taken: Taken, ring: DrainAgain | None) -> None:
        """Give the lease back with entries left; ``ring`` says whether and when the caller rings."""
        if taken.batch is not None:
            self.put_back(taken.batch)
        self.probe.end()
        self.ring = ring
        self.journal.hand_over(self.holder)

    def put_back(self, batch: Batch) -> None:
        """A batch that was taken and is not sent now: unless sent before, nothing says it may have been."""
        if not batch.resent:
            try:
                self.journal.unmark(self.holder, batch)
            except MarkerChanged:
                logger.info("%r: the marker is not ours any more", self.holder.lease)

    def entry_came(self) -> bool:
        """Watch the empty queue for a while; a held queue is not watched."""
        if self.holder.channel is not None:
            return False
        hot_until = self.control.monotonic() + (SCARCE_HOT_S if self.control.slots_are_scarce() else HOT_S)
        while self.control.monotonic() < hot_until and not self.control.stopping():
            if self.journal.wait_for_entry(self.holder, HOT_LOOK_S):
                return True
        return False

    def leave_to_newer(self, taken: Taken) -> None:
        """The head was written by a newer release: leave it there, and say so."""
        logger.error(
            "lane %d of app %s: entry version %s is newer than this worker knows; left for a newer one",
            self.holder.keys.lane,
            self.journal.app,
            taken.unknown_version,
        )
        self.over(taken, None)

    def ask_first(self, taken: Taken, pause: AppPause) -> Taken:
        """We probe: canaries go first. The same take if the batch may follow, else the next one."""
        if not self.probe.asks_first or self.forgets_until_ms > self.now_ms(taken.now_ms):
            return taken  # nobody to ask; and what is forgotten need not be asked for
        batch = taken.batch
        if batch is not None:
            self.put_back(batch)  # a death while canaries are out must not leave it marked as sent
        asked = self.probe.ask(pause, batch.first_ms if batch is not None and batch.resent else None)
        if batch is not None and batch.resent and asked.finding.outcome is Outcome.ACCEPTED and not asked.forgotten:
            self.memory.note_old_canaries()
        return self.after_canaries(taken, asked)

    def after_canaries(self, taken: Taken, asked: Asked) -> Taken:
        """Canaries were sent in place of the batch: the app pauses, or the next take follows."""
        step, self.progress = after_canary(asked.finding, self.progress)
        if step is not None:
            self.probe.pause(step)
        elif asked.forgotten:
            # For all workers it is in the journal; for us it holds from now on.
            self.forgets_until_ms = self.now_ms(taken.now_ms) + int(self.policy.window_s * 1000)
        return self.take()

    def must_check_memory(self, taken: Taken, head: Batch) -> bool:
        """Whether canaries have to be asked before this batch may be sent (again)."""
        now_ms = self.now_ms(taken.now_ms)
        return self.forgets_until_ms <= now_ms and self.memory.is_due(
            head, now_ms, taken.shared.checked_ms, is_searching=self.progress.is_searching
        )

    def check_memory(self, taken: Taken, head: Batch) -> Taken:
        """The batch may be out: whether the server remembers it is asked first. The next take."""
        logger.info("app %s: asking whether ids are remembered count=%d", self.journal.app, head.count)
        return self.after_canaries(taken, self.memory.ask(head, self.now_ms(taken.now_ms)))

    def within_window(self, batch: Batch) -> Batch | None:
        """What of a batch may be sent under the policy; ``None``: its first items left instead, take again."""
        now_ms = self.now_ms(batch.now_ms)
        remembers = self.forgets_until_ms <= now_ms
        state = standing(
            resent=batch.resent, first_ms=batch.first_ms, now_ms=now_ms, policy=self.policy, remembers=remembers
        )
        self.late = state is Standing.LATE
        if state is Standing.SAFE:
            return batch
        items = list(batch.items())
        expires_ms = [item.expires_ms for item in items]
        step = fate(
            expires_ms,
            self.found(items, batch.first_ms),
            state=state,
            now_ms=now_ms,
            policy=self.policy,
            remembers=remembers,
        )
        match step:
            case SendFirst(count):
                return batch.head(count)
            case SettleFirst(count):
                self.settle_recorded(batch.head(count))
            case LeaveFirst(reason, words, keep):
                attempts = max(1, self.progress.attempts)  # earlier runs', which are not counted, made the first
                letter = DeadLetterFields(reason, words, attempts, batch.first_ms, maybe_delivered=True)
                self.bury(batch, letter, keep=keep)
            case _:
                assert_never(step)
        self.progress = self.progress.after_head()
        return None

    def found(self, items: Sequence[Item], first_ms: int) -> list[bool]:
        """Of each uncertain item, whether history has it; asked once, until it is sent again."""
        if self.find is None:
            return [False] * len(items)
        unasked = [item for item in items if item not in self.recorded]
        if unasked:
            self.recorded.update(zip(unasked, self.find(unasked, first_ms), strict=True))
        return [self.recorded[item] for item in items]

    def settle_recorded(self, batch: Batch) -> None:
        """Items that history has leave the journal, counted apart."""
        logger.warning("app %s: %d uncertain events are in history, taken for accepted", self.journal.app, batch.count)
        try:
            self.journal.settle(self.holder, batch, counter="settled_by_history")
        except MarkerChanged:
            logger.info("%r: the marker is not ours any more", self.holder.lease)

    # -- the request --------------------------------------------------------------------------------

    def send(self, batch: Batch) -> tuple[Finding, Attempt] | None:
        """POST a batch, while the lease surely lasts.

        ``None``: not sent, since what was looked at before is old by now (the lease had to be renewed) or
        another one probes: take again.
        """
        self.crash_point("taken")
        body = batch.body
        if (self.pause and not self.probe.keep()) or not self.holder.lease.ensure_fresh():
            self.put_back(batch)
            self.pay_back(batch)
            return None
        for item in batch.items() if self.recorded else ():
            self.recorded.pop(item, None)
        result = self.post(body)
        self.crash_point("posted")
        age_s = (self.now_ms(batch.now_ms) - batch.first_ms) / 1000
        # The window may end during the request: the server looks at an id when it comes to the item.
        self.late = self.late or (batch.resent and age_s > self.policy.window_s)
        attempt = Attempt(batch.count, len(body), batch.resent, self.holder.channel is not None, age_s)
        finding = classify(result, batch.count)
        if isinstance(result, Reply) and result.status == 200 and finding.outcome is not Outcome.ACCEPTED:
            finding = blamed(finding, result, [fault_of(item) for item in batch.items()])
        return finding, attempt

    # -- after it -----------------------------------------------------------------------------------

    def count_copies(self, finding: Finding, attempt: Attempt) -> None:
        """Count what a late batch may have repeated that was not accepted; settle counts an accepted one."""
        copies = possible_copies(finding, attempt)
        if copies:
            self.journal.count(self.holder.keys.lane, "resent_after_window", copies)

    def settle_and_take(self, batch: Batch) -> Taken:
        """The batch leaves the journal, the next one is taken."""
        try:
            asked_at = self.control.monotonic()
            settled = self.journal.settle_and_take(self.holder, batch, late=self.late, **self.bounds())
            taken = self.noted(settled, asked_at)
        except LeaseLost:
            # With the server's 200 in hand the lease may be taken again, if nobody has it: settling now
            # spares a resend.
            if not self.lease_again():
                raise
            self.settle_again(batch)
            taken = self.take()
        except MarkerChanged:
            taken = self.take()
        self.crash_point("settled")
        return taken

    def lease_again(self) -> bool:
        """Take the lost lease again, if it is free; as a new holder, who knows what a successor has held."""
        again = self.journal.acquire(self.holder.keys.lane, self.holder.channel)
        if again is None:
            return False
        self.journal.forget(self.holder)
        self.holder = again
        return True

    def settle_again(self, batch: Batch) -> None:
        """Settle under a new lease, if the marker is still the one that we sent under."""
        try:
            self.journal.settle(self.holder, batch, late=self.late)
        except MarkerChanged:
            self.progress = Progress()  # a successor has moved the head: what we know of it is old

    def hold_and_take(self, batch: Batch, retry_in_s: float) -> Taken:
        """The stuck item's channel waits; the others flow on."""
        logger.warning(
            "app %s lane %d: an item of channel %s is stuck in the server (a request was cut); its channel waits",
            self.journal.app,
            self.holder.keys.lane,
            batch.first_item.channel,
        )
        try:
            self.journal.hold(self.holder, batch, retry_in_s=retry_in_s)
        except MarkerChanged:
            logger.info("%r: the marker is not ours any more", self.holder.lease)
        self.crash_point("held")
        return self.take()

    def retry_hold(self, wait_s: float) -> None:
        """The held item is still stuck: the sweep rings when it is due, its slot is free meanwhile."""
        self.journal.retry_hold_in(self.holder, wait_s)
        self.journal.hand_over(self.holder)

    def bury_and_take(self, batch: Batch, bury: Bury) -> Taken:
        """The culprit becomes a dead letter; its neighbours go through."""
        letter = DeadLetterFields(bury.reason, bury.words, bury.attempts, batch.first_ms, bury.maybe_delivered)
        self.bury(batch, letter)
        self.crash_point("buried")
        return self.take()

    def is_blamed(self, batch: Batch) -> bool:
        """Whether the search has come to the item that an odd 200 was blamed on."""
        return bool(self.blame) and self.progress.bad == 1 and batch.resent and bool(fault_of(batch.first_item))

    def bury_blamed(self, batch: Batch) -> Taken:
        """It is not sent again: it may be out, and where it has no id the server would publish it again."""
        bury = Bury("unreadable", self.blame, maybe_delivered=True, attempts=self.progress.attempts)
        self.progress, self.blame = self.progress.after_culprit(), ""
        return self.bury_and_take(batch, bury)

    def bury(self, batch: Batch, letter: DeadLetterFields, *, keep: bool = True) -> None:
        """The first item leaves; if Redis lost the mark, it is taken and asked about again."""
        try:
            self.journal.bury(self.holder, batch, letter, keep=keep)
        except MarkerChanged:
            logger.info("%r: the marker is not ours any more", self.holder.lease)
            return
        if keep:
            self.letters.write(batch.first_item, letter, self.control.monotonic())

    def learn_and_take(self, batch: Batch, learn: Learn) -> Taken:
        """The next batches, of all workers, respect what the server has shown."""
        logger.warning(
            "app %s: the server takes no batch of %d items; at most %s events, %s bytes from now on",
            self.journal.app,
            batch.count,
            learn.events or "-",
            learn.bytes or "-",
        )
        if learn.unmark:  # first, as with a pause
            self.put_back(batch)
        self.journal.shared.learn(Limits(learn.events, learn.bytes))
        self.limits = self.journal.shared.view().limits
        return self.take()

    def pause_and_take(self, batch: Batch, pause: Pause) -> Taken:
        """All workers of the app wait; then one asks."""
        if pause.unmark:  # first: a death in between must not leave what was never sent marked as sent
            self.put_back(batch)
        self.probe.pause(pause)
        return self.take()

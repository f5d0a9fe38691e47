"""Each machine of ``journal/protocol.py`` as a world: how it begins, and how each of its operations is made."""

from __future__ import annotations

from contextlib import suppress

from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.dead_letters import DeadBounds, Letter
from sockudo_publisher.journal.holder import DeadLetterFields, Holder
from sockudo_publisher.journal.keys import bucket_of
from sockudo_publisher.journal.layout.layout import Layout, Span
from sockudo_publisher.journal.lease import TTL_MS, LeaseLost
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.redis.scripts import Answer
from sockudo_publisher.journal.schedule.book import ScheduleBook
from sockudo_publisher.journal.schedule.due import DueEvents
from sockudo_publisher.journal.schedule.outcomes import BucketReport, ClaimResult
from sockudo_publisher.journal.schedule.writer import Schedule
from tests.integration.journal.one_lane import FUTURE
from tests.integration.journal.protocol_world import CHANNEL, KEY, LONG_S, SCHEDULED, ProtocolWorld, StoppedError


class LeaseWorld(ProtocolWorld):
    """Free, after our lease has run out: we still have its token and a marked batch."""

    def begin(self) -> None:
        self.lane.append(b"1", b"2", b"3")
        self.acquire()
        self.take_up_to(2)
        self.expire()

    def acquire_by_another_worker(self) -> None:
        with self.another_journal() as other:
            holder = other.acquire(0)
            if holder is not None:
                other.forget(holder)

    def _mark(self) -> None:
        with suppress(LeaseLost):
            self.take_up_to(2)

    def renew(self) -> None:
        self.own().lease.renew()

    def take(self) -> None:
        self.take_up_to(2)

    def settle(self) -> None:
        self._mark()
        self.journal.settle(self.own(), self.last_batch())

    def unmark(self) -> None:
        self._mark()
        self.journal.unmark(self.own(), self.last_batch())

    def hold(self) -> None:
        self._mark()
        self.journal.hold(self.own(), self.last_batch(), retry_in_s=LONG_S)

    def bury(self) -> None:
        self._mark()
        self.journal.bury(self.own(), self.last_batch(), DeadLetterFields("refused"))

    def mend(self) -> None:
        keys = (self.keys.stream, self.keys.state, self.keys.lease, self.keys.counts)
        self.link.script("mend", keys, (self.token, TTL_MS, 2))

    def quarantine(self) -> None:
        self.journal.quarantine(self.own(), self.client.xrange(self.keys.stream)[0][0])

    def release_queue_with_entries(self) -> None:
        self.journal.release(self.own())

    def release_empty_queue(self) -> None:
        with suppress(LeaseLost):
            self.drain()
        self.journal.release(self.own())

    def release_hand_over(self) -> None:
        self.journal.hand_over(self.own())

    def _6_s_without_renew(self) -> None:
        self.expire()


class MarkerWorld(LeaseWorld):
    """Empty, under our lease: we still have the batch that we have settled."""

    def begin(self) -> None:
        self.lane.append(b"0")
        self.acquire()
        self.drain()
        self.journal._repair = self._stop  # type: ignore[method-assign]

    def _stop(self, *_args: object) -> None:
        raise StoppedError

    def append(self) -> None:
        self.lane.append(b"1", b"2", b"3")

    def take_unreadable_marker(self) -> None:
        self.take_up_to(2)

    def unmark(self) -> None:
        self.journal.unmark(self.own(), self.last_batch())

    def settle_a_part(self) -> None:
        self.journal.settle(self.own(), self.last_batch().head(1))

    def settle_all_that_is_marked(self) -> None:
        self.journal.settle(self.own(), self.last_batch())

    def settle_all_that_the_queue_has(self) -> None:
        if self.seen().state_marker == self.last_batch().marker.decode():
            self.unmark()
            self.take_up_to(100)
        self.journal.settle(self.own(), self.last_batch())

    def hold(self) -> None:
        self.journal.hold(self.own(), self.last_batch(), retry_in_s=LONG_S)

    def bury(self) -> None:
        self.journal.bury(self.own(), self.last_batch(), DeadLetterFields("refused"))

    def damage(self) -> None:
        self.client.hset(self.keys.state, "marker", "no marker")


class WakeUpWorld(LeaseWorld):
    """Idle, after we have given a lease back whose token we still have."""

    def begin(self) -> None:
        self.acquire()
        self.journal.hand_over(self.own())

    def append(self) -> None:
        self.lane.append(b"1")

    def sweep(self) -> None:
        self.journal.sweep([0])

    def release_hand_over_with_entries(self) -> None:
        self.journal.hand_over(self.own())

    def _6_s_without_renew_entries(self) -> None:
        self.expire()

    def _6_s_without_renew_no_entry(self) -> None:
        self.drain()
        self.expire()


class HoldWorld(ProtocolWorld):
    """Flowing, after a hold that is over, whose token and batch we still have. The lane is ours."""

    def begin(self) -> None:
        self.acquire()
        self.hold_holder: Holder | None = None
        self.hold()
        self.acquire_hold()
        self.settle_all_that_the_hold_has()
        self.journal.release(self.own_hold())
        self.lane.append(b"1", b"2", b"3", channel=CHANNEL)

    def own_hold(self) -> Holder:
        assert self.hold_holder is not None
        return self.hold_holder

    def acquire_hold(self) -> None:
        holder = self.journal.acquire(0, CHANNEL)
        if holder is not None:
            self.lane._holders.append(holder)
            self.hold_holder = holder

    def do(self, operation: str) -> set[Answer]:
        if operation != "acquire":
            return super().do(operation)
        self.recorder.answers.clear()
        with self.recorder.recording():
            self.acquire_hold()
        return {answer for _, answer in self.recorder.answers}

    def hold(self) -> None:
        if not self.client.xlen(self.keys.stream):
            self.lane.append(b"0", channel=CHANNEL)
        self.journal.hold(self.own(), self.lane.take(self.own(), 1), retry_in_s=LONG_S)

    def take_of_the_lane(self) -> None:
        assert self.lane.taken(self.own()).batch is None, "all later items of the channel go to its hold"

    def time_passes(self) -> None:
        self.client.zadd(self.keys.holds, {CHANNEL: 1})

    def sweep(self) -> None:
        self.journal.sweep([0])

    def postpone(self) -> None:
        self.journal.retry_hold_in(self.own_hold(), LONG_S / 2)

    def settle_a_part(self) -> None:
        with suppress(LeaseLost):
            taken = self.lane.taken(self.own_hold())
            if taken.batch is not None:
                self.take_of_the_lane()
                self.batch = taken.batch
        self.journal.settle(self.own_hold(), self.last_batch())

    def settle_all_that_the_hold_has(self) -> None:
        with suppress(LeaseLost):
            while (batch := self.lane.taken(self.own_hold()).batch) is not None:
                self.batch = batch
                self.journal.settle(self.own_hold(), batch)
            return
        self.journal.settle(self.own_hold(), self.last_batch())

    def release_hand_over(self) -> None:
        self.journal.hand_over(self.own_hold())

    def _6_s_without_renew(self) -> None:
        self.client.delete(self.hold_keys.lease)

    def fail(self) -> None:
        self.journal.record_failure(0, CHANNEL, ValueError())


class LanesWorld(ProtocolWorld):
    """One lane is to become two."""

    def begin(self) -> None:
        self.steady = Layout(Span(0, 1))
        self.closing = self.steady.flipped(2)
        self.draining = self.closing.closed(self.journal.now_ms())

    def _relayout(self, before: Layout, after: Layout) -> None:
        self.link.script("relayout", (self.app_keys.lanes,), (before.text(), after.text()))

    def relayout_begin(self) -> None:
        self._relayout(self.steady, self.closing)

    def relayout_old_lanes_closed(self) -> None:
        self._relayout(self.closing, self.draining)

    def relayout_old_lanes_empty(self) -> None:
        self._relayout(self.draining, self.draining.drained())

    def _mark(self, lane: int, mark: str) -> None:
        self.link.script("mark", (self.link.keyspace.lane(self.lane.app, lane).state,), (mark,))

    def mark_old_lanes_closed_new_lanes_open(self) -> None:
        self._mark(0, "closed")
        self._mark(1, "open")
        self._mark(2, "open")

    def mark_old_lanes_open(self) -> None:
        self._mark(0, "open")

    def _schedule(self, lane: int, needs_mark: str) -> None:
        space = self.link.keyspace
        keys = (space.ledger(self.lane.app, lane, CHANNEL, KEY), space.lane(self.lane.app, lane).state)
        self.link.script("schedule_once", keys, ("f", 60_000, "0", needs_mark, "", 0))

    def schedule_once_old_lane(self) -> None:
        self._schedule(0, "0")

    def schedule_once_new_lane(self) -> None:
        self._schedule(1, "1")


class PauseWorld(ProtocolWorld):
    """An app without a pause; our token is ``me``."""

    def begin(self) -> None:
        self.token = "me"
        self.count = 0

    def pause(self) -> None:
        self.journal.shared.pause("away", LONG_S / 2)

    def time_passes(self) -> None:
        self.client.hset(self.app_keys.pause, "until", 1)

    def take_right(self) -> None:
        pause = self.journal.shared.view().pause
        self.count = pause.count if pause else 0
        self.journal.shared.try_probe("me")

    def take_right_by_another_worker(self) -> None:
        self.journal.shared.try_probe("another")

    def renew(self) -> None:
        self.link.script("renew", (self.app_keys.probe,), ("me", TTL_MS))

    def drop_right(self) -> None:
        self.journal.shared.end_probe("me")

    def _6_s_without_renew(self) -> None:
        self.client.delete(self.app_keys.probe)

    def resume(self) -> None:
        self.journal.shared.resume("me", self.count)

    def operator_resume(self) -> None:
        OperatorRecords(self.link, self.lane.app).resume("ana@host")


class OperatorPauseWorld(ProtocolWorld):
    """An app without a pause."""

    def operator_pause(self) -> None:
        OperatorRecords(self.link, self.lane.app).pause("maintenance", "ana@host")

    def operator_resume(self) -> None:
        OperatorRecords(self.link, self.lane.app).resume("ana@host")

    def pause_the_server_is_away(self) -> None:
        self.journal.shared.pause("away", 0.0)

    def resume_the_server_answers(self) -> None:
        count = self.journal.shared.pause("away", 0.0)
        assert self.journal.shared.try_probe("me")
        assert self.journal.shared.resume("me", count)


class DeadWorld(ProtocolWorld):
    """An event in its lane, which is ours; it was dead before and replayed, and we still have that letter."""

    def begin(self) -> None:
        self.lane.append(b"1")
        self.acquire()
        self.letter: Letter | None = None
        self.entry = b""
        self.bury()
        self.replay()

    def _look(self) -> None:
        self.letter = next(iter(self.lane.dead.oldest(1)), self.letter)
        self.entry = next((entry for entry, _ in self.client.xrange(self.keys.stream)), self.entry)

    def bury(self) -> None:
        if self.client.xlen(self.keys.stream):
            self.take_up_to(1)
        self.journal.bury(self.own(), self.last_batch(), DeadLetterFields("refused"))

    def quarantine(self) -> None:
        self._look()
        self.journal.quarantine(self.own(), self.entry)

    def replay(self) -> None:
        self._look()
        assert self.letter is not None
        self.lane.dead.replay(self.letter, self.letter.item)
        self._look()

    def purge(self) -> None:
        self._look()
        assert self.letter is not None
        self.lane.dead.purge([(0, self.letter.entry_id)])

    def trim_beyond_a_limit(self) -> None:
        if self.client.xlen(self.keys.dead):
            while self.journal.now_ms() <= self.lane.dead.oldest(1)[0].dead_ms + 1:  # its age is more than 1 ms
                pass
        with self.another_journal(dead=DeadBounds(age_ms=1)) as other:
            other.trim_dead([0])


class KeyWorld(ProtocolWorld):
    """A key that was never used."""

    def _schedule(self, fingerprint: str) -> None:
        keys = (self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY), self.keys.state)
        self.link.script("schedule_once", keys, (fingerprint, 60_000, "0", "0", "", 0))

    def schedule_once(self) -> None:
        self._schedule("f")

    def schedule_once_another_payload(self) -> None:
        self._schedule("g")

    def append_once(self) -> None:
        self.lane.append_once((KEY, b"1"), channel=CHANNEL)

    def append_once_another_payload(self) -> None:
        self.lane.append_once((KEY, b"2"), channel=CHANNEL, fingerprint="g")

    def free_key(self) -> None:
        self.link.script("free_key", (self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY),), ("f",))

    def sockudo_key_ttl_passes(self) -> None:
        self.client.delete(self.link.keyspace.ledger(self.lane.app, 0, CHANNEL, KEY))


class ScheduleWorld(ProtocolWorld):
    """A bucket without events; our token is ``me``."""

    def begin(self) -> None:
        self.token = "me"
        self.writer = Schedule(self.lane.producer, max_events=0)
        self.due = DueEvents(self.link, self.lane.app)
        self.book = ScheduleBook(self.link, self.lane.app, lanes=1, key_ttl_ms=60_000)
        self.bucket = bucket_of(CHANNEL)

    def _schedule(self, fingerprint: str) -> None:
        self.writer.add([KeyedItem(Item(CHANNEL, b"1"), KEY, fingerprint)], FUTURE)

    def schedule(self) -> None:
        self._schedule("f")

    def schedule_another_payload(self) -> None:
        self._schedule("g")

    def time_passes(self) -> None:
        self.client.zadd(self.bucket_keys.times, {SCHEDULED: 1})

    def _due(self, owner: str, *outcomes: ClaimResult) -> None:
        report = BucketReport([(outcome, SCHEDULED) for outcome in outcomes], claims=not outcomes)
        self.due.claim(owner, {self.bucket: report})

    def due_claim(self) -> None:
        self._due("me")

    def due_claim_by_another_worker(self) -> None:
        self._due("another")

    def due_stored(self) -> None:
        self._due("me", ClaimResult.STORED)

    def due_waits(self) -> None:
        self._due("me", ClaimResult.WAITS)

    def due_parked(self) -> None:
        self._due("me", ClaimResult.PARKED)

    def cancel(self) -> None:
        keys = self.bucket_keys
        named = (keys.times, keys.items, keys.claimed, keys.cancelled(KEY))
        self.link.script("cancel", named, (KEY, 60_000))

    def _8_s_without_a_report(self) -> None:
        self.client.delete(self.bucket_keys.lease)


WORLDS: dict[str, type[ProtocolWorld]] = {
    "lease": LeaseWorld,
    "marker": MarkerWorld,
    "wake-up": WakeUpWorld,
    "hold": HoldWorld,
    "lanes": LanesWorld,
    "pause": PauseWorld,
    "operator-pause": OperatorPauseWorld,
    "dead": DeadWorld,
    "key": KeyWorld,
    "schedule": ScheduleWorld,
}

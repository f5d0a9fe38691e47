"""A walk through every script of the journal, with what has to come of it. For tests of what lies below."""

from __future__ import annotations

from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.canaries.values import Canary, CanaryAnswer, MemoryReport
from sockudo_publisher.errors import IdempotencyConflict
from sockudo_publisher.journal.app.operator import OperatorPause, OperatorRecords, Resumed
from sockudo_publisher.journal.app.rate import Rate
from sockudo_publisher.journal.app.shared import Limits
from sockudo_publisher.journal.app.workers import Target, WorkerRegistry
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.keys import bucket_of
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.redis.scripts import Answer
from sockudo_publisher.journal.schedule.book import ScheduleBook
from sockudo_publisher.journal.schedule.due import DueEvents
from sockudo_publisher.journal.schedule.outcomes import BucketReport, ClaimResult, due_buckets
from sockudo_publisher.journal.schedule.writer import Schedule
from sockudo_publisher.journal.status import journal_status
from tests.integration.journal.one_lane import FUTURE, PAST, OneLane, bodies_of

ODD = '#server-to-user-"q\\{é}:% \u2028'


def walk(lane: OneLane) -> None:
    """Append, drain, hold, bury, replay, pause, learn and change the number of lanes; every answer is looked at."""
    produce(lane)
    drain(lane)
    hold(lane)
    replay(lane)
    spoil(lane)
    share(lane)
    remember(lane)
    announce(lane)
    schedule(lane)
    change_lanes(lane)


def produce(lane: OneLane) -> None:
    assert lane.append_to(("a", b"1"), (ODD, b"22"), ("a", b"333")).ring == (0,)
    assert lane.append(b"4", channel="a", expires_ms=PAST).ring == ()
    assert lane.schedule_once("k", channel=ODD)
    items = [KeyedItem(Item(ODD, b"55555", FUTURE), "k", "f"), KeyedItem(Item("a", b"6"), "k", "f")]
    assert lane.producer.append(items).count == 2
    assert lane.producer.append(items).already_stored == [0, 1]
    done = lane.append_once(("k", b"7"), channel="a", fingerprint="another")
    assert isinstance(done.failure, IdempotencyConflict)
    assert lane.journal.has_waiting_lane([0])
    assert lane.journal.lanes_with_entries([0]) == [0]
    assert lane.journal.sweep([0]) == ([0], [])
    [shown] = journal_status(lane.journal.link, lane.app, [0]).lanes
    assert (shown.depth, shown.held, shown.dead, shown.leased, shown.armed) == (6, 0, 0, False, True)
    assert shown.oldest_age_s is not None


def drain(lane: OneLane) -> None:
    holder = lane.acquire()
    batch = lane.take(holder, max_items=2)
    lane.journal.unmark(holder, batch)
    batch = lane.take(holder, max_items=3)
    assert batch.body == b'{"batch":[1,22,333]}'
    lane.journal.settle(holder, batch.head(1))
    lane.journal.hold(holder, lane.take(holder), retry_in_s=1000)
    taken = lane.journal.settle_and_take(holder, lane.take(holder), max_items=9, max_bytes=999)
    assert bodies_of(taken.batch) == [b"6"], "4 has expired, 55555 is held"
    lane.journal.bury(holder, taken.batch, DeadLetterFields("refused", "words", 1, 17, maybe_delivered=True))
    assert not lane.journal.wait_for_entry(holder, 0.01)
    holder.lease.renew()
    assert lane.journal.release(holder)
    lane.journal.count(0, "searched", 2)
    seen = journal_status(lane.journal.link, lane.app, [0])
    assert seen.counters == {"settled": 2, "stuck": 1, "expired": 1, "refused": 1, "searched": 2}
    [shown] = seen.lanes
    assert (shown.depth, shown.held, shown.dead, shown.leased, shown.armed) == (0, 2, 1, False, False)
    assert shown.oldest_age_s is not None


def hold(lane: OneLane) -> None:
    own = lane.acquire(ODD)
    batch = lane.take(own)
    assert (bodies_of(batch), batch.resent) == ([b"22"], True)
    lane.journal.retry_hold_in(own, 0.0)
    lane.journal.hand_over(own)
    assert lane.journal.sweep([0]) == ([], [(0, ODD)])
    assert lane.drain(ODD) == [b"22", b"55555"]
    assert lane.now.holds == {}


def replay(lane: OneLane) -> None:
    [letter] = lane.dead.oldest(10)
    assert (letter.channel, letter.item, letter.reason, letter.message) == ("a", b"6", "refused", "words")
    assert lane.dead.find(0, letter.entry_id) == letter
    assert lane.dead.replay(letter, letter.item) is Answer.RING
    assert lane.dead.replay(letter, letter.item) is Answer.EMPTY
    assert lane.drain() == [b"6"]
    assert lane.dead.purge_all() == 0
    lane.append(b"7")
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
    lane.journal.hand_over(holder)
    assert lane.journal.trim_dead([0])
    [letter] = lane.dead.oldest(10)
    assert lane.dead.purge([(0, letter.entry_id)]) == 1


def spoil(lane: OneLane) -> None:
    lane.client.xadd(f"{lane.base}:stream", {"v": "1", "n": "many", "b": "x"})
    lane.client.hset(f"{lane.base}:state", "marker", "no marker")
    lane.journal.record_failure(0, None, ValueError("of no use"))
    [shown] = journal_status(lane.journal.link, lane.app, [0]).lanes
    assert (shown.failures, shown.failure, shown.unreadable) == (1, "ValueError", ())
    holder = lane.acquire()
    assert lane.taken(holder).batch is None
    assert lane.journal.release(holder)
    [letter] = lane.dead.oldest(10)
    assert (letter.reason, letter.item) == ("unreadable", b"1:v,1:1,1:n,4:many,1:b,1:x,")
    assert letter.maybe_delivered, "an unreadable marker covers it"
    assert lane.dead.purge([(0, letter.entry_id)]) == 1
    [shown] = journal_status(lane.journal.link, lane.app, [0]).lanes
    assert (shown.depth, shown.failures) == (0, 0)


def share(lane: OneLane) -> None:
    shared = lane.journal.shared
    assert shared.pause("away", 0.0, "words é") == 1
    assert shared.pause("away", 1.0, "words é") == 2
    pause = shared.view().pause
    assert pause is not None
    assert (pause.reason, pause.message, pause.count) == ("away", "words é", 2)
    assert pause.until_ms >= pause.since_ms + 1000
    assert shared.try_probe("me")
    assert not shared.try_probe("another")
    shared.end_probe("me")
    assert shared.try_probe("another")
    assert shared.resume("another", 2)
    operators = OperatorRecords(lane.journal.link, lane.app)
    assert operators.resume("ana@host") == Resumed()
    paused, before = operators.pause("deploy é", "ana@host")
    assert (before, shared.view().operator_pause) == ("", paused)
    assert operators.pause("again", "bob@host")[1] == "deploy é"
    again = shared.view().operator_pause
    assert again == OperatorPause("again", "bob@host", paused.since_ms)
    assert shared.pause("away", 0.0) == 1
    assert operators.resume("ana@host") == Resumed(operator=True, trouble=True)
    id = operators.record(action="purge", by="bob@host", what="all é")
    newest = operators.newest(10)
    assert [one.fields["action"] for one in newest] == ["purge", "resume", "pause", "pause"]
    assert (newest[0].id, newest[0].fields["what"], newest[1].fields["what"]) == (id, "all é", "again")
    assert shared.view().pause is None
    shared.learn(Limits(events=20, bytes=3000))
    shared.learn(Limits(events=30, bytes=2000))
    assert shared.view().limits == Limits(events=20, bytes=2000)
    assert Rate(lane.journal.link, lane.app, 10.0).take(4).tokens == 4


def remember(lane: OneLane) -> None:
    memory = DedupMemory(lane.journal.link, lane.app)
    assert memory.take_right("me", 1000)
    assert not memory.take_right("another", 1000)
    memory.drop_right("me")
    assert memory.take_right("another", 1000)
    one = Canary("id", 1, 2)
    memory.record_planted([one])
    assert memory.canaries() == (one,)
    assert memory.claim([one]) == [one]
    answer = CanaryAnswer("id", 3, remembered=True, asked_ms=4)
    memory.record_answers([answer])
    assert memory.answers(0) == [answer]
    memory.record_report(MemoryReport("remembers", at_ms=5))
    assert memory.report().verdict == "remembers"
    assert (memory.beat([0]).number, memory.beat([0]).number) == (1, 2)


def announce(lane: OneLane) -> None:
    registry = WorkerRegistry(lane.journal.link, lane.app)
    target = Target("id é", "host:1")
    assert registry.announce("first", "one@host", target) == registry.alive()
    assert [worker.owner for worker in registry.announce("second", "two@host", target)] == ["first", "second"]
    registry.leave("first")
    [left] = registry.alive()
    assert (left.owner, left.node, left.target) == ("second", "two@host", target)


def schedule(lane: OneLane) -> None:
    writer = Schedule(lane.producer, max_events=100)
    due, book = (
        DueEvents(lane.journal.link, lane.app),
        ScheduleBook(lane.journal.link, lane.app, lanes=1, key_ttl_ms=60_000),
    )
    items = [KeyedItem(Item(channel, b"8"), "id é", "f") for channel in (ODD, "a")]
    assert lane.producer.remember_keys(items, due_ms=PAST, kept_ms=90_000) == items
    assert writer.add(items, PAST).count == 2
    conflict = writer.add([items[0]._replace(fingerprint="g")], PAST)
    assert isinstance(conflict.failure, IdempotencyConflict)
    [first, second] = book.events()
    assert {first.item, second.item} == {items[0].item, items[1].item}
    assert due.take_right("me")
    buckets = due_buckets(due.heads())
    claims = due.claim("me", {bucket: BucketReport() for bucket in buckets})
    assert {event.keyed_item for here in claims.events.values() for event in here} == set(items)
    assert due.claim("another", {bucket: BucketReport() for bucket in buckets}).busy == set(buckets)
    assert set(book.cancel("id é").late) == {ODD, "a"}
    own, odd = bucket_of("a"), bucket_of(ODD)
    reports = {
        own: BucketReport([(ClaimResult.STORED, claims.events[own][0].name)], claims=False),
        odd: BucketReport([(ClaimResult.WAITS, claims.events[odd][0].name)], claims=False),
    }
    assert due.claim("me", reports).failures == {}
    assert book.cancel("id é").taken == (ODD,)
    assert book.cancel("id é").before == (ODD,)
    assert book.is_cancelled("id é")
    assert book.summary().count == 0
    due.drop_right("me")


def change_lanes(lane: OneLane) -> None:
    journal = Journal(lane.url, lane.app, lanes=2)
    assert journal.ask_for_lanes()
    assert journal.advance_layout() == (0, 1, 2)
    assert journal.lanes() == (0, 1, 2)

"""The schedule in Redis: order, bound, claims and leases, cancellation, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict, JournalUnreadable
from sockudo_publisher.journal.holder import Journal
from sockudo_publisher.journal.keys import bucket_of
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.schedule.due import LEASE_MS, MAX_CLAIMED, MAX_CLAIMED_BYTES
from sockudo_publisher.journal.schedule.outcomes import ClaimResult
from tests.integration.journal.one_schedule import FUTURE, PAST, OneSchedule

pytestmark = pytest.mark.integration

STORED, WAITS, PARKED = ClaimResult.STORED, ClaimResult.WAITS, ClaimResult.PARKED


@pytest.fixture
def make_schedule(redis_url: str) -> Iterator[Callable[..., OneSchedule]]:
    made: list[OneSchedule] = []

    def make(**options: object) -> OneSchedule:
        made.append(OneSchedule(redis_url, **options))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


@pytest.fixture
def one(make_schedule: Callable[..., OneSchedule]) -> OneSchedule:
    return make_schedule()


class TestSchedule:
    def test_is_listed_by_due_time_over_all_channels(self, one: OneSchedule) -> None:
        one.add("third", FUTURE + 2, "a")
        one.add("first", FUTURE, "b")
        one.add("second", FUTURE + 1, "c", "a")
        assert one.ids() == ["first", "second", "second", "third"]
        assert one.ids("a") == ["second", "third"]
        assert one.ids("nothing") == []
        summary = one.book.summary()
        assert (summary.count, summary.parked, summary.next_due_ms) == (4, 0, FUTURE)

    def test_equal_times_keep_the_order_of_the_calls(self, one: OneSchedule) -> None:
        """Their ids do not sort so; a hundred and more, so that the page ends among them."""
        ids = [f"{(n * 7919) % 1000}" for n in range(250)]
        for id in ids:
            one.add(id)
        assert one.ids() == ids
        claimed = one.claim()
        assert claimed is not None
        assert [event.message_id for event in claimed] == ids[:MAX_CLAIMED]

    def test_item_scheduled_again_keeps_its_due_time(self, one: OneSchedule) -> None:
        assert one.add("id", FUTURE).count == 1
        assert one.add("id", FUTURE + 5, "c", "d").failure is None
        assert [event.due_ms for event in one.book.events("c")] == [FUTURE]
        assert [event.due_ms for event in one.book.events("d")] == [FUTURE + 5]

    def test_another_payload_under_its_id_is_a_conflict(self, one: OneSchedule) -> None:
        one.add("id", FUTURE)
        done = one.add("id", FUTURE, fingerprint="g")
        assert isinstance(done.failure, IdempotencyConflict)
        assert one.ids() == ["id"]

    def test_channels_of_one_bucket_share_a_record(self, one: OneSchedule) -> None:
        same = [name for name in (f"c{n}" for n in range(200)) if bucket_of(name) == bucket_of("c0")][:3]
        one.add("id", PAST, *same[:2])
        one.add("id", PAST, *same)
        claimed = one.claim(channel="c0")
        assert claimed is not None
        assert [event.item for event in claimed] == [Item(name, b"id") for name in same]
        assert len({event.name for event in claimed}) == 3
        assert one.claim("me", (STORED, claimed[1].name), channel="c0", claims=False) == []
        assert [event.item for event in one.book.events()] == [Item(same[0], b"id"), Item(same[2], b"id")]

    def test_has_a_bound_over_all_buckets(self, make_schedule: Callable[..., OneSchedule]) -> None:
        few = make_schedule(max_events=3)
        few.add("one", FUTURE, "a", "b")
        with pytest.raises(BacklogFull, match=r"2 events are scheduled, limit 3 \(SOCKUDO_MAX_SCHEDULED\)"):
            few.add("two", FUTURE, "c", "d")
        assert few.add("three", FUTURE, "e").count == 1

    def test_counts_in_no_lane(self, make_schedule: Callable[..., OneSchedule]) -> None:
        one = make_schedule(max_backlog=1)
        for n in range(5):
            one.add(str(n), FUTURE)
        assert one.producer.append([Item("c", b"1")]).count == 1

    def test_repeat_mends_a_call_that_failed_in_the_middle(self, one: OneSchedule) -> None:
        """The record is written before its name: without it the event would never be due."""
        one.add("id", FUTURE)
        one.client.delete(one.keys().times)
        assert one.ids() == []
        assert one.add("id", FUTURE).count == 1
        assert one.ids() == ["id"]


class TestClaim:
    def test_answers_what_is_due_and_nothing_else(self, one: OneSchedule) -> None:
        one.add("later", FUTURE)
        one.add("now", PAST)
        claimed = one.claim()
        assert claimed is not None
        [event] = claimed
        assert (event.message_id, event.due_ms, event.fingerprint) == ("now", PAST, "f")
        assert event.keyed_item == KeyedItem(Item("c", b"now"), "now", "f")
        assert one.claim("me", (STORED, event.name)) == []
        assert one.ids() == ["later"]

    def test_leaves_nothing_in_redis(self, one: OneSchedule) -> None:
        one.add("id")
        claimed = one.claim()
        assert claimed is not None
        assert one.claim("me", (STORED, claimed[0].name)) == []
        assert one.stored_keys() == set()

    def test_without_anything_due_the_bucket_is_given_back(self, one: OneSchedule) -> None:
        assert one.claim("me") == []
        assert one.claim("another") == []

    def test_another_worker_waits_for_the_lease(self, one: OneSchedule) -> None:
        one.add("id")
        assert one.claim("me")
        assert one.claim("another") is None
        assert 0 < one.client.pttl(one.keys().lease) <= LEASE_MS
        one.client.delete(one.keys().lease)  # it has expired
        assert one.claim("another")

    @pytest.mark.parametrize("outcome", list(ClaimResult))
    def test_report_under_a_lost_lease_changes_nothing(self, one: OneSchedule, outcome: ClaimResult) -> None:
        """A worker that was frozen: its successor is at the same event."""
        one.add("id")
        claimed = one.claim("frozen")
        assert claimed is not None
        for successor in (True, False):
            one.client.delete(one.keys().lease)
            if successor:
                assert one.claim("successor")
            before = {key: one.client.dump(key) for key in one.client.scan_iter("*due*")}
            assert one.claim("frozen", (outcome, claimed[0].name), claims=False) is None
            assert {key: one.client.dump(key) for key in one.client.scan_iter("*due*")} == before

    def test_lease_without_an_expiry_is_free(self, one: OneSchedule) -> None:
        one.client.set(one.keys().lease, "x")
        one.add("id")
        assert one.claim("me")

    def test_what_waits_is_passed_over_and_comes_again(self, one: OneSchedule) -> None:
        for id in ("a", "b", "c"):
            one.add(id)
        claimed = one.claim()
        assert claimed is not None
        assert one.claim("me", (WAITS, claimed[0].name), (STORED, claimed[1].name), skipped=2) == []
        assert one.ids() == ["a", "c"]
        again = one.claim()
        assert again is not None
        assert [event.message_id for event in again] == ["a", "c"]

    def test_parked_is_not_tried_again(self, one: OneSchedule) -> None:
        one.add("id", PAST)
        claimed = one.claim()
        assert claimed is not None
        assert one.claim("me", (PARKED, claimed[0].name)) == []
        [event] = one.book.events()
        assert (event.message_id, event.is_parked, event.due_ms) == ("id", True, PAST)
        assert one.book.summary()[:3] == (1, 1, None)
        assert one.book.cancel("id").taken == ("c",)
        assert one.ids() == []

    def test_parked_alone_are_found_behind_many(self, one: OneSchedule) -> None:
        """Without a read of the others: of 250 events that wait only a page is read."""
        one.add("parked", PAST)
        claimed = one.claim()
        assert claimed is not None
        one.claim("me", (PARKED, claimed[0].name))
        for n in range(250):
            one.add(str(n), FUTURE + n)
        assert one.ids()[0] == "0"  # Redis learns the script

        def script_calls() -> int:
            return int(one.client.info("commandstats")["cmdstat_evalsha"]["calls"])

        before = script_calls()
        assert [event.message_id for event in one.book.events(only_parked=True)] == ["parked"]
        assert [event.message_id for event in one.book.events("c", only_parked=True)] == ["parked"]
        assert script_calls() - before == 16 + 1 + 2, "one page a bucket, and the second of this one"
        assert len(list(one.book.events("c"))) == 251

    def test_claims_are_bounded_in_bytes(self, one: OneSchedule) -> None:
        large = b"x" * (MAX_CLAIMED_BYTES // 2 + 1)
        for n in range(3):
            one.schedule.add([KeyedItem(Item("c", large), str(n), "f")], PAST)
        for _ in range(3):
            claimed = one.claim()
            assert claimed is not None
            assert len(claimed) == 1, "the next would be beyond the bound"
            assert one.claim("me", (STORED, claimed[0].name), claims=False) == []

    def test_right_has_one_owner(self, one: OneSchedule) -> None:
        assert one.due.take_right("me")
        assert one.due.take_right("me")
        assert not one.due.take_right("another")
        one.due.drop_right("another")
        assert not one.due.take_right("another")
        one.due.drop_right("me")
        assert one.due.take_right("another")


class TestCancel:
    def test_takes_back_every_channel_once(self, one: OneSchedule) -> None:
        one.add("id", FUTURE, "a", "b")
        one.add("other", FUTURE, "a")
        assert sorted(one.book.cancel("id").taken) == ["a", "b"]
        again = one.book.cancel("id")
        assert (again.taken, sorted(again.before), again.late) == ((), ["a", "b"], ())
        assert one.book.is_cancelled("id")
        assert not one.book.is_cancelled("other")
        assert (one.book.is_scheduled("id"), one.book.is_scheduled("other")) == (False, True)
        assert one.ids() == ["other"]

    def test_unknown_id(self, one: OneSchedule) -> None:
        assert one.book.cancel("nothing") == type(one.book.cancel("nothing"))()
        assert not one.book.is_cancelled("nothing")

    def test_comes_too_late_for_a_claimed_event(self, one: OneSchedule) -> None:
        """A worker may have stored it already: the answer must not promise that no subscriber gets it."""
        one.add("id", PAST, "c")
        one.add("id", FUTURE, "d")
        claimed = one.claim()
        assert claimed is not None
        answer = one.book.cancel("id")
        assert (answer.taken, answer.late) == (("d",), ("c",))
        assert one.claim("me", (WAITS, claimed[0].name), claims=False) == []
        assert one.book.cancel("id").taken == ("c",)

    def test_claim_of_a_dead_worker_is_not_cancelled(self, one: OneSchedule) -> None:
        one.add("id", PAST)
        assert one.claim("dead")
        one.client.delete(one.keys().lease)
        assert one.book.cancel("id").late == ("c",)
        [event] = one.book.events()
        assert event.is_claimed

    def test_scheduled_again_it_is_not_cancelled_any_more(self, one: OneSchedule) -> None:
        one.add("id", FUTURE)
        one.book.cancel("id")
        one.add("id", FUTURE)
        assert not one.book.is_cancelled("id")
        assert one.ids() == ["id"]

    def test_frees_the_key(self, one: OneSchedule) -> None:
        item = KeyedItem(Item("c", b"1"), "k", "f")
        assert one.producer.remember_keys([item], due_ms=FUTURE, kept_ms=90_000) == [item]
        one.schedule.add([item], FUTURE)
        another = KeyedItem(Item("c", b"2"), "k", "g")
        assert isinstance(one.producer.append([another]).failure, IdempotencyConflict)
        one.book.cancel("k")
        assert one.producer.append([another]).count == 1

    def test_repeated_it_frees_a_key_that_was_left(self, one: OneSchedule) -> None:
        """The first cancellation died after the schedule's script."""
        item = KeyedItem(Item("c", b"1"), "k", "f")
        one.producer.remember_keys([item], due_ms=FUTURE, kept_ms=90_000)
        one.schedule.add([item], FUTURE)
        free = one.book._free_keys
        one.book._free_keys = lambda *_: None  # type: ignore[method-assign]
        one.book.cancel("k")
        one.book._free_keys = free  # type: ignore[method-assign]
        assert isinstance(one.producer.append([KeyedItem(Item("c", b"2"), "k", "g")]).failure, IdempotencyConflict)
        assert one.book.cancel("k").before == ("c",)
        assert one.producer.append([KeyedItem(Item("c", b"2"), "k", "g")]).count == 1

    def test_frees_no_key_of_a_stored_event(self, one: OneSchedule) -> None:
        item = KeyedItem(Item("c", b"1"), "k", "f")
        one.schedule.add([item], FUTURE)
        one.producer.append([item])
        one.book.cancel("k")
        assert one.producer.append([item]).already_stored == [0]


class TestKeys:
    def test_is_kept_until_the_event_is_due_and_longer(self, one: OneSchedule) -> None:
        item = KeyedItem(Item("c", b"1"), "k", "f")
        one.producer.remember_keys([item], due_ms=FUTURE, kept_ms=90_000)
        ledger = "sockudo:{app:0}:ledger:c:k"
        assert 80_000 < one.client.pttl(ledger) <= 90_000
        one.producer.remember_keys([item], due_ms=PAST, kept_ms=10_000)
        assert one.client.pttl(ledger) > 80_000, "a repeat with an earlier time shortens nothing"
        assert one.client.hget("sockudo:{app:0}:state", "keys_until") == str(FUTURE).encode()

    @pytest.mark.parametrize("due_ms", [PAST, FUTURE])
    def test_layout_is_kept_as_long_as_its_keys(
        self, make_schedule: Callable[..., OneSchedule], redis_url: str, due_ms: int
    ) -> None:
        """Forgotten before, the key would be free while its event is scheduled."""
        one = make_schedule(lanes=1)
        item = KeyedItem(Item("c", b"1"), "k", "f")
        one.producer.remember_keys([item], due_ms=due_ms, kept_ms=90_000)
        journal = Journal(redis_url, "app", lanes=2)
        assert journal.ask_for_lanes()
        journal.advance_layout()
        assert journal._layout.read().retired
        assert journal._layout.forget_oldest(FUTURE) == (due_ms == PAST)


class TestUnreadable:
    def test_record_is_parked_and_removed_by_a_cancellation(self, one: OneSchedule) -> None:
        one.add("bad", PAST)
        one.add("good", PAST)
        one.client.hset(one.keys().items, "bad", b"\xc1 no record")
        claimed = one.claim()
        assert claimed is not None
        assert [(event.message_id, event.item is None) for event in claimed] == [("bad", True), ("good", False)]
        assert one.claim("me", (STORED, claimed[1].name)) == []
        [event] = one.book.events()
        assert (event.message_id, event.is_parked, event.item) == ("bad", True, None)
        with pytest.raises(JournalUnreadable, match="could not be read"):
            one.book.cancel("bad")
        assert one.ids() == []
        assert one.stored_keys() == set()

    def test_name_without_a_record_leaves(self, one: OneSchedule) -> None:
        one.add("id", PAST)
        one.client.hdel(one.keys().items, "id")
        assert one.claim() == []
        assert one.stored_keys() == set()

    def test_id_whose_record_is_unreadable_is_refused(self, one: OneSchedule) -> None:
        one.client.hset(one.keys().items, "id", b"x")
        failure = one.add("id").failure
        assert isinstance(failure, JournalUnreadable)
        assert one.keys().items in str(failure)

    @pytest.mark.parametrize("kind", ["times", "items"])
    def test_key_of_another_type_is_named(self, one: OneSchedule, kind: str) -> None:
        """Other buckets go on."""
        one.add("here", PAST)
        one.add("there", PAST, "d")
        key = getattr(one.keys(), kind)
        one.client.delete(key)
        one.client.set(key, "x")
        failure = one.add("again").failure
        assert isinstance(failure, JournalUnreadable)
        assert f"{key} holds a string" in str(failure)
        assert bucket_of("c") != bucket_of("d")
        assert one.claim(channel="d")
        with pytest.raises(JournalUnreadable):
            one.claim()
        assert any(key in told for told in one.book.summary().unreadable)
        heads = one.due.heads()
        assert bucket_of("d") in heads.due_ms

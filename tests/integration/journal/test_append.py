"""What an append stores, counts, refuses and remembers, line by line."""

from __future__ import annotations

import json

import pytest
import redis

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict
from sockudo_publisher.journal.keys import ledger_key
from sockudo_publisher.journal.pack import MAX_BYTES, MAX_ITEMS, Item
from sockudo_publisher.journal.producer import KeyedItem
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.one_lane import FUTURE, OneLane

pytestmark = pytest.mark.integration


class TestAppend:
    def test_an_entry_is_what_a_worker_of_any_release_reads(self, lane: OneLane) -> None:
        """Version 1: its fields, their order, their form (docs/journal.md)."""
        lane.producer.append({0: [Item("c", b'{"a":1}'), Item("d", b"{}", FUTURE)]})
        [(_, fields)] = lane.client.xrange(f"{lane.base}:stream")
        assert list(fields) == [b"v", b"n", b"x", b"m", b"b"]
        assert (fields[b"v"], fields[b"n"], fields[b"x"]) == (b"1", b"2", str(FUTURE).encode())
        assert json.loads(fields[b"m"]) == {"n": [7, 2], "c": ["c", "d"], "x": [0, FUTURE]}
        assert fields[b"b"] == b'{"a":1},{}'

    def test_the_first_append_rings_and_the_next_does_not(self, lane: OneLane) -> None:
        """One doorbell per rest of the lane, until a release lets it rest again."""
        assert lane.append(b"1").ring == (0,)
        assert lane.append(b"2").ring == ()
        assert lane.drain() == [b"1", b"2"]
        assert lane.append(b"3").ring == (0,)

    def test_depth_counts_items_not_packs(self, lane: OneLane) -> None:
        """Over all packs of a call and over calls."""
        assert lane.append(*[b"x"] * (MAX_ITEMS + 5)).count == MAX_ITEMS + 5
        lane.append(b"y")
        assert lane.state("depth") == b"106"
        assert [entry[b"n"] for entry in lane.entries()] == [b"100", b"5", b"1"]

    def test_a_pack_is_cut_at_its_bytes(self, lane: OneLane) -> None:
        """An entry is copied whole in every take, so its size is bounded; order is kept."""
        bodies = [bytes([65 + n]) * (MAX_BYTES // 2 - 1) for n in range(5)]
        lane.append(*bodies)
        assert [entry[b"n"] for entry in lane.entries()] == [b"2", b"2", b"1"]
        assert lane.bodies == bodies

    def test_a_backlog_is_full_exactly_at_its_limit(self, make_lane) -> None:
        """The limit fits; one more is refused whole, and says how many there are."""
        lane = make_lane(max_backlog=5)
        lane.append(b"1", b"2")
        assert lane.append(b"3", b"4", b"5").failure is None
        before = lane.everything()
        refused = lane.append(b"6")
        assert isinstance(refused.failure, BacklogFull)
        assert "5 events, limit 5" in str(refused.failure)
        assert (refused.count, refused.lanes, refused.refused) == (0, (), {"c"})
        assert lane.everything() == before

    def test_a_pack_that_would_pass_the_limit_is_not_stored_in_part(self, make_lane) -> None:
        """Two of three would fit."""
        lane = make_lane(max_backlog=5)
        lane.append(b"1", b"2", b"3")
        assert isinstance(lane.append(b"4", b"5", b"6").failure, BacklogFull)
        assert lane.bodies == [b"1", b"2", b"3"]

    def test_no_limit_is_no_limit(self, make_lane) -> None:
        """0 is any number."""
        lane = make_lane(max_backlog=0)
        assert lane.append(b"1").failure is None

    def test_one_full_lane_refuses_only_its_own(self, make_producer, client: redis.Redis) -> None:
        """The other lane's items are stored, and the result tells both."""
        producer = make_producer(max_backlog=1)
        producer.append({0: [Item("a", b"1")]})
        done = producer.append({0: [Item("a", b"2")], 1: [Item("c", b"3")]})
        assert isinstance(done.failure, BacklogFull)
        assert (done.failed_lane, done.refused, done.lanes, done.ring, done.count) == (0, {"a"}, (1,), (1,), 1)


class TestAppendOnce:
    def test_a_key_appends_once(self, lane: OneLane) -> None:
        """The second call says that it is stored already, and rings nothing."""
        first = lane.append_once(("k", b"1"))
        again = lane.append_once(("k", b"1"))
        assert (first.count, first.already_stored, first.ring) == (1, 0, (0,))
        assert (again.count, again.already_stored, again.ring, again.lanes) == (0, 1, (), (0,))
        assert lane.bodies == [b"1"]
        assert lane.state("depth") == b"1"

    def test_new_keys_beside_known_ones_are_appended(self, lane: OneLane) -> None:
        """In the order of the call, in one entry; a lane that is rung is not rung again."""
        lane.append_once(("k2", b"2"))
        done = lane.append_once(("k1", b"1"), ("k2", b"2"), ("k3", b"3"))
        assert (done.count, done.already_stored, done.ring) == (2, 1, ())
        assert lane.bodies == [b"2", b"1", b"3"]
        assert len(lane.entries()) == 2

    def test_a_known_key_wakes_no_lane_that_rests(self, lane: OneLane) -> None:
        """There is nothing to drain: nothing is rung, armed or counted."""
        lane.append_once(("k", b"1"))
        lane.drain()
        before = lane.everything()
        assert lane.append_once(("k", b"1")).ring == ()
        assert lane.everything() == before

    def test_a_key_twice_in_one_call_is_one_event(self, lane: OneLane) -> None:
        """Its second place is like a second call."""
        done = lane.append_once(("k", b"1"), ("k", b"1"))
        assert (done.count, done.already_stored) == (1, 1)
        assert lane.bodies == [b"1"]

    def test_a_key_twice_with_two_payloads_in_one_call_is_a_conflict(self, lane: OneLane) -> None:
        """Of the second with the first; nothing of the call is stored."""
        one, other = (KeyedItem(Item("c", b"1"), "k", fingerprint) for fingerprint in ("f", "g"))
        done = lane.producer.append_once({0: [one, other]})
        assert isinstance(done.failure, IdempotencyConflict)
        assert done.failure.index == 1
        assert lane.bodies == []
        assert not list(lane.client.scan_iter("*ledger*"))

    def test_another_payload_under_a_known_key_is_a_conflict(self, lane: OneLane) -> None:
        """Named by its place in the call; nothing is stored or remembered, not even what is new."""
        lane.append_once(("k", b"1"))
        before = lane.everything()
        done = lane.append_once(("new", b"0"), ("k", b"2"), fingerprint="other")
        assert isinstance(done.failure, IdempotencyConflict)
        assert (done.failure.index, done.failed_lane, done.count) == (1, 0, 0)
        assert lane.everything() == before

    def test_keys_of_two_channels_are_two_keys(self, lane: OneLane) -> None:
        """The scope is app and channel, as that of the server's message ids."""
        lane.append_once(("k", b"1"), channel="a")
        assert lane.append_once(("k", b"2"), channel="b", fingerprint="other").count == 1

    def test_the_ledger_says_appended_and_forgets_in_time(self, make_lane) -> None:
        """The fingerprint, for as long as the setting says."""
        lane = make_lane(key_ttl_ms=50_000)
        lane.append_once(("k", b"1"))
        key = ledger_key(lane.app, 0, "c", "k")
        assert lane.client.get(key) == b"a f"
        assert 0 < lane.client.pttl(key) <= 50_000

    def test_a_scheduled_key_is_appended_when_it_falls_due(self, lane: OneLane) -> None:
        """Scheduled is not yet stored; then it is, once."""
        assert lane.producer.schedule_once(0, "c", "k", "f")
        assert lane.append_once(("k", b"1")).count == 1
        assert lane.append_once(("k", b"1")).already_stored == 1
        assert not lane.producer.schedule_once(0, "c", "k", "f")

    def test_a_scheduled_key_with_another_payload_is_a_conflict(self, lane: OneLane) -> None:
        """Whatever it says, the fingerprint counts."""
        lane.producer.schedule_once(0, "c", "k", "f")
        assert isinstance(lane.append_once(("k", b"1"), fingerprint="g").failure, IdempotencyConflict)

    def test_a_backlog_counts_only_what_is_new(self, make_lane) -> None:
        """Known keys need no room; one new item too many refuses the call, and says the depth."""
        lane = make_lane(max_backlog=3)
        lane.append_once(("k1", b"1"), ("k2", b"2"))
        assert lane.append_once(("k1", b"1"), ("k2", b"2"), ("k3", b"3")).count == 1
        before = lane.everything()
        refused = lane.append_once(("k3", b"3"), ("k4", b"4"))
        assert "3 events, limit 3" in str(refused.failure)
        assert lane.everything() == before
        assert lane.append_once(("k1", b"1")).failure is None, "known already, full or not"

    def test_expiries_are_kept_and_the_earliest_is_named(self, lane: OneLane) -> None:
        """By item in the meta, whatever their order; none is named where there is none."""
        items = [Item("c", b"1", 0), Item("c", b"2", FUTURE + 1), Item("c", b"3", FUTURE), Item("c", b"4", FUTURE + 2)]
        lane.producer.append_once({0: [KeyedItem(item, f"k{n}", "f") for n, item in enumerate(items)]})
        lane.append_once(("k", b"5"))
        with_expiry, without = lane.entries()
        assert with_expiry[b"x"] == str(FUTURE).encode()
        assert [one.expires_ms for one in lane.now.queue.items] == [0, FUTURE + 1, FUTURE, FUTURE + 2, 0]
        assert without[b"x"] == b"0"
        assert "x" not in json.loads(without[b"m"])

    def test_a_conflict_in_one_lane_stores_nothing_in_the_other(self, make_producer, client: redis.Redis) -> None:
        """All lanes are looked at before one is appended to."""
        producer = make_producer()
        producer.append_once({1: [KeyedItem(Item("c", b"1"), "k", "f")]})
        before = {key: client.dump(key) for key in client.scan_iter()}
        done = producer.append_once(
            {0: [KeyedItem(Item("a", b"2"), "k", "f")], 1: [KeyedItem(Item("c", b"3"), "k", "other")]}
        )
        assert isinstance(done.failure, IdempotencyConflict)
        assert (done.failed_lane, done.refused) == (1, {"a", "c"})
        assert {key: client.dump(key) for key in client.scan_iter()} == before

    def test_two_lanes_without_trouble_are_both_stored(self, make_producer) -> None:
        """The look before the append is counted once."""
        done = make_producer().append_once(
            {0: [KeyedItem(Item("a", b"2"), "k", "f")], 1: [KeyedItem(Item("c", b"3"), "k", "f")]}
        )
        assert (done.failure, done.count, done.ring) == (None, 2, (0, 1))


class TestScheduleOnce:
    def test_a_key_is_remembered_as_scheduled(self, make_lane) -> None:
        """The same call sends its countdown message again: only an append ends that."""
        lane = make_lane(key_ttl_ms=50_000)
        assert lane.producer.schedule_once(0, "c", "k", "f")
        key = ledger_key(lane.app, 0, "c", "k")
        assert lane.client.get(key) == b"s f"
        assert 0 < lane.client.pttl(key) <= 50_000
        assert lane.producer.schedule_once(0, "c", "k", "f")

    def test_a_look_remembers_nothing(self, lane: OneLane) -> None:
        """It answers as the call would."""
        assert lane.producer.schedule_once(0, "c", "k", "f", look=True)
        assert not list(lane.client.scan_iter("*ledger*"))
        lane.producer.schedule_once(0, "c", "k", "f")
        with pytest.raises(IdempotencyConflict):
            lane.producer.schedule_once(0, "c", "k", "g", look=True)

    def test_another_payload_is_a_conflict(self, lane: OneLane) -> None:
        """After a schedule and after an append; what is remembered stays."""
        lane.producer.schedule_once(0, "c", "k", "f")
        with pytest.raises(IdempotencyConflict):
            lane.producer.schedule_once(0, "c", "k", "g")
        assert lane.client.get(ledger_key(lane.app, 0, "c", "k")) == b"s f"
        lane.append_once(("k", b"1"))
        with pytest.raises(IdempotencyConflict):
            lane.producer.schedule_once(0, "c", "k", "g")

    def test_what_is_appended_needs_no_countdown(self, lane: OneLane) -> None:
        """And stays appended."""
        lane.append_once(("k", b"1"))
        assert not lane.producer.schedule_once(0, "c", "k", "f")
        assert lane.client.get(ledger_key(lane.app, 0, "c", "k")) == b"a f"


class TestClosedLanes:
    """A lane of an earlier layout takes nothing any more, whoever asks and whatever for."""

    @pytest.fixture(params=["closed", None], ids=["closed", "never opened"])
    def closed(self, request: pytest.FixtureRequest, lane: OneLane) -> tuple[OneLane, str]:
        """Closed by a change; or one of a later layout, where Redis has lost its mark."""
        if request.param is not None:
            lane.journal.link.script("mark", (f"{lane.base}:state",), (request.param,))
        return lane, "0" if request.param else "1"

    def test_append(self, closed: tuple[OneLane, str]) -> None:
        """Nothing is stored, counted or rung."""
        lane, must_be_marked = closed
        keys = (f"{lane.base}:stream", f"{lane.base}:state")
        before = lane.everything()
        args = (0, must_be_marked, 1, 1, 0, '{"n":[1],"c":["c"]}', "1")
        assert lane.journal.link.script("append", keys, args) == [Answer.CLOSED]
        assert lane.everything() == before

    @pytest.mark.parametrize("look", ["0", "1"])
    def test_append_once(self, closed: tuple[OneLane, str], look: str) -> None:
        """Nothing is remembered; a look says so as well."""
        lane, must_be_marked = closed
        keys = (f"{lane.base}:stream", f"{lane.base}:state", ledger_key(lane.app, 0, "c", "k"))
        before = lane.everything()
        args = (0, must_be_marked, 1000, look, "f", "c", 0, "1", "")
        assert lane.journal.link.script("append_once", keys, args) == [Answer.CLOSED]
        assert lane.everything() == before

    @pytest.mark.parametrize("look", ["0", "1"])
    def test_schedule_once(self, closed: tuple[OneLane, str], look: str) -> None:
        """The countdown is remembered where its event will be appended."""
        lane, must_be_marked = closed
        keys = (ledger_key(lane.app, 0, "c", "k"), f"{lane.base}:state")
        before = lane.everything()
        args = ("f", 1000, look, must_be_marked, "")
        assert lane.journal.link.script("schedule_once", keys, args) == [Answer.CLOSED]
        assert lane.everything() == before

    def test_an_opened_lane_takes_what_it_is_given(self, lane: OneLane) -> None:
        """In a later layout too."""
        lane.journal.link.script("mark", (f"{lane.base}:state",), ("open",))
        keys = (f"{lane.base}:stream", f"{lane.base}:state")
        args = (0, "1", 1, 1, 0, '{"n":[1],"c":["c"]}', "1")
        assert lane.journal.link.script("append", keys, args) == [Answer.RING]
        args = ("f", 1000, "0", "1", "")
        keys = (ledger_key(lane.app, 0, "c", "k"), f"{lane.base}:state")
        assert lane.journal.link.script("schedule_once", keys, args) == [Answer.DONE]
        assert lane.bodies == [b"1"]

    @pytest.mark.parametrize(("said", "what"), [(b"a f", "appended"), (b"s f", "scheduled"), (b"a g", "conflict")])
    def test_what_an_earlier_layout_remembers_counts(self, lane: OneLane, said: bytes, what: str) -> None:
        """As if the lane's own ledger said it."""
        link, own = lane.journal.link, ledger_key(lane.app, 0, "c", "k")
        keys = (f"{lane.base}:stream", f"{lane.base}:state", own)
        schedule = ("f", 1000, "0", "0", said)
        expected = {"appended": Answer.EMPTY, "scheduled": Answer.DONE, "conflict": Answer.CONFLICT}
        assert link.script("schedule_once", (own, f"{lane.base}:state"), schedule) == [expected[what]]
        lane.client.delete(own)
        answer = link.script("append_once", keys, (0, "0", 1000, "0", "f", "c", 0, "1", said))
        expected = {"appended": [Answer.DONE, 0], "scheduled": [Answer.RING, 1], "conflict": [Answer.CONFLICT, 0]}
        assert answer == expected[what]
        assert lane.bodies == ([b"1"] if what == "scheduled" else [])

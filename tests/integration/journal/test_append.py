"""What an append stores, counts, refuses and remembers, line by line."""

from __future__ import annotations

import json

import pytest
import redis

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict
from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.keys import ledger_key
from sockudo_publisher.journal.pack import MAX_BYTES, MAX_ITEMS, Item, KeyedItem
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.one_lane import FUTURE, OneLane
from tests.integration.journal.raw import read_lane

pytestmark = pytest.mark.integration


class TestAppend:
    def test_an_entry_is_what_a_worker_of_any_release_reads(self, lane: OneLane) -> None:
        """Version 1: its fields, their order, their form (docs/journal.md)."""
        lane.producer.append([Item("c", b'{"a":1}'), Item("d", b"{}", FUTURE)])
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
        assert (refused.count, refused.ring, list(refused.refused)) == (0, (), [0])
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

    def test_one_full_lane_refuses_only_its_own(self, make_producer) -> None:
        """The other lane's items are stored, and the answer tells both by the items' indexes."""
        producer = make_producer(max_backlog=1)
        producer.append([Item("d", b"1")])
        done = producer.append([Item("a", b"3"), Item("d", b"2")])
        assert isinstance(done.failure, BacklogFull)
        assert (list(done.refused), done.ring, done.count) == ([1], (1,), 1)

    @pytest.mark.parametrize("on_refusal", list(OnRefusal))
    def test_answer_has_the_indexes_of_the_call(self, make_producer, on_refusal: OnRefusal) -> None:
        """Items of two lanes take turns; one lane is full, so every second item is refused."""
        producer = make_producer(max_backlog=3)
        producer.append([Item("d", b"x")] * 3)
        done = producer.append([Item("ad"[n % 2], b"%d" % n) for n in range(6)], on_refusal=on_refusal)
        assert (sorted(done.refused), done.count) == ([1, 3, 5], 3)

    def test_skip_stores_as_many_as_fit(self, make_lane) -> None:
        """In the order of the call: with room for three the first three are stored, each other has its error."""
        lane = make_lane(max_backlog=5)
        lane.append(b"a", b"b")
        done = lane.append(*(b"%d" % n for n in range(9)), on_refusal=OnRefusal.SKIP)
        assert (done.count, sorted(done.refused), done.ring) == (3, [3, 4, 5, 6, 7, 8], ())
        assert all(isinstance(error, BacklogFull) for error in done.refused.values())
        assert "5 events, limit 5" in str(done.failure)
        assert lane.bodies == [b"a", b"b", b"0", b"1", b"2"]
        assert lane.state("depth") == b"5"

    def test_skip_cuts_the_pack_that_does_not_fit(self, make_lane) -> None:
        """Its first items are an entry as any other: lengths, channels, expiries, and the earliest of them."""
        lane = make_lane(max_backlog=MAX_ITEMS + 2)
        items = [Item("c", b"x" * (1 + n % 3), 0) for n in range(MAX_ITEMS)]
        items += [Item("d", b"1"), Item('e"/é', b"22", FUTURE + 1), Item("f", b"333", FUTURE)]
        done = lane.producer.append(items, on_refusal=OnRefusal.SKIP)
        assert (done.count, list(done.refused)) == (MAX_ITEMS + 2, [MAX_ITEMS + 2])
        whole, cut = lane.entries()
        assert (whole[b"n"], cut[b"n"], cut[b"x"]) == (b"100", b"2", str(FUTURE + 1).encode())
        assert json.loads(cut[b"m"]) == {"n": [1, 2], "c": ["d", 'e"/é'], "x": [0, FUTURE + 1]}
        assert cut[b"b"] == b"1,22"

    def test_skip_in_a_full_lane_stores_nothing(self, make_lane) -> None:
        """No entry, no doorbell."""
        lane = make_lane(max_backlog=1)
        lane.append(b"1")
        before = lane.everything()
        done = lane.append(b"2", b"3", on_refusal=OnRefusal.SKIP)
        assert (done.count, sorted(done.refused), done.ring) == (0, [0, 1], ())
        assert lane.everything() == before

    @pytest.mark.parametrize("keyed", [False, True])
    def test_skip_fills_an_empty_lane_to_its_limit(self, make_lane, keyed: bool) -> None:
        """Also where its depth says too much, as an append that failed in the middle has left it."""
        lane = make_lane(max_backlog=3)
        lane.client.hset(f"{lane.base}:state", "depth", 2)
        skip = OnRefusal.SKIP
        bodies = [b"%d" % n for n in range(5)]
        done = (
            lane.append_once(*((f"k{n}", body) for n, body in enumerate(bodies)), on_refusal=skip)
            if keyed
            else lane.append(*bodies, on_refusal=skip)
        )
        assert (done.count, sorted(done.refused)) == (3, [3, 4])
        assert (lane.bodies, lane.state("depth")) == (bodies[:3], b"3")


class TestAppendOnce:
    def test_a_key_appends_once(self, lane: OneLane) -> None:
        """The second call says that it is stored already, and rings nothing."""
        first = lane.append_once(("k", b"1"))
        again = lane.append_once(("k", b"1"))
        assert (first.count, list(first.already_stored), first.ring) == (1, [], (0,))
        assert (again.count, again.already_stored, again.ring, dict(again.refused)) == (0, [0], (), {})
        assert lane.bodies == [b"1"]
        assert lane.state("depth") == b"1"

    def test_new_keys_beside_known_ones_are_appended(self, lane: OneLane) -> None:
        """In the order of the call, in one entry; a lane that is rung is not rung again."""
        lane.append_once(("k2", b"2"))
        done = lane.append_once(("k1", b"1"), ("k2", b"2"), ("k3", b"3"))
        assert (done.count, done.already_stored, done.ring) == (2, [1], ())
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
        assert (done.count, done.already_stored) == (1, [1])
        assert lane.bodies == [b"1"]

    def test_a_key_twice_with_two_payloads_in_one_call_is_a_conflict(self, lane: OneLane) -> None:
        """Of the second with the first; nothing of the call is stored."""
        one, other = (KeyedItem(Item("c", b"1"), "k", fingerprint) for fingerprint in ("f", "g"))
        done = lane.producer.append([one, other])
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
        assert (done.failure.index, done.count, sorted(done.refused)) == (1, 0, [0, 1])
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
        assert lane.schedule_once("k")
        assert lane.append_once(("k", b"1")).count == 1
        assert lane.append_once(("k", b"1")).already_stored == [0]
        assert not lane.schedule_once("k")

    def test_a_scheduled_key_with_another_payload_is_a_conflict(self, lane: OneLane) -> None:
        """Whatever it says, the fingerprint counts."""
        lane.schedule_once("k")
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
        lane.producer.append([KeyedItem(item, f"k{n}", "f") for n, item in enumerate(items)])
        lane.append_once(("k", b"5"))
        with_expiry, without = lane.entries()
        assert with_expiry[b"x"] == str(FUTURE).encode()
        assert [one.expires_ms for one in lane.now.queue.items] == [0, FUTURE + 1, FUTURE, FUTURE + 2, 0]
        assert without[b"x"] == b"0"
        assert "x" not in json.loads(without[b"m"])

    def test_a_conflict_in_one_lane_stores_nothing_in_the_other(self, make_producer, client: redis.Redis) -> None:
        """All lanes are looked at before one is appended to."""
        producer = make_producer()
        producer.append([KeyedItem(Item("a", b"1"), "k", "f")])
        before = {key: client.dump(key) for key in client.scan_iter()}
        items = [Item("d", b"2"), Item("b", b"3"), Item("a", b"4")]
        done = producer.append([KeyedItem(item, "k", "other") for item in items])
        assert isinstance(done.failure, IdempotencyConflict)
        assert (done.failure.index, sorted(done.refused)) == (2, [0, 1, 2])
        assert {key: client.dump(key) for key in client.scan_iter()} == before

    def test_two_lanes_without_trouble_are_both_stored(self, make_producer) -> None:
        """The look before the append is counted once."""
        done = make_producer().append([KeyedItem(Item(channel, b"2"), "k", "f") for channel in "da"])
        assert (done.failure, done.count, done.ring) == (None, 2, (0, 1))

    def test_skip_stores_what_is_beside_a_conflict(self, make_producer, client: redis.Redis) -> None:
        """In the same lane and in the other, without a look first; each item is answered for itself."""
        producer = make_producer()
        producer.append([KeyedItem(Item("a", b"1"), "old", "f"), KeyedItem(Item("a", b"2"), "known", "f")])
        given = [("a", "new", "f"), ("a", "old", "other"), ("d", "new", "f"), ("a", "known", "f"), ("b", "new", "f")]
        items = [KeyedItem(Item(channel, b"%d" % n), key, fp) for n, (channel, key, fp) in enumerate(given)]
        done = producer.append(items, on_refusal=OnRefusal.SKIP)
        assert (done.count, done.already_stored, list(done.refused)) == (3, [3], [1])
        assert isinstance(done.failure, IdempotencyConflict)
        assert done.failure.index == 1
        bodies = [read_lane(client, "app", lane).queue.bodies for lane in (0, 1)]
        assert bodies == [[b"2"], [b"1", b"2", b"0", b"4"]]
        again = producer.append(items, on_refusal=OnRefusal.SKIP)
        assert (again.count, sorted(again.already_stored), list(again.refused)) == (0, [0, 2, 3, 4], [1])

    def test_skip_stores_the_first_that_fit(self, make_lane) -> None:
        """What is known needs no room. Of a key twice in a call, the second is refused with the first."""
        lane = make_lane(max_backlog=3)
        lane.append_once(("k0", b"0"))
        keys = ["k1", "k0", "k2", "k3", "k1", "k3"]
        done = lane.append_once(*((key, key.encode()) for key in keys), on_refusal=OnRefusal.SKIP)
        assert (done.count, done.already_stored, sorted(done.refused)) == (2, [1, 4], [3, 5])
        assert all(isinstance(error, BacklogFull) for error in done.refused.values())
        assert "3 events, limit 3" in str(done.failure)
        assert lane.bodies == [b"0", b"k1", b"k2"]
        assert lane.client.get(ledger_key(lane.app, 0, "c", "k3")) is None

    def test_skip_refuses_the_second_payload_alone(self, lane: OneLane) -> None:
        """Of two under one key in one call, which would both be new."""
        one, other = (KeyedItem(Item("c", fp.encode()), "k", fp) for fp in "fg")
        done = lane.producer.append([one, other], on_refusal=OnRefusal.SKIP)
        assert (done.count, list(done.refused)) == (1, [1])
        assert lane.bodies == [b"f"]


class TestScheduleOnce:
    def test_a_key_is_remembered_as_scheduled(self, make_lane) -> None:
        """The same call schedules its event again: only an append ends that."""
        lane = make_lane(key_ttl_ms=50_000)
        assert lane.schedule_once("k")
        key = ledger_key(lane.app, 0, "c", "k")
        assert lane.client.get(key) == b"s f"
        assert 0 < lane.client.pttl(key) <= 50_000
        assert lane.schedule_once("k")

    def test_a_look_remembers_nothing(self, lane: OneLane) -> None:
        """It answers as the call would."""
        assert lane.producer._remember_key(KeyedItem(Item("c", b"1"), "k", "f"), 0, 0, look=True)
        assert not list(lane.client.scan_iter("*ledger*"))
        lane.schedule_once("k")
        with pytest.raises(IdempotencyConflict):
            lane.producer._remember_key(KeyedItem(Item("c", b"1"), "k", "g"), 0, 0, look=True)

    def test_another_payload_is_a_conflict(self, lane: OneLane) -> None:
        """After a schedule and after an append; what is remembered stays."""
        lane.schedule_once("k")
        with pytest.raises(IdempotencyConflict):
            lane.schedule_once("k", "g")
        assert lane.client.get(ledger_key(lane.app, 0, "c", "k")) == b"s f"
        lane.append_once(("k", b"1"))
        with pytest.raises(IdempotencyConflict):
            lane.schedule_once("k", "g")

    def test_what_is_appended_needs_no_countdown(self, lane: OneLane) -> None:
        """And stays appended."""
        lane.append_once(("k", b"1"))
        assert not lane.schedule_once("k")
        assert lane.client.get(ledger_key(lane.app, 0, "c", "k")) == b"a f"


class TestClosedLanes:
    """A lane of an earlier layout takes no append of any kind."""

    @pytest.fixture(params=["closed", None], ids=["closed", "never opened"])
    def closed(self, request: pytest.FixtureRequest, lane: OneLane) -> tuple[OneLane, str]:
        """Closed by a change; or one of a later layout, where Redis has lost its mark."""
        if request.param is not None:
            lane.journal.link.script("mark", (f"{lane.base}:state",), (request.param,))
        return lane, "0" if request.param else "1"

    @pytest.mark.parametrize("mode", ["stop", "skip"])
    def test_append(self, closed: tuple[OneLane, str], mode: str) -> None:
        """Nothing is stored, counted or rung."""
        lane, must_be_marked = closed
        keys = (f"{lane.base}:stream", f"{lane.base}:state")
        before = lane.everything()
        args = (0, must_be_marked, mode, 1, 1, 0, '{"n":[1],"c":["c"]}', "1")
        assert lane.journal.link.script("append", keys, args) == [Answer.CLOSED]
        assert lane.everything() == before

    @pytest.mark.parametrize("mode", ["stop", "skip", "look"])
    def test_append_once(self, closed: tuple[OneLane, str], mode: str) -> None:
        """Nothing is remembered; a look answers the same."""
        lane, must_be_marked = closed
        keys = (f"{lane.base}:stream", f"{lane.base}:state", f"{lane.base}:latest", ledger_key(lane.app, 0, "c", "k"))
        before = lane.everything()
        args = (0, must_be_marked, 1000, mode, "f", "c", 0, "1", "", "")
        assert lane.journal.link.script("append_once", keys, args) == [Answer.CLOSED]
        assert lane.everything() == before

    @pytest.mark.parametrize("look", ["0", "1"])
    def test_schedule_once(self, closed: tuple[OneLane, str], look: str) -> None:
        """The countdown is remembered where its event will be appended."""
        lane, must_be_marked = closed
        keys = (ledger_key(lane.app, 0, "c", "k"), f"{lane.base}:state")
        before = lane.everything()
        args = ("f", 1000, look, must_be_marked, "", 0)
        assert lane.journal.link.script("schedule_once", keys, args) == [Answer.CLOSED]
        assert lane.everything() == before

    def test_an_opened_lane_takes_what_it_is_given(self, lane: OneLane) -> None:
        """In a later layout too."""
        lane.journal.link.script("mark", (f"{lane.base}:state",), ("open",))
        keys = (f"{lane.base}:stream", f"{lane.base}:state")
        args = (0, "1", "stop", 1, 1, 0, '{"n":[1],"c":["c"]}', "1")
        assert lane.journal.link.script("append", keys, args) == [Answer.RING]
        args = ("f", 1000, "0", "1", "", 0)
        keys = (ledger_key(lane.app, 0, "c", "k"), f"{lane.base}:state")
        assert lane.journal.link.script("schedule_once", keys, args) == [Answer.DONE]
        assert lane.bodies == [b"1"]

    @pytest.mark.parametrize(("said", "what"), [(b"a f", "appended"), (b"s f", "scheduled"), (b"a g", "conflict")])
    def test_what_an_earlier_layout_remembers_counts(self, lane: OneLane, said: bytes, what: str) -> None:
        """As if the lane's own ledger said it."""
        link, own = lane.journal.link, ledger_key(lane.app, 0, "c", "k")
        keys = (f"{lane.base}:stream", f"{lane.base}:state", f"{lane.base}:latest", own)
        schedule = ("f", 1000, "0", "0", said, 0)
        expected = {"appended": Answer.EMPTY, "scheduled": Answer.DONE, "conflict": Answer.CONFLICT}
        assert link.script("schedule_once", (own, f"{lane.base}:state"), schedule) == [expected[what]]
        lane.client.delete(own)
        answer = link.script("append_once", keys, (0, "0", 1000, "stop", "f", "c", 0, "1", said, ""))
        expected = {
            "appended": [Answer.DONE, 0, 0, 0, Answer.DONE],
            "scheduled": [Answer.RING, 1, 1],
            "conflict": [Answer.CONFLICT, 0],
        }
        assert answer == expected[what]
        assert lane.bodies == ([b"1"] if what == "scheduled" else [])

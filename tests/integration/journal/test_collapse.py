"""Collapse keys: of the events of one key that wait unsent on a channel, only the latest is sent."""

from __future__ import annotations

import pytest
import redis

from sockudo_publisher.errors import BacklogFull, JournalUnavailable
from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.dead_letters import DeadBounds
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.keys import lane_of
from sockudo_publisher.journal.pack import MAX_ITEMS, Item, KeyedItem
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.status import journal_status
from tests.integration.journal.one_lane import FUTURE, PAST, OneLane, bodies_of
from tests.integration.journal.raw import check_lane

pytestmark = pytest.mark.integration


def put(lane: OneLane, *texts: str, channel: str = "c", expires_ms: int = 0) -> None:
    """One pack. ``"a:k"`` is an item ``a`` with the collapse key ``k``; ``"a"`` has none."""
    appended = lane.producer.append(items_of(*texts, channel=channel, expires_ms=expires_ms))
    assert appended.count == len(texts)


def items_of(*texts: str, channel: str = "c", expires_ms: int = 0) -> list[Item]:
    found = []
    for text in texts:
        body, _, key = text.partition(":")
        found.append(Item(channel, body.encode(), expires_ms, key))
    return found


def put_once(lane: OneLane, *texts: str, prefix: str = "key", on_refusal: OnRefusal = OnRefusal.STOP) -> int:
    """With keys of their own; answers how many were stored."""
    keyed = [KeyedItem(item, f"{prefix}-{n}", "f") for n, item in enumerate(items_of(*texts))]
    return lane.producer.append(keyed, on_refusal=on_refusal).count


def latest(lane: OneLane) -> dict[bytes, bytes]:
    return lane.client.hgetall(f"{lane.base}:latest")


def counts(lane: OneLane) -> dict[str, int]:
    return lane.now.counts


# -- which events leave -------------------------------------------------------------------------------


def test_only_the_latest_of_a_key_is_sent(lane: OneLane) -> None:
    """From one pack and from several; other keys, other channels and events without a key are not touched."""
    put(lane, "1:k", "2:k", "3", "4:l")
    put(lane, "5:k", channel="d")
    put(lane, "6:k")
    put(lane, "7")
    assert lane.now.queue.depth == 7, "nothing leaves before its turn"
    assert lane.drain() == [b"3", b"4", b"5", b"6", b"7"]
    assert counts(lane) == {"collapsed": 2, "settled": 5}
    check_lane(lane.client, lane.app, 0)


def test_one_event_alone_has_a_short_way(lane: OneLane) -> None:
    """Each `delay` is a pack of one item."""
    for body in ("1:k", "2", "3:k", "4:l", "5:k"):
        put(lane, body)
    assert lane.drain() == [b"2", b"4", b"5"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("c", "1k"), ("c1", "k")),
        (("1:c", "k"), ("1", ":ck")),
        (("c", "é\u2028"), ("c", "é")),
        (("c", "\0"), ("c", "0")),
    ],
)
def test_keys_of_two_channels_are_never_one(lane: OneLane, one: tuple[str, str], other: tuple[str, str]) -> None:
    """However channel and key are cut, and whatever characters a key has."""
    places = [one, other, one, other]
    lane.producer.append([Item(channel, b"%d" % n, 0, key) for n, (channel, key) in enumerate(places)])
    assert lane.drain() == [b"2", b"3"]
    assert latest(lane) == {}


def test_many_ticks_leave_in_few_takes(lane: OneLane) -> None:
    """A take moves a bounded number; what is left is each key's last event, in their order."""
    items = [Item("c", b"%05d" % n, 0, f"k{n % 7}") for n in range(2500)]
    lane.producer.append(items)
    assert lane.drain() == [b"%05d" % n for n in range(2493, 2500)]
    assert counts(lane)["collapsed"] == 2493
    assert latest(lane) == {}
    check_lane(lane.client, lane.app, 0)


def test_items_without_a_key_go_with_their_pack(lane: OneLane) -> None:
    """A pack in which nothing is obsolete is one batch, in order."""
    put(lane, *(f"{n}:k{n}" if n % 2 else str(n) for n in range(MAX_ITEMS)))
    assert lane.drain() == [b"%d" % n for n in range(MAX_ITEMS)]
    assert "collapsed" not in counts(lane)


# -- what is marked stays -----------------------------------------------------------------------------


def test_marked_event_stays_when_a_later_one_comes(lane: OneLane) -> None:
    """It may be out. Also where the pack is looked at item by item, as only a part of it is marked."""
    put(lane, "1:k", "2:l", "3:m")
    holder = lane.acquire()
    batch = lane.take(holder, max_items=2)
    put(lane, "4:k", "5:l", "6:m")
    again = lane.take(holder, max_items=2)
    assert bodies_of(again) == [b"1", b"2"] == bodies_of(batch)
    lane.journal.settle(holder, again.head(1))
    rest = lane.take(holder, max_items=9)
    assert (bodies_of(rest), rest.resent) == ([b"2"], True)
    lane.journal.settle(holder, rest)
    assert bodies_of(lane.take(holder)) == [b"4", b"5", b"6"], "3 was never marked"
    assert counts(lane)["collapsed"] == 1


def test_marked_event_stays_beside_a_held_channel(lane: OneLane) -> None:
    """A held channel makes every take look at each item."""
    put(lane, "0", channel="h")
    put(lane, "1:k", "2:l")
    put(lane, "3:k", channel="h")
    holder = lane.acquire()
    lane.hold_first(holder, retry_in_s=1000)
    batch = lane.take(holder)
    put(lane, "4:k", "5:l")
    assert bodies_of(lane.take(holder)) == [b"1", b"2"] == bodies_of(batch)


def test_event_that_was_certainly_not_sent_is_replaced(lane: OneLane) -> None:
    """Its marker is removed: it waits unsent again, as while the server refuses connections."""
    put(lane, "1:k", "2:l")
    holder = lane.acquire()
    lane.journal.unmark(holder, lane.take(holder))
    assert bodies_of(lane.take(holder)) == [b"1", b"2"], "nothing has come meanwhile"
    lane.journal.unmark(holder, lane.take(holder))
    put(lane, "3:k")
    assert bodies_of(lane.take(holder)) == [b"2", b"3"]


def test_unreadable_marker_covers_and_keeps(lane: OneLane) -> None:
    """What may have been sent by a lost marker is not dropped; what it left in the hash goes with the sweep."""
    put(lane, "1:k", "2:k")
    lane.client.hset(f"{lane.base}:state", "marker", "no marker")
    put(lane, "3:l")
    assert lane.drain() == [b"1", b"2", b"3"]
    assert latest(lane) != {}
    lane.journal.sweep([0])
    assert latest(lane) == {}


# -- holds --------------------------------------------------------------------------------------------


def test_held_channel_keeps_only_the_latest(lane: OneLane) -> None:
    """The stuck event stays; behind it each event is replaced, in the lane and in the hold."""
    put(lane, "stuck", "1:k", "2:l")
    holder = lane.acquire()
    lane.journal.hold(holder, lane.take(holder, max_items=1), retry_in_s=1000)
    assert lane.taken(holder).batch is None
    assert lane.now.holds["c"].bodies == [b"stuck", b"1", b"2"]
    put(lane, "3:k", "4", "5:k", "6:l")
    assert lane.taken(holder).batch is None
    assert lane.now.holds["c"].bodies == [b"stuck", b"1", b"2", b"4", b"5", b"6"], "3 left in the lane"
    own = lane.acquire("c")
    batch = lane.take(own)
    assert (bodies_of(batch), batch.resent) == ([b"stuck"], True)
    taken = lane.journal.settle_and_take(own, batch, max_items=9, max_bytes=999)
    assert bodies_of(taken.batch) == [b"4", b"5", b"6"], "1 and 2 are obsolete in the hold"
    assert latest(lane) == {}
    lane.journal.settle(own, taken.batch)
    assert lane.now.holds == {}
    assert counts(lane) == {"stuck": 1, "collapsed": 3, "settled": 4}


def test_event_unsent_in_a_hold_keeps_its_number(lane: OneLane) -> None:
    """Taken from the hash by a take, given back by unmark, then held: a later one still replaces it."""
    put(lane, "0", "1:k")
    holder = lane.acquire()
    lane.journal.unmark(holder, lane.take(holder))
    lane.journal.hold(holder, lane.take(holder, max_items=1), retry_in_s=1000)
    assert lane.taken(holder).batch is None
    put(lane, "2:k")
    assert lane.taken(holder).batch is None
    own = lane.acquire("c")
    taken = lane.journal.settle_and_take(own, lane.take(own), max_items=9, max_bytes=999)
    assert bodies_of(taken.batch) == [b"2"]
    assert counts(lane)["collapsed"] == 1


def test_marked_event_that_moves_to_a_hold_stays(lane: OneLane) -> None:
    """Behind a stuck event, with the time of its first attempt."""
    put(lane, "stuck", "1:k")
    holder = lane.acquire()
    lane.journal.hold(holder, lane.take(holder), retry_in_s=1000)
    put(lane, "2:k")
    assert lane.taken(holder).batch is None
    own = lane.acquire("c")
    assert bodies_of(lane.take(own)) == [b"stuck", b"1"]


# -- expiry, dead letters, replay ---------------------------------------------------------------------


@pytest.mark.parametrize("on_expired", ["drop", "dead"])
def test_expired_latest_takes_the_others_with_it(redis_url: str, on_expired: str) -> None:
    """The latest wins, and it has expired. An obsolete event is no dead letter, expired or not."""
    lane = OneLane(redis_url, on_expired=on_expired)
    put(lane, "1:k")
    put(lane, "2:k", expires_ms=PAST)
    put(lane, "3:k", expires_ms=PAST)
    put(lane, "4:l", expires_ms=FUTURE)
    assert lane.drain() == [b"4"]
    assert counts(lane) == {"collapsed": 2, "expired": 1, "settled": 1}
    assert [body for _, body in lane.now.dead] == ([b"3"] if on_expired == "dead" else [])
    assert latest(lane) == {}
    lane.close()


def test_event_after_an_expired_one_is_sent(lane: OneLane) -> None:
    """The key of what has expired is forgotten."""
    put(lane, "1:k", expires_ms=PAST)
    assert lane.drain() == []
    put(lane, "2:k")
    assert lane.drain() == [b"2"]


def test_buried_event_replaces_nothing_later(lane: OneLane) -> None:
    """A refused event was the latest when it was taken; the next of its key is sent."""
    put(lane, "1:k")
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
    assert latest(lane) == {}
    put(lane, "2:k")
    assert bodies_of(lane.take(holder)) == [b"2"]


def test_buried_latest_took_the_earlier_with_it(lane: OneLane) -> None:
    """It was accepted, so the earlier one is obsolete; the server refused it later."""
    put(lane, "1:k", "2:k")
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
    assert lane.taken(holder).batch is None
    assert [letter.item for letter in lane.dead.oldest(9)] == [b"2"]
    assert counts(lane) == {"collapsed": 1, "refused": 1}


def test_replayed_letter_has_no_collapse_key(lane: OneLane) -> None:
    """A person wants it delivered: it is neither dropped nor does it replace what waits."""
    put(lane, "1:k")
    holder = lane.acquire()
    lane.journal.bury(holder, lane.take(holder), DeadLetterFields("refused"))
    put(lane, "2:k")
    [letter] = lane.dead.oldest(1)
    lane.dead.replay(letter, letter.item)
    put(lane, "3:k")
    assert bodies_of(lane.take(holder)) == [b"1", b"3"]


def test_unreadable_entry_is_quarantined_and_forgotten(lane: OneLane) -> None:
    """Its place among the latest goes when nothing waits in the lane; until then it drops what it replaced."""
    put(lane, "1:k")
    put(lane, "2:k")
    [_, (entry, _)] = lane.client.xrange(f"{lane.base}:stream")
    lane.client.xdel(f"{lane.base}:stream", entry)
    lane.client.xadd(f"{lane.base}:stream", {"v": "1", "n": "many", "m": "{}", "b": "x", "x": "0"}, id="*")
    assert lane.drain() == []
    assert [letter.reason for letter in lane.dead.oldest(9)] == ["unreadable"]
    assert latest(lane) != {}
    lane.journal.sweep([0])
    assert latest(lane) == {}


# -- appends ------------------------------------------------------------------------------------------


def test_keyed_events_collapse(lane: OneLane) -> None:
    """Also among plain ones; what a key has stored before replaces nothing."""
    assert put_once(lane, "1:k", "2", "3:k") == 3
    put(lane, "4:l")
    assert put_once(lane, "5:l", prefix="other") == 1
    assert put_once(lane, "1:k", "2", "3:k") == 0, "stored already"
    assert put_once(lane, *["6"] * 2, prefix="plain") == 2
    assert lane.drain() == [b"2", b"3", b"5", b"6", b"6"]
    assert put_once(lane, "1:k", "2", "3:k") == 0
    assert lane.drain() == []


def test_keyed_events_expire_and_collapse(lane: OneLane) -> None:
    """More than one entry holds, with and without an expiry."""
    items = [Item("c", b"%d" % n, FUTURE if n % 2 else 0, f"k{n % 3}") for n in range(MAX_ITEMS + 5)]
    assert lane.producer.append([KeyedItem(item, f"{n}", "f") for n, item in enumerate(items)]).count == len(items)
    assert lane.drain() == [b"102", b"103", b"104"]


@pytest.mark.parametrize("is_keyed", [False, True])
def test_event_that_does_not_fit_replaces_nothing(redis_url: str, is_keyed: bool) -> None:
    """A full lane stores the first events of the call, and only these count."""
    lane = OneLane(redis_url, max_backlog=3)
    put(lane, "1:k")
    items = items_of("2:l", "3:k", "4:k", "5:l")
    given = [KeyedItem(item, item.body.decode(), "f") for item in items] if is_keyed else items
    appended = lane.producer.append(given, on_refusal=OnRefusal.SKIP)
    assert (appended.count, sorted(appended.refused)) == (2, [2, 3])
    assert lane.drain() == [b"2", b"3"]
    assert isinstance(lane.producer.append(items_of(*"12345")).failure, BacklogFull)
    lane.close()


def test_pack_that_does_not_fit_replaces_nothing(redis_url: str) -> None:
    """The second pack of a call finds the lane full."""
    lane = OneLane(redis_url, max_backlog=MAX_ITEMS)
    items = items_of(*(f"{n}:k{n}" for n in range(MAX_ITEMS)), "last:k0")
    appended = lane.producer.append(items, on_refusal=OnRefusal.SKIP)
    assert (appended.count, sorted(appended.refused)) == (MAX_ITEMS, [MAX_ITEMS])
    assert len(lane.bodies) == MAX_ITEMS
    assert lane.drain() == [b"%d" % n for n in range(MAX_ITEMS)]
    lane.close()


def test_packs_of_a_call_without_keys_stay_plain(lane: OneLane) -> None:
    """Only the entry of a pack with a collapse key has a number."""
    lane.producer.append([*items_of(*(str(n) for n in range(MAX_ITEMS))), *items_of("a:k")])
    plain, numbered = lane.entries()
    assert set(plain) == {b"v", b"n", b"x", b"m", b"b"}
    assert set(numbered) == {b"v", b"n", b"x", b"m", b"b", b"f"}
    put(lane, "b")
    assert put_once(lane, "c", "d") == 2
    assert set(lane.entries()[2]) == set(lane.entries()[3]) == set(plain)
    assert latest(lane) == {b"1:ck": numbered[b"f"]}


def test_numbers_never_fall(lane: OneLane) -> None:
    """Also when the lane was empty in between."""
    seen = []
    for _ in range(3):
        put(lane, "1:k", "2:k")
        seen.append(int(lane.entries()[0][b"f"]))
        lane.drain()
    assert seen == [1, 3, 5]


# -- what cannot be read, and what fails --------------------------------------------------------------


def test_counter_that_is_no_number_begins_again(lane: OneLane) -> None:
    """Nothing is lost: an event with a higher number is not obsolete."""
    put(lane, *(f"{n}:k" for n in range(5)))
    lane.client.hset(f"{lane.base}:state", "numbered", "many")
    put(lane, "a:k", "b:k")
    assert lane.state("numbered") == b"2"
    assert lane.drain()[-1] == b"b"
    put(lane, "c:k", "d:k")
    assert lane.drain() == [b"d"]


@pytest.mark.parametrize("value", ["many", "", "-1"])
def test_number_of_the_latest_that_is_none(lane: OneLane, value: str) -> None:
    """Nothing is obsolete then, until the next event of the key."""
    put(lane, "1:k", "2:k")
    lane.client.hset(f"{lane.base}:latest", "1:ck", value)
    holder = lane.acquire()
    assert bodies_of(lane.take(holder)) == [b"1", b"2"]


@pytest.mark.parametrize("number", ["", "many", "-1", "9" * 16, "1.5"])
def test_entry_with_a_number_that_is_none(lane: OneLane, number: str) -> None:
    """It is delivered, as one without numbers."""
    put(lane, "1:k", "2:k")
    [fields] = lane.entries()
    lane.client.delete(f"{lane.base}:stream")
    lane.client.xadd(f"{lane.base}:stream", {**fields, b"f": number})
    assert lane.drain() == [b"1", b"2"]


@pytest.mark.parametrize("keys", ['["k"]', '"kk"', "[1,2]", "[null,false]", "{}"])
def test_collapse_keys_that_are_none(lane: OneLane, keys: str) -> None:
    """Delivered too: the meta says where the items are."""
    put(lane, "1:k", "2:k")
    [fields] = lane.entries()
    lane.client.delete(f"{lane.base}:stream")
    lane.client.xadd(f"{lane.base}:stream", {**fields, b"m": f'{{"n":[1,1],"c":["c","c"],"k":{keys}}}'})
    assert lane.drain() == [b"1", b"2"]


def test_hash_of_another_type_begins_again(lane: OneLane) -> None:
    """Events are stored and delivered; status names the key until then."""
    put(lane, "1:k")
    lane.client.delete(f"{lane.base}:latest")
    lane.client.set(f"{lane.base}:latest", "x")
    put(lane, "2:k")
    [shown] = journal_status(lane.journal.link, lane.app, [0]).lanes
    assert shown.unreadable == (f"{lane.base}:latest holds a string, expected a hash",)
    assert lane.drain() == [b"1", b"2"]
    assert counts(lane)["unreadable_records"] == 1
    put(lane, "3:k", "4:k")
    assert lane.drain() == [b"4"]


@pytest.fixture
def make_denied(client: redis.Redis, redis_url: str):
    """A URL of a user without some commands."""
    made = []

    def make(*rules: str) -> str:
        client.acl_setuser("collapser", enabled=True, nopass=True, keys="*", commands=["+@all", *rules])
        made.append("collapser")
        return redis_url.replace("redis://", "redis://collapser:x@", 1)

    yield make
    for name in made:
        client.acl_deluser(name)


def test_event_without_the_right_to_collapse_is_stored(lane: OneLane, make_denied) -> None:
    """`HSET` is denied: nothing is obsolete, nothing lost, and the caller hears nothing."""
    put(lane, "1:k")
    producer = Producer(make_denied("-hset"), lane.app, lanes=1, max_backlog=0, key_ttl_ms=1000)
    assert producer.append(items_of("2:k")).count == 1
    assert producer.append([KeyedItem(items_of("3:k")[0], "key", "f")]).count == 1
    assert lane.drain() == [b"1", b"2", b"3"]


def test_take_without_the_right_to_look_takes_nothing(lane: OneLane, make_denied) -> None:
    """`HDEL` is denied: the error reaches the worker, and the events stay."""
    put(lane, "1:k", "2:l")
    journal = Journal(make_denied("-hdel"), lane.app, lanes=1, dead=DeadBounds())
    holder = lane.acquire()
    holder_there = lane.journal
    lane.journal = journal
    with pytest.raises(JournalUnavailable):
        lane.taken(holder)
    lane.journal = holder_there
    assert lane.bodies == [b"1", b"2"]
    assert bodies_of(lane.take(holder)) == [b"1", b"2"]


# -- memory and lanes ---------------------------------------------------------------------------------


def test_sweep_keeps_what_is_needed(lane: OneLane) -> None:
    """The hash goes when nothing waits, not while the lane or a hold has events."""
    put(lane, "1:k", "2:k")
    lane.journal.sweep([0])
    assert latest(lane) != {}
    put(lane, "3:k", channel="h")
    holder = lane.acquire()
    batch = lane.take(holder)
    assert bodies_of(batch) == [b"2", b"3"]
    lane.journal.settle(holder, batch.head(1))
    lane.journal.hold(holder, lane.take(holder), retry_in_s=1000)
    put(lane, "4:k", channel="h")
    assert lane.taken(holder).batch is None
    lane.journal.sweep([0])
    assert latest(lane) == {b"1:hk": b"4"}, "4 waits in the hold"
    put(lane, "5:k", channel="h")
    assert lane.taken(holder).batch is None
    own = lane.acquire("h")
    taken = lane.journal.settle_and_take(own, lane.take(own), max_items=9, max_bytes=999)
    assert bodies_of(taken.batch) == [b"5"]


def test_change_of_lanes_collapses_within_a_lane(redis_url: str, client: redis.Redis) -> None:
    """The old lane's latest is sent, then the new lane's; the old lane leaves no hash."""
    lane = OneLane(redis_url)
    put(lane, "1:k", "2:k")
    wanted = Journal(redis_url, lane.app, lanes=2)
    assert wanted.ask_for_lanes()
    wanted.advance_layout()
    put(lane, "3:k", "4:k")
    assert lane.drain() == [b"2"]
    wanted.advance_layout()
    new = 1 + lane_of("c", 2)
    assert new in wanted.lanes()
    holder = wanted.acquire(new)
    assert holder is not None
    taken = wanted.take(holder, max_items=9, max_bytes=999)
    assert bodies_of(taken.batch) == [b"4"]
    wanted.settle(holder, taken.batch)
    wanted.release(holder)
    assert not list(client.scan_iter("*:latest"))
    counted = journal_status(wanted.link, lane.app, [0, new]).counters
    assert counted["collapsed"] == 2
    lane.close()

"""Entries, markers and heads that the journal never wrote: what is sound around them is delivered once, in order."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sockudo_publisher.delivery.outcome import NoReply, Reply
from sockudo_publisher.journal.app.shared import LONGEST_PAUSE_MS
from sockudo_publisher.journal.dead_letters import DeadLetters
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from tests.integration.delivery.world import APP, Control, DrainWorld, stopped
from tests.unit.delivery.model import TEXT, AnswerLost, NotSent, RequestLost, item

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ONE = item("stranger", "c-0")
META = b'{"n":[%d],"c":["c-0"]}' % len(ONE)

#: What one entry may hold instead of what the journal writes; none of it says where its items are.
UNREADABLE: dict[str, dict[str, bytes]] = {
    "no known field": {"x": b"1"},
    "no version": {"n": b"1", "x": b"0", "m": META, "b": ONE},
    "an empty version": {"v": b"", "n": b"1", "x": b"0", "m": META, "b": ONE},
    "a version that is no number": {"v": b"one", "n": b"1", "x": b"0", "m": META, "b": ONE},
    "version 0": {"v": b"0", "n": b"1", "x": b"0", "m": META, "b": ONE},
    "version -2": {"v": b"-2", "n": b"1", "x": b"0", "m": META, "b": ONE},
    "no count": {"v": b"1", "x": b"0", "m": META, "b": ONE},
    "no meta": {"v": b"1", "n": b"1", "x": b"0", "b": ONE},
    "no body": {"v": b"1", "n": b"1", "x": b"0", "m": META},
    "an empty body": {"v": b"1", "n": b"1", "x": b"0", "m": META, "b": b""},
    **{
        f"count {count!r}": {"v": b"1", "n": count, "x": b"0", "m": META, "b": ONE}
        for count in (b"", b"x", b"0", b"-1", b"0.5", b"nan", b"inf", b"-inf", b"1e999", b"9" * 40, b"\xff", b"{}")
    },
}

#: A meta that does not fit; the expiry makes take look at it.
METAS: dict[str, bytes] = {
    **{
        f"meta {text[:20]!r}": text
        for text in (b"", b"{", b"null", b"1", b"[]", b'"x"', b"\xff\xfe", b"{}", b"[" * 2000)
    },
    "no lengths": b'{"c":["c-0"]}',
    "no channels": b'{"n":[%d]}' % len(ONE),
    "one length too many": b'{"n":[%d,1],"c":["c-0"]}' % len(ONE),
    "no channel": b'{"n":[%d],"c":[]}' % len(ONE),
    "a channel that is a number": b'{"n":[%d],"c":[1]}' % len(ONE),
    "a channel without a name": b'{"n":[%d],"c":[""]}' % len(ONE),
    "a channel that is no text": b'{"n":[%d],"c":["\\ud800"]}' % len(ONE),
    "another encoding": META.decode().encode("utf-16"),
    "a length that is text": b'{"n":["%d"],"c":["c-0"]}' % len(ONE),
    "a negative length": b'{"n":[-1],"c":["c-0"]}',
    "a length that is too small": b'{"n":[1],"c":["c-0"]}',
    "a length that is too large": b'{"n":[99999],"c":["c-0"]}',
    "a length with a fraction": b'{"n":[%d.5],"c":["c-0"]}' % len(ONE),
    "a length that is none": b'{"n":[NaN],"c":["c-0"]}',
    "lengths that are an object": b'{"n":{"a":1},"c":["c-0"]}',
    "expiries that are a number": b'{"n":[%d],"c":["c-0"],"x":7}' % len(ONE),
    "too few expiries": b'{"n":[%d],"c":["c-0"],"x":[]}' % len(ONE),
    "an expiry that is text": b'{"n":[%d],"c":["c-0"],"x":["7"]}' % len(ONE),
    "an expiry that is none": b'{"n":[%d],"c":["c-0"],"x":[null]}' % len(ONE),
    "a negative expiry": b'{"n":[%d],"c":["c-0"],"x":[-7]}' % len(ONE),
    "a huge expiry": b'{"n":[%d],"c":["c-0"],"x":[1e300]}' % len(ONE),
}


def add(world: DrainWorld, fields: dict[str, bytes], lane: int = 0) -> str:
    """An entry of a stranger at a lane's tail."""
    entry: bytes = world.redis.xadd(lane_keys(APP, lane).stream, fields)
    world.redis.hset(lane_keys(APP, lane).state, "armed", "1")
    return entry.decode()


def raw(fields: dict[str, bytes]) -> bytes:
    """An entry as its letter keeps it."""
    parts = [part for name, value in fields.items() for part in (name.encode(), value)]
    return b"".join(b"%d:%s," % (len(part), part) for part in parts)


def letters_of(world: DrainWorld) -> Sequence[object]:
    return DeadLetters(world.journal.link, APP, range(world.lanes)).oldest(1000)


def check(world: DrainWorld, fields: dict[str, bytes], *, maybe_delivered: bool = False) -> None:
    """One letter with the whole entry; all else delivered once and in order, and nothing left."""
    [letter] = letters_of(world)
    assert (letter.reason, letter.maybe_delivered) == ("unreadable", maybe_delivered)
    assert letter.item == raw(fields)
    assert letter.raw_entry
    assert world.counts()["unreadable"] == 1
    world.check()


@pytest.mark.parametrize("fields", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 2), (2, 0), (0, 0)])
def test_unreadable_entry_leaves_and_all_else_arrives(
    world: DrainWorld, fields: dict[str, bytes], before: int, after: int
) -> None:
    """Wherever it stands, in one drain."""
    world.append(world.channel(), before) if before else None
    add(world, fields)
    world.append(world.channel(), after) if after else None
    world.drain()
    check(world, fields)


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS)
def test_meta_that_does_not_fit_is_met_where_it_is_read(world: DrainWorld, meta: bytes) -> None:
    """An expiry makes take look into the pack."""
    fields = {"v": b"1", "n": b"1", "x": b"4000000000000", "m": meta, "b": ONE}
    world.append(world.channel(), 2)
    add(world, fields)
    world.append(world.channel(), 2)
    world.drain()
    check(world, fields)


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS)
def test_whole_pack_needs_no_meta(world: DrainWorld, meta: bytes) -> None:
    """It is joined as it stands: an event that can be delivered is."""
    add(world, {"v": b"1", "n": b"1", "x": b"0", "m": meta, "b": item("whole", world.channel())})
    world.appended.append((world.channel(), "whole"))
    world.append(world.channel(), 1)
    world.drain()
    assert letters_of(world) == []
    world.redis.hset(lane_keys(APP, 0).state, "depth", 0)  # it was not counted
    world.check()


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS)
def test_refused_batch_finds_the_meta_that_does_not_fit(world: DrainWorld, meta: bytes) -> None:
    """Its body is no JSON: the server refuses the batch, the search comes to the entry."""
    fields = {"v": b"1", "n": b"2", "x": b"0", "m": meta, "b": b'{"channel":,"x"}'}

    def post(body: bytes) -> Reply | NoReply:
        try:
            json.loads(body)
        except ValueError:
            return Reply(400, b"Failed to parse the request body as JSON: x", TEXT)
        return world.server.post(body)

    world.append(world.channel(), 3)
    add(world, fields)
    world.append(world.channel(), 3)
    world.drain(post=post)
    # It has been in the batches that were refused.
    check(world, fields, maybe_delivered=True)


@pytest.mark.parametrize("kind", ["a channel without a name", "a channel that is no text"])
@pytest.mark.parametrize("answer", ["refused", "stuck"])
def test_channel_that_is_none_is_met_when_its_item_leaves(world: DrainWorld, kind: str, answer: str) -> None:
    """A dead letter or a held channel cannot have that name: the drain failed for ever, or the hold had no end."""
    fields = {"v": b"1", "n": b"1", "x": b"0", "m": METAS[kind], "b": ONE}
    if answer == "refused":
        world.server.poison = {"stranger"}
    else:
        world.server.claim("stranger", "c-0")
    world.append(world.channel(), 2)
    add(world, fields)
    world.append(world.channel(), 2)
    world.drain()
    check(world, fields, maybe_delivered=True)
    assert world.holds() == []


def test_item_that_an_odd_answer_was_blamed_on_is_not_sent_again(world: DrainWorld) -> None:
    """Its bytes name it; where it has no id the server would publish it once more."""
    channel = world.channel()
    bodies = [item("a", channel), item("x", channel) + b"," + item("y", channel), item("b", channel)]
    meta = json.dumps({"n": [len(one) for one in bodies], "c": [channel] * 3}).encode()
    add(world, {"v": b"1", "n": b"3", "x": b"0", "m": meta, "b": b",".join(bodies)})
    world.drain()
    assert world.server.requests == [["a", "x", "y", "b"], ["a"], ["b"]]
    [letter] = world.letters()
    assert (letter["reason"], letter["maybe_delivered"], letter["item"]) == ("unreadable", "1", bodies[1].decode())
    assert letter["message"].startswith("200 with 4 receipts for a batch of 3; item: not exactly one JSON object")
    assert world.depth() == 0


def test_fields_are_found_by_their_names(world: DrainWorld) -> None:
    """In any order, beside others that a later release may write."""
    one, two = item("one", world.channel()), item("two", world.channel())
    add(world, {"b": one, "m": META, "tp": b"00-x", "n": b"1", "x": b"0", "v": b"1"})
    meta = json.dumps({"n": [len(two)], "c": [world.channel()], "x": [4 * 10**12]}).encode()
    add(world, {"v": b"1", "q": b"7", "n": b"1", "x": b"4000000000000", "m": meta, "b": two})
    world.drain()
    assert world.server.seen(world.channel()) == ["one", "two"]
    assert letters_of(world) == []


@pytest.mark.parametrize("version", [b"2", b"10", b"99999999999999999999"])
def test_newer_release_is_waited_for(world: DrainWorld, version: bytes) -> None:
    """Its entry is never touched, whatever else it holds."""
    world.append(world.channel(), 1)
    add(world, {"w": b"?", "v": version})
    world.drain()
    assert len(world.server.delivered) == 1
    assert world.depth() == 1
    assert letters_of(world) == []


def test_many_in_a_row_leave_in_one_drain(world: DrainWorld) -> None:
    """And the events between them are delivered."""
    for _ in range(3):
        for _ in range(40):
            add(world, {"v": b"1", "n": b"?"})
        world.append(world.channel(), 2)
    world.drain()
    assert len(letters_of(world)) == 120
    world.check()


@pytest.mark.parametrize("place", [0, 1, 2, 3], ids=["head", "inside", "end", "behind"])
def test_entry_inside_what_is_marked_may_have_been_delivered(world: DrainWorld, place: int) -> None:
    """It was spoiled after it had been sent; the marker goes on without it, and grows over nothing."""
    for _ in range(3):
        world.append(world.channel(), 2)
    world.server.faults = [RequestLost()]
    world.drain(control=Control(world, stops_after=1))
    assert world.marker() is not None
    world.append(world.channel(), 2)
    entries = world.redis.xrange(lane_keys(APP, 0).stream)
    gone = spoil(world, entries, place)
    world.pass_time(2)
    world.server.requests.clear()
    world.settle_down()
    [letter] = letters_of(world)
    assert letter.maybe_delivered == (place < 3)
    assert (letter.first_ms > 0) == (place < 3)
    world.check(without=gone)
    marked = {one for index in range(3) if index != place for one in ids_of(entries[index][1])}
    behind = set(ids_of(entries[3][1]))
    assert not any(marked & set(ids) and behind & set(ids) for ids in world.server.requests)


def ids_of(fields: dict[bytes, bytes]) -> list[str]:
    return [one["message_id"] for one in json.loads(b"[" + fields[b"b"] + b"]")]


def spoil(world: DrainWorld, entries: list[tuple[bytes, dict[bytes, bytes]]], place: int) -> list[str]:
    """Write the stream again with one entry that has lost its count, under the same ids."""
    stream = lane_keys(APP, 0).stream
    world.redis.delete(stream)
    for index, (entry, fields) in enumerate(entries):
        kept = {name: value for name, value in fields.items() if index != place or name != b"n"}
        world.redis.xadd(stream, kept, id=entry)
    return ids_of(entries[place][1])


#: Values of the state's fields `marker` and `head` that no script writes.
GARBAGE = [
    b"",
    b"x",
    b"-1",
    b"1.5",
    b"nan",
    b"inf",
    b"1e999",
    b"9" * 40,
    b"\xff\xfe",
    b"{",
    b"1 2",
    b"1 1-1",
    b"x 1-1 1",
]
MARKERS = [
    *GARBAGE,
    b"1 1-1 x",
    b"1 9999999999999-0 1",
    b"1 1-1 1",
    b"9999999999999999999 1-1 1",
    b"1 1-1 1 x",
    b"1 1-1-1 1",
]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("policy", ["resend", "park"])
def test_unreadable_marker_covers_one_batch_at_an_unknown_time(world: DrainWorld, marker: bytes, policy: str) -> None:
    """What was sent before is uncertain, as the policy says; nothing else is; nothing is lost."""
    world.policy = type(world.policy)(batch_max_events=4, on_uncertain=policy)
    world.journal._batch_max_events = 4
    ids = [one for _ in range(6) for one in world.append(world.channel())]
    world.redis.hset(lane_keys(APP, 0).state, "marker", marker)
    world.drain()
    letters = world.letters()
    parked = [json.loads(letter["item"])["message_id"] for letter in letters]
    # A marker whose end has left says that all of it has: then nothing is uncertain.
    assert parked in ([], ids[:4]) if policy == "park" else parked == []
    assert all(letter["reason"] == "uncertain" and letter["maybe_delivered"] == "1" for letter in letters)
    world.check(without=parked)


@pytest.mark.parametrize("head", [*GARBAGE[1:10], b"2", b"3", b"100"])
@pytest.mark.parametrize("policy", ["resend", "park"])
def test_unreadable_head_loses_nothing(world: DrainWorld, head: bytes, policy: str) -> None:
    """What had left may go out once more, or is parked: both are reported; the server remembers the resent ones."""
    world.policy = type(world.policy)(batch_max_events=4, on_uncertain=policy)
    world.journal._batch_max_events = 4
    ids = world.append(world.channel(), 2) + world.append(world.channel(), 4)
    world.redis.hset(lane_keys(APP, 0).state, "head", head)
    world.drain()
    parked = [json.loads(letter["item"])["message_id"] for letter in world.letters()]
    assert sorted(parked + world.server.seen(world.channel())) == sorted(ids)
    assert world.server.repeated() == {}
    assert world.depth() == 0


def test_held_channel_with_an_unreadable_clock_is_uncertain(world: DrainWorld) -> None:
    """Its event is kept: it was sent at an unknown time."""
    world.policy = type(world.policy)(on_uncertain="park")
    channel = world.channel()
    [one] = world.append(channel)
    world.server.claim(one, channel)
    world.drain()
    assert world.holds() == [channel]
    stream = lane_keys(APP, 0).hold(channel).stream
    [(entry, fields)] = world.redis.xrange(stream)
    world.redis.delete(stream)
    world.redis.xadd(stream, {**fields, b"t": b"soon"}, id=entry)
    world.drain(0, channel)
    [letter] = world.letters()
    assert (letter["reason"], letter["maybe_delivered"], letter["first_ms"]) == ("uncertain", "1", "0")
    assert world.holds() == []


@pytest.mark.parametrize("ahead_ms", [3_600_000, 10**13])
def test_attempt_in_the_future_is_at_an_unknown_time(world: DrainWorld, ahead_ms: int) -> None:
    """It would be safe to send again until then."""
    world.policy = type(world.policy)(on_uncertain="park")
    ids = world.append(world.channel(), 2)
    [(entry, _)] = world.redis.xrange(lane_keys(APP, 0).stream)
    marker = b"%d %s 2" % (world.journal.now_ms() + ahead_ms, entry)
    world.redis.hset(lane_keys(APP, 0).state, "marker", marker)
    world.drain()
    assert [letter["reason"] for letter in world.letters()] == ["uncertain"] * 2
    world.check(without=ids)


@pytest.mark.parametrize("ahead_ms", [LONGEST_PAUSE_MS + 60_000, 10**13])
def test_pause_that_ends_in_the_future_is_over(world: DrainWorld, ahead_ms: int) -> None:
    """No pause lasts that long: a clock was set back. A server in trouble pauses as ever, and is asked again."""
    pause = {"reason": "busy", "message": "", "since": 1, "until": world.journal.now_ms() + ahead_ms, "count": 1}
    world.redis.hset(AppKeys.of(APP).pause, mapping=pause)
    world.append(world.channel(), 2)
    world.server.faults = [NotSent()]
    world.drain()
    world.check()


def test_depth_and_counters_that_are_no_numbers_stop_nothing(world: DrainWorld) -> None:
    """A settled batch stays settled: it is not sent again for a counter's sake."""
    keys = lane_keys(APP, 0)
    for value in (b"x", b"1.5", b"nan", b"inf", b"9" * 40, b""):
        world.append(world.channel(), 2)
        world.redis.hset(keys.state, "depth", value)
        world.redis.hset(keys.counts, "settled", value)
        world.append(world.channel(), 2)
        world.redis.hset(keys.state, "depth", value)
        before = len(world.server.requests)
        world.drain()
        assert len(world.server.requests) == before + 1
    world.check()


def test_whatever_lies_in_gone_is_passed_over(world: DrainWorld) -> None:
    """A name that is no place of an item says nothing."""
    world.append(world.channel(), 2)
    for name in (b"x", b"1", b"1-1", b"1-1:x", b"\xff", b"", b"9" * 40 + b"-1:1"):
        world.redis.hset(lane_keys(APP, 0).gone, name, "1")
    world.drain()
    assert len(world.server.delivered) == 2
    world.append(world.channel(), 2)
    world.drain()
    assert len(world.server.delivered) == 4


def test_lease_without_an_end_runs_out(world: DrainWorld) -> None:
    """Of any type: each lease has an end, and a living holder renews it."""
    keys = lane_keys(APP, 0)
    world.append(world.channel(), 1)
    for make in (lambda: world.redis.set(keys.lease, "x"), lambda: world.redis.hset(keys.lease, "a", "b")):
        world.redis.delete(keys.lease)
        make()
        assert world.journal.sweep([0]) == ([], [])
        assert 0 < world.redis.pttl(keys.lease) <= 6000
        world.redis.persist(keys.lease)
        world.drain()
        assert 0 < world.redis.pttl(keys.lease) <= 6000
    world.redis.delete(keys.lease)
    world.drain()
    world.check()


def test_hold_without_events_ends(world: DrainWorld) -> None:
    """Else it would be tried every two seconds, and a change of the lanes would wait for it."""
    channel = world.channel()
    world.redis.zadd(lane_keys(APP, 0).holds, {channel: 1})
    assert world.journal.sweep([0]) == ([], [(0, channel)])
    world.drain(0, channel)
    assert world.holds() == []


@pytest.mark.parametrize("score", [float("inf"), 9e15])
def test_hold_that_is_never_due_is_tried(world: DrainWorld, score: float) -> None:
    """No hold waits for an hour."""
    channel = world.channel()
    [one] = world.append(channel)
    world.server.claim(one, channel)
    world.drain()
    world.server.release(one, channel)
    world.redis.zadd(lane_keys(APP, 0).holds, {channel: score})
    world.journal.sweep([0])
    assert world.journal.sweep([0]) == ([], [(0, channel)])
    world.drain(0, channel)
    world.check()


def test_name_of_a_hold_that_is_no_text_hides_no_other(world: DrainWorld) -> None:
    """No channel is named so."""
    channel = world.channel()
    world.redis.zadd(lane_keys(APP, 0).holds, {b"\xff\xfe": 1, channel: 1})
    assert world.journal.sweep([0]) == ([], [(0, channel)])
    assert not world.journal.has_waiting_hold([1])
    assert world.journal.has_waiting_hold([0])
    world.append(world.channel("d"))
    world.drain()
    assert len(world.server.delivered) == 1


def test_error_in_a_drain_gives_the_lease_back(world: DrainWorld) -> None:
    """Whatever it is; what was marked stays so, and the next holder goes on at once."""
    world.append(world.channel(), 2)

    def fail(body: bytes) -> Reply | NoReply:
        raise ArithmeticError(body)

    with pytest.raises(ArithmeticError):
        world.drain(post=fail)
    assert not world.is_leased()
    assert world.marker() is not None
    world.drain()
    world.check()


def test_failing_lane_rests_longer_each_time(world: DrainWorld) -> None:
    """The sweep does not ring it meanwhile; a drain that delivers ends it."""
    world.append(world.channel(), 2)
    keys = lane_keys(APP, 0)
    rests = []
    for number in range(1, 8):
        world.journal.record_failure(0, None, ValueError("with a payload"))
        state = world.redis.hgetall(keys.state)
        rests.append(round((int(state[b"retry_at"]) - world.journal.now_ms()) / 1000))
        assert (state[b"failures"], state[b"failure"]) == (b"%d" % number, b"ValueError")
        assert world.journal.sweep([0]) == ([], [])
    assert rests == [2, 4, 8, 16, 32, 60, 60]
    assert world.counts()["drain_failed"] == 7
    world.redis.hset(keys.state, "retry_at", 1)
    assert world.journal.sweep([0]) == ([0], [])
    world.drain()
    assert not {b"failures", b"failing_since", b"failure", b"retry_at"} & world.redis.hgetall(keys.state).keys()
    world.check()


def test_stopped_worker_repairs_and_leaves(world: DrainWorld) -> None:
    """A shutdown in between loses nothing."""
    add(world, {"v": b"1"})
    world.append(world.channel(), 1)
    world.drain(control=stopped(world.control))
    world.drain()
    check(world, {"v": b"1"})


def test_answer_lost_over_a_spoiled_pack(world: DrainWorld) -> None:
    """What is not known to be delivered, and cannot be read any more, is reported as that."""
    channel = world.channel()
    world.append(channel, 1)
    world.append(channel, 1)
    world.server.faults = [AnswerLost()]
    world.drain(control=Control(world, stops_after=1))
    entries = world.redis.xrange(lane_keys(APP, 0).stream)
    gone = spoil(world, entries, 1)
    world.pass_time(2)
    world.settle_down()
    [letter] = letters_of(world)
    assert letter.maybe_delivered
    assert set(world.server.seen(channel)) >= set(gone)
    world.check()

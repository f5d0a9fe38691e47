"""The number of lanes changes under producers and holders: decided cases, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import redis

from sockudo_publisher.errors import IdempotencyConflict
from sockudo_publisher.journal.appended import OnRefusal
from sockudo_publisher.journal.dead_letters import DeadLetters
from sockudo_publisher.journal.holder import DeadLetterFields, Journal
from sockudo_publisher.journal.keys import AppKeys, lane_keys
from sockudo_publisher.journal.layout.layout import MAX_RETIRED, Layout, LayoutRecord, Phase, Span, read_layout
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.redis.scripts import Answer
from tests.integration.journal.conftest import APP, LANES

pytestmark = pytest.mark.integration

CHANNELS = [f"c{n}" for n in range(24)]
HOUR_MS = 3_600_000


def append(producer: Producer, channels: Sequence[str], text: str = "x") -> None:
    appended = producer.append([Item(channel, f"{channel}:{text}".encode()) for channel in channels])
    assert appended.failure is None
    assert appended.count == len(channels)


def keyed(channel: str, key: str, fingerprint: str = "f") -> list[KeyedItem]:
    return [KeyedItem(Item(channel, b"keyed"), key, fingerprint)]


def settle_all(journal: Journal, lane: int, channel: str | None = None) -> list[bytes]:
    """Drain a lane that is open; answers the bodies in order."""
    holder = journal.acquire(lane, channel)
    assert holder is not None, lane
    found = []
    while (batch := journal.take(holder, max_items=100, max_bytes=10**6).batch) is not None:
        found += [item.body for item in batch.items()]
        journal.settle(holder, batch)
    if holder.channel is None:
        assert journal.release(holder)
    journal.forget(holder)
    return found


@pytest.fixture
def record(link: RedisLink) -> LayoutRecord:
    return LayoutRecord(link, APP, LANES)


@pytest.fixture
def stale(make_producer: Callable[..., Producer]) -> Iterator[Producer]:
    """A producer that has looked at the layout before anything changes."""
    producer = make_producer()
    producer.layout()
    return producer


@pytest.mark.parametrize(
    "layout",
    [
        Layout(Span(0, 8)),
        Layout(Span(0, 8)).flipped(3),
        Layout(Span(0, 8)).flipped(3).closed(17),
        Layout(Span(0, 8)).flipped(3).closed(17).drained().flipped(250).closed(99),
    ],
)
def test_layout_is_read_as_it_was_written(layout: Layout) -> None:
    """A bare number until the first change, JSON after it."""
    assert read_layout(layout.text()) == layout
    assert layout.text().isdigit() == (layout == Layout(Span(0, 8)))


@pytest.mark.parametrize("count", [1, 5])
def test_new_lanes_wait_until_the_old_ones_are_empty(
    record: LayoutRecord, producer: Producer, stale: Producer, journal: Journal, count: int
) -> None:
    """Growing and shrinking: what was appended first is taken first, also by a producer that knows nothing of it."""
    append(producer, CHANNELS, "1")
    assert record.ask_for(count)
    append(stale, CHANNELS, "2")
    assert record.read().phase is Phase.CLOSING, "the old lanes are open until a worker closes them"
    assert record.closed() == record.read()
    append(stale, CHANNELS, "3")
    append(producer, CHANNELS, "3")
    new = record.read()
    assert (new.phase, new.span, new.appending) == (Phase.DRAINING, Span(LANES, count), Span(LANES, count))

    assert [journal.acquire(lane) for lane in new.span.lanes] == [None] * count
    assert journal.advance_layout() == (0, 1), "still"
    old = [settle_all(journal, 0)]
    assert journal.acquire(new.span.first) is None
    old.append(settle_all(journal, 1))
    assert journal.acquire(new.span.first) is None, "not before a worker has seen that they are empty"
    assert journal.advance_layout() == (0, 1, *new.span.lanes)

    bodies = [settle_all(journal, lane) for lane in new.span.lanes]
    assert sorted(body for lane in old for body in lane) == sorted(f"{c}:{n}".encode() for c in CHANNELS for n in "12")
    assert sorted(body for lane in bodies for body in lane) == sorted(f"{c}:3".encode() for c in CHANNELS for _ in "33")


def test_producer_at_a_half_closed_layout_closes_the_rest(
    record: LayoutRecord, link: RedisLink, producer: Producer, stale: Producer
) -> None:
    """Who began to close is dead. Nothing goes to a new lane while an old one is open to others."""
    assert record.ask_for(3)
    link.script("mark", (lane_keys(APP, 1).state,), ("closed",))
    open_channel = next(c for c in CHANNELS if Span(0, LANES).lane_of(c) == 0)
    closed_channel = next(c for c in CHANNELS if Span(0, LANES).lane_of(c) == 1)
    append(producer, [open_channel])
    assert record.read().phase is Phase.CLOSING
    append(producer, [closed_channel])
    assert record.read().phase is Phase.DRAINING
    append(stale, [open_channel, closed_channel])
    assert link.call("XLEN", lane_keys(APP, 0).stream) == 1
    assert link.call("XLEN", lane_keys(APP, 1).stream) == 0


def test_keyed_call_over_a_half_closed_layout_is_stored_whole(
    record: LayoutRecord, link: RedisLink, stale: Producer, journal: Journal
) -> None:
    """Looked at in an open lane and refused by a closed one: nothing was appended yet, and all of it is now."""
    assert record.ask_for(3)
    link.script("mark", (lane_keys(APP, 1).state,), ("closed",))
    assert len({Span(0, LANES).lane_of(channel) for channel in CHANNELS}) == 2
    appended = stale.append([KeyedItem(Item(channel, channel.encode()), "k", "f") for channel in CHANNELS])
    assert (appended.count, list(appended.already_stored), appended.failure) == (len(CHANNELS), [], None)
    found = [body for lane in journal.advance_layout() for body in settle_all(journal, lane)]
    found += [body for lane in journal.advance_layout() for body in settle_all(journal, lane)]
    assert sorted(found) == sorted(channel.encode() for channel in CHANNELS)


def test_late_helper_opens_no_closed_lane(
    record: LayoutRecord, link: RedisLink, make_producer: Callable[..., Producer]
) -> None:
    """It was frozen between reading the record and marking lanes, while another change closed them again."""
    assert record.ask_for(3)
    record.closed()
    record.advanced()
    stale = make_producer()
    stale.layout()
    assert record.ask_for(2)
    record.closed()
    for lane in range(LANES, LANES + 3):
        link.script("mark", (lane_keys(APP, lane).state,), ("open",))
    append(stale, CHANNELS)
    assert [link.call("XLEN", lane_keys(APP, lane).stream) for lane in range(LANES + 3)] == [0] * (LANES + 3)


def test_slow_asker_does_not_undo_a_faster_one(record: LayoutRecord, link: RedisLink) -> None:
    """It read the layout before another process changed it."""
    text, layout = record._read()
    assert LayoutRecord(link, APP, LANES).ask_for(3)
    assert not record._swap(text, layout.flipped(5))
    assert record.read().span.count == 3


def test_countdown_of_an_old_layout_is_known_in_the_new_one(
    record: LayoutRecord, producer: Producer, stale: Producer
) -> None:
    """The closed lane's ledger changes no more: the key is looked for where everybody looks now."""
    assert record.ask_for(3)
    record.closed()
    assert producer.remember_keys(keyed("c0", "k"))
    with pytest.raises(IdempotencyConflict):
        stale.remember_keys(keyed("c0", "k", "other"))


def test_one_change_at_a_time(record: LayoutRecord, journal: Journal, producer: Producer) -> None:
    """Another change is refused until it has ended; the same number changes nothing."""
    append(producer, ["c0"])
    assert record.ask_for(LANES)
    assert record.read() == Layout(Span(0, LANES))
    assert record.ask_for(4)
    assert not record.ask_for(5)
    journal.advance_layout()
    assert not record.ask_for(5)
    settle_all(journal, record.read().retired[0].span.lane_of("c0"))
    journal.advance_layout()
    assert record.ask_for(5)


def test_held_channel_holds_up_the_change(record: LayoutRecord, producer: Producer, journal: Journal) -> None:
    """Its stuck item is before what waits in the new lanes."""
    append(producer, ["c0"], "1")
    lane = producer.layout().appending.lane_of("c0")
    holder = journal.acquire(lane)
    assert holder is not None
    batch = journal.take(holder, max_items=10, max_bytes=1000).batch
    assert batch is not None
    journal.hold(holder, batch, retry_in_s=0.0)
    assert journal.release(holder)
    assert record.ask_for(3)
    record.closed()
    append(producer, ["c0"], "2")
    new = record.read().span.lane_of("c0")
    journal.advance_layout()
    assert journal.acquire(new) is None
    assert settle_all(journal, lane, "c0") == [b"c0:1"]
    journal.advance_layout()
    assert settle_all(journal, new) == [b"c0:2"]


def test_key_is_remembered_over_changes(
    record: LayoutRecord, producer: Producer, stale: Producer, journal: Journal
) -> None:
    """Its ledger entry is in a lane of an earlier layout: not appended again, and another payload is a conflict."""
    for channel in CHANNELS:
        assert producer.append(keyed(channel, "k")).count == 1
    assert producer.remember_keys(keyed("c1", "later"))
    for lanes in (5, 3):
        assert record.ask_for(lanes)
        record.closed()
        for lane in record.read().retired[-1].span.lanes:
            settle_all(journal, lane)
        journal.advance_layout()
        for one in (stale, producer):
            for channel in CHANNELS:
                again = one.append(keyed(channel, "k"))
                assert (again.count, again.already_stored) == (0, [0])
            assert not one.remember_keys(keyed("c1", "k"))
            with pytest.raises(IdempotencyConflict):
                one.remember_keys(keyed("c1", "later", "other"))
    assert producer.append(keyed("c1", "later")).count == 1, "what was scheduled falls due"
    assert producer.append(keyed("c1", "later")).count == 0


def test_conflict_found_after_the_change_is_named_by_its_place(
    record: LayoutRecord, producer: Producer, stale: Producer
) -> None:
    """The index in what the caller gave, though its lanes were closed; nothing of the call is stored."""
    producer.append(keyed("c7", "k", "another"))
    assert record.ask_for(7)
    record.closed()
    appended = stale.append([KeyedItem(Item(channel, b"b"), "k", "f") for channel in CHANNELS])
    assert isinstance(appended.failure, IdempotencyConflict)
    assert appended.failure.index == CHANNELS.index("c7")
    assert appended.count == 0
    assert sorted(appended.refused) == list(range(len(CHANNELS)))


def test_items_are_answered_for_over_a_change(
    record: LayoutRecord, producer: Producer, stale: Producer, link: RedisLink
) -> None:
    """Some lanes were closed, so the answer comes in two rounds: each item has its own, by its index in the call."""
    producer.append(keyed("c2", "k", "another"))
    producer.append(keyed("c5", "k"))
    assert record.ask_for(3)
    link.script("mark", (lane_keys(APP, 1).state,), ("closed",))
    items = [KeyedItem(Item(channel, b"b"), "k", "f") for channel in CHANNELS[:9]]
    appended = stale.append(items, on_refusal=OnRefusal.SKIP)
    assert (appended.count, appended.already_stored, list(appended.refused)) == (7, [5], [2])
    refused = appended.refused[2]
    assert isinstance(refused, IdempotencyConflict)
    assert refused.index == 2


def test_moved_items_keep_their_order(record: LayoutRecord, stale: Producer, journal: Journal) -> None:
    """All lanes that the producer knows are closed: each channel's events are appended in the order of the call."""
    assert record.ask_for(3)
    journal.advance_layout()
    items = [Item(channel, f"{channel}:{n}".encode()) for n in range(4) for channel in CHANNELS]
    assert stale.append(items).count == len(items)
    journal.advance_layout()
    bodies = [body for lane in record.read().span.lanes for body in settle_all(journal, lane)]
    for channel in CHANNELS:
        of_channel = [body for body in bodies if body.startswith(f"{channel}:".encode())]
        assert of_channel == [f"{channel}:{n}".encode() for n in range(4)]


def test_full_new_lane_refuses_what_it_refuses_by_name(
    record: LayoutRecord, make_producer: Callable[..., Producer]
) -> None:
    """Half of a flush is moved to a lane that is full: the items that are not stored are named."""
    stale = make_producer(max_backlog=10)
    stale.layout()
    assert record.ask_for(1)
    record.closed()
    append(make_producer(), CHANNELS[:9])
    appended = stale.append([Item(channel, b"x") for channel in CHANNELS[:3]])
    assert appended.failure is not None
    assert sorted(appended.refused) == [0, 1, 2]


def test_redis_emptied_under_a_producer_of_a_later_layout(
    record: LayoutRecord, producer: Producer, client: redis.Redis, journal: Journal
) -> None:
    """A lane without a mark is not appended to: the event goes where the sweep looks."""
    assert record.ask_for(3)
    journal.advance_layout()
    append(producer, CHANNELS)
    client.flushall()
    append(producer, CHANNELS)
    assert record.read() == Layout(Span(0, LANES))
    assert sum(len(settle_all(journal, lane)) for lane in journal.advance_layout()) == len(CHANNELS)


def test_dead_letters_of_earlier_lanes_are_kept_and_replayed(
    record: LayoutRecord, producer: Producer, journal: Journal, link: RedisLink
) -> None:
    """A replay goes to the tail of the letter's own lane, which is swept for as long as it may hold one."""
    append(producer, ["c0"])
    lane = producer.layout().appending.lane_of("c0")
    holder = journal.acquire(lane)
    assert holder is not None
    batch = journal.take(holder, max_items=10, max_bytes=1000).batch
    assert batch is not None
    journal.bury(holder, batch, DeadLetterFields("refused"))
    assert journal.release(holder)
    assert record.ask_for(3)
    journal.advance_layout()
    journal.advance_layout()
    journal._key_ttl_ms = -HOUR_MS  # closed long ago
    journal.advance_layout()
    assert record.read().retired, "kept for its dead letter"
    letters = DeadLetters(link, APP, record.read().lanes)
    (letter,) = letters.oldest(10)
    assert letters.replay(letter, letter.item) is Answer.RING
    assert journal.sweep(journal.lanes()) == ([lane], [])
    assert settle_all(journal, lane) == [b"c0:x"]


def test_layout_ends_with_its_keys_and_its_counts_go_on(
    record: LayoutRecord, producer: Producer, journal: Journal, client: redis.Redis
) -> None:
    """Not while a key may be remembered in it."""
    append(producer, CHANNELS)
    for lane in range(LANES):
        settle_all(journal, lane)
    assert record.ask_for(3)
    assert journal.advance_layout() == (0, 1, 2, 3, 4)
    assert journal.advance_layout() == (0, 1, 2, 3, 4)
    journal._key_ttl_ms = -HOUR_MS
    journal.advance_layout()
    assert journal.advance_layout() == (2, 3, 4)
    assert client.hgetall(lane_keys(APP, 2).counts) == {b"settled": b"24"}
    assert not client.exists(lane_keys(APP, 0).counts)


def test_number_of_layouts_that_are_remembered_is_bounded(
    record: LayoutRecord, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """One more change is refused, and said."""
    for n in range(MAX_RETIRED):
        assert record.ask_for(3 + n)
        journal.advance_layout()
        assert record.read().phase is Phase.STEADY
    assert record.ask_for(20)
    assert record.read().span.count == 3 + MAX_RETIRED - 1
    assert "number of lanes not changed" in caplog.text
    assert "lanes=6 wanted=20" in caplog.text


def test_layout_of_a_running_journal_is_a_bare_number(client: redis.Redis, producer: Producer) -> None:
    """As it was before there were changes: those of earlier releases go on."""
    producer.layout()
    assert client.get(AppKeys.of(APP).lanes) == b"2"

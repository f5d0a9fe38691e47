"""Packs: items joined, cut, and taken out again, byte for byte."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sockudo_publisher.journal.batch import Batch, Position, read_batch
from sockudo_publisher.journal.pack import MAX_BYTES, MAX_ITEMS, Item, Pack, pack, packs

pytestmark = pytest.mark.unit

#: A machine under load is slow; that is no fault of what is tested.
unhurried = settings()

channels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
collapse_keys = st.sampled_from(["", "", "eur", 'é\u2028"\\\0'])
items = st.builds(
    Item, channels, st.binary(min_size=1, max_size=12), st.sampled_from([0, 0, 5, 7]), collapse_keys, st.just("")
)
some_items = st.lists(items, min_size=1, max_size=12)


def taken_out(given_items: list[Item]) -> list[Item]:
    """The items as a batch has them: only appending needs the collapse key."""
    return [item._replace(collapse="") for item in given_items]


def as_taken(given_items: list[Item], start: int = 0, stop: int | None = None, skipped: frozenset[int] = frozenset()):
    """The pack as a take would answer it."""
    one = pack(given_items)
    stop = len(given_items) if stop is None else stop
    return Pack(b"1-1", one.count, one.meta.encode(), one.body, start, stop, skipped)


@unhurried
@given(some_items)
def test_a_pack_says_what_is_in_it(given_items: list[Item]) -> None:
    """The meta is JSON, lengths are bytes, and the earliest expiry is the smallest that there is."""
    packed = pack(given_items)
    meta = json.loads(packed.meta)
    assert meta["n"] == [len(item.body) for item in given_items]
    assert meta["c"] == [item.channel for item in given_items]
    expiries = [item.expires_ms for item in given_items]
    assert meta.get("x", [0] * len(given_items)) == expiries
    assert ("x" in meta) == any(expiries)
    assert packed.earliest_expiry_ms == min((expiry for expiry in expiries if expiry), default=0)
    collapse = [item.collapse for item in given_items]
    assert meta.get("k", [""] * len(given_items)) == collapse
    assert ("k" in meta) == any(collapse) == packed.collapses
    assert packed.count == len(given_items)
    assert packed.body == b",".join(item.body for item in given_items)


@pytest.mark.parametrize("channel", ["plain", 'a"b', "a\\b", "é", "#server-to-user-\u2028"])
def test_one_item_is_packed_as_several_are(channel: str) -> None:
    """The short way, which every `delay` takes, writes the same JSON."""
    for expiry, collapse in ((0, ""), (5, ""), (0, channel), (5, channel)):
        one = json.loads(pack([Item(channel, b"123", expiry, collapse)]).meta)
        two = json.loads(pack([Item(channel, b"123", expiry, collapse)] * 2).meta)
        assert {name: values * 2 for name, values in one.items()} == two


def test_a_pack_without_collapse_keys_is_as_before() -> None:
    """Byte by byte: no item pays for what it does not use."""
    assert pack([Item("c", b"1")]) == (1, 0, '{"n":[1],"c":["c"]}', b"1", False)
    assert pack([Item("c", b"1", 5)]) == (1, 5, '{"n":[1],"c":["c"],"x":[5]}', b"1", False)
    both = [Item("c", b"1"), Item("d", b"22", 7)]
    assert pack(both) == (2, 7, '{"n":[1,2],"c":["c","d"],"x":[0,7]}', b"1,22", False)


@unhurried
@given(some_items, st.data())
def test_traces_follow_their_items(given_items: list[Item], data: st.DataObject) -> None:
    """The contexts of the calls, cut with their items; no list where none of them has one."""
    traces = data.draw(st.lists(st.sampled_from(["", "00-a-b-01", "00-c-d-01"]), min_size=1, max_size=12))
    traced = [item._replace(trace=traces[index % len(traces)]) for index, item in enumerate(given_items)]
    assert ("r" in json.loads(pack(traced).meta)) == any(item.trace for item in traced)
    start, stop = 0, data.draw(st.integers(1, len(traced)))
    taken = as_taken(traced, start, stop)
    assert taken.traces() == [item.trace for item in traced[start:stop] if item.trace]
    assert [taken.item(index).trace for index in taken.indexes()] == [""] * stop, "only appending needs it"
    meta = json.loads(taken.meta_of(0))
    assert meta.get("r", [""]) == [traced[0].trace], "what is held keeps it"


@pytest.mark.parametrize("meta", [b'{"r":1}', b'{"r":["a"]}', b'{"r":[1,2]}', b'["r":', b'[{"r":["a","b"]}]'])
def test_traces_of_another_writer_are_left_out(meta: bytes) -> None:
    assert Pack(b"1-1", 2, meta, b"1,2", 0, 2).traces() == []


@unhurried
@given(some_items)
def test_items_come_out_as_they_went_in(given_items: list[Item]) -> None:
    """By their positions."""
    taken = as_taken(given_items)
    assert [taken.item(index) for index in taken.indexes()] == taken_out(given_items)
    assert taken.is_whole
    assert taken.joined() == b",".join(item.body for item in given_items)


@unhurried
@given(some_items, st.data())
def test_a_part_of_a_pack_is_cut_at_its_bytes(given_items: list[Item], data: st.DataObject) -> None:
    """From anywhere to anywhere, without what has left; and any prefix of that."""
    start = data.draw(st.integers(0, len(given_items) - 1))
    stop = data.draw(st.integers(start + 1, len(given_items)))
    skipped = data.draw(st.frozensets(st.integers(start, stop - 1), max_size=stop - start - 1))
    part = as_taken(given_items, start, stop, skipped)
    given_items = taken_out(given_items)
    wanted = [item for index, item in enumerate(given_items) if start <= index < stop and index not in skipped]
    assert part.count == len(wanted)
    assert part.joined() == b",".join(item.body for item in wanted)
    assert part.is_whole == (len(wanted) == len(given_items))
    count = data.draw(st.integers(1, len(wanted) + 1))
    head = part.first(count)
    assert [head.item(index) for index in head.indexes()] == wanted[:count]
    assert head.count == min(count, len(wanted))
    assert head.joined() == b",".join(item.body for item in wanted[:count])


@unhurried
@given(st.lists(st.tuples(some_items, st.booleans()), min_size=1, max_size=4), st.data())
def test_a_batch_is_cut_like_its_packs(given_packs: list[tuple[list[Item], bool]], data: st.DataObject) -> None:
    """Its body is the request's; its end is the place behind its last item."""
    taken = tuple([as_taken(one) for one, _ in given_packs])
    everything = [item for one, _ in given_packs for item in taken_out(one)]
    batch = Batch(taken, len(everything), b"1 1-1 1", 1, 2, False, 99)
    count = data.draw(st.integers(1, len(everything) + 1))
    head = batch.head(count)
    assert list(head.items()) == everything[:count]
    assert head.count == min(count, len(everything))
    assert head.first_item == everything[0]
    assert head.body == b'{"batch":[' + b",".join(item.body for item in everything[:count]) + b"]}"
    assert (head.marker, head.first_ms, head.now_ms, head.resent, head.depth) == (b"1 1-1 1", 1, 2, False, 99)
    last = head.packs[-1]
    assert head.end == Position(b"1-1", last.indexes()[-1] + 1, last.indexes()[-1] + 1 == last.size)


def test_packs_are_cut_at_a_hundred_items() -> None:
    """Exactly; and nothing is left out."""
    for count, sizes in [(1, [1]), (100, [100]), (101, [100, 1]), (200, [100, 100]), (201, [100, 100, 1])]:
        assert [one.count for one in packs([Item("c", b"x")] * count)] == sizes
    assert list(packs([])) == []
    assert MAX_ITEMS == 100, "the scripts that pack have the same number"


@pytest.mark.parametrize(("more", "sizes"), [(0, [2]), (1, [1, 1])])
def test_packs_are_cut_at_their_bytes(more: int, sizes: list[int]) -> None:
    """The comma between two items counts; an item that is larger has an entry of its own."""
    half = Item("c", b"x" * (MAX_BYTES // 2))
    other = Item("c", b"y" * (MAX_BYTES // 2 - 1 + more))
    assert [one.count for one in packs([half, other])] == sizes
    large = Item("c", b"z" * (MAX_BYTES + 1))
    assert [one.count for one in packs([half, large, half])] == [1, 1, 1]


def test_a_take_s_answer_is_read_by_its_parts() -> None:
    """As its header names them; what is missing of the state is nothing."""
    answer = [
        1,
        2000,
        b"1000",
        b"1000 5-1 2",
        b"1",
        b"7",
        [],
        b"5-0",
        3,
        b"m",
        b"b",
        1,
        3,
        b"",
        b"5-1",
        4,
        b"m",
        b"b",
        0,
        4,
        b"1,2",
    ]
    batch = read_batch(answer)
    assert (batch.now_ms, batch.first_ms, batch.marker, batch.resent, batch.depth) == (
        2000,
        1000,
        b"1000 5-1 2",
        True,
        7,
    )
    assert batch.packs == (
        Pack(b"5-0", 3, b"m", b"b", 1, 3),
        Pack(b"5-1", 4, b"m", b"b", 0, 4, frozenset({1, 2})),
    )
    assert batch.count == 4
    assert read_batch([1, 2000, b"1000", b"1000 5-1 2", b"0", None, []]).depth == 0
    assert not read_batch([1, 2000, b"1000", b"1000 5-1 2", b"0", None, []]).resent

"""What the next flush takes, who may wait, and the outcome of each call. Tables."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher import BacklogFull, IdempotencyConflict, JournalUnavailable
from sockudo_publisher.journal.appended import Appended
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.publishing import flush_plan
from sockudo_publisher.publishing.flush_plan import (
    FLUSH_BYTES,
    FLUSH_EVENTS,
    MAX_WAITING_BYTES,
    MAX_WAITING_EVENTS,
    WORTH_BYTES,
    WORTH_EVENTS,
    Admission,
    admit,
    count_next_flush,
    is_worth_a_flush,
    outcomes_of,
    split_kinds,
)
from sockudo_publisher.publishing.waiting_call import CallState, WaitingCall

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs: calls need its futures."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def make(loop: asyncio.AbstractEventLoop, text: str) -> list[WaitingCall]:
    """``"a b+ab K(a) !K(ab) ~a"``: plain to a; plain to a and b; keyed; alone; withdrawn."""
    calls = []
    for word in text.split():
        channels = [letter for letter in word if letter.islower()]
        items = [Item(channel, b"{}") for channel in channels]
        keyed = [KeyedItem(item, "k", "f") for item in items]
        call = WaitingCall(keyed if "K" in word else items, loop, is_alone="!" in word)
        if "~" in word:
            call.state = CallState.WITHDRAWN
        calls.append(call)
    return calls


@pytest.mark.parametrize(
    ("waiting", "count"),
    [
        ("a", 1),
        ("a a b", 3),
        ("Ka Ka Kb", 3),
        ("a Kb a Kb", 4),  # two kinds, no channel with both
        ("a Ka", 1),
        ("Ka a", 1),
        ("a b Kc Ka b", 3),  # cut at the first call whose channel has the other kind
        ("ab Kb", 1),
        ("a Kc abc", 2),  # one channel of several is enough
        ("!Kab a", 1),
        ("a !Kbc a", 1),  # cut before it, though its channels are free
        ("~a !Kab", 2),  # what was withdrawn leaves with the next flush
        ("~a", 1),
        ("a ~Ka a", 3),  # and cuts nothing
        ("a ~!Kab b", 3),
    ],
)
def test_flush_ends_where_the_order_needs_it(loop, waiting: str, count: int) -> None:
    assert count_next_flush(make(loop, waiting)) == count


def test_flush_is_bounded_in_events_and_bytes(loop) -> None:
    small = [WaitingCall([Item("a", b"{}")], loop) for _ in range(FLUSH_EVENTS + 5)]
    assert count_next_flush(small) == FLUSH_EVENTS
    large = [WaitingCall([Item("a", b"x" * (FLUSH_BYTES // 2))], loop) for _ in range(5)]
    assert count_next_flush(large) == 2
    huge = WaitingCall([Item("a", b"x" * (FLUSH_BYTES + 1))], loop)
    assert count_next_flush([huge, *small]) == 1
    assert count_next_flush([small[0], huge]) == 1
    many_channels = [WaitingCall([Item(f"c{n}", b"{}") for n in range(100)], loop) for _ in range(11)]
    assert count_next_flush(many_channels) == FLUSH_EVENTS // 100


def test_flush_splits_by_kind_without_withdrawn_calls(loop) -> None:
    calls = make(loop, "a Kb ~c c Kd ~Ke")
    assert split_kinds(calls) == [[calls[0], calls[3]], [calls[1], calls[4]]]
    assert split_kinds(make(loop, "~a")) == []
    assert [len(part) for part in split_kinds(make(loop, "Ka Kb"))] == [2]


TEXTS = st.lists(st.sampled_from(["a", "b", "ab", "Ka", "Kb", "!Kab", "~a", "~Kb"]), min_size=1, max_size=30)


@given(TEXTS)
def test_order_of_each_channel_is_the_order_of_calls(texts: list[str]) -> None:
    """All calls leave, each once, and what is appended to a channel is in the order of its calls."""
    loop = asyncio.new_event_loop()
    try:
        calls = make(loop, " ".join(texts))
        queue, appended = list(calls), []
        while queue:
            count = count_next_flush(queue)
            assert count >= 1
            flush, queue = queue[:count], queue[count:]
            for part in split_kinds(flush):
                assert len(part) == 1 or not any(call.is_alone for call in part)
                assert len({call.is_keyed for call in part}) == 1
                appended += part
        wanted, got = defaultdict(list), defaultdict(list)
        for into, source in ((wanted, calls), (got, appended)):
            for call in source:
                if call.state is not CallState.WITHDRAWN:
                    for item in call.items:
                        into[item.channel].append(id(call))
        assert got == wanted
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("events", "size", "is_away", "is_flushing", "admission"),
    [
        (0, 0, False, False, Admission.ENTER),
        (10, 100, False, True, Admission.ENTER),
        (0, 0, True, False, Admission.ENTER),  # the one that tries
        (1, 2, True, False, Admission.AWAY),  # another is about to try
        (0, 0, True, True, Admission.AWAY),  # another tries
        (MAX_WAITING_EVENTS - 1, 0, False, True, Admission.ENTER),
        (MAX_WAITING_EVENTS, 0, False, True, Admission.FULL),
        (1, MAX_WAITING_BYTES - 2, False, True, Admission.ENTER),
        (1, MAX_WAITING_BYTES - 1, False, True, Admission.FULL),
        (MAX_WAITING_EVENTS, 0, True, True, Admission.AWAY),
    ],
)
def test_admission_of_a_small_call(loop, events, size, is_away, is_flushing, admission) -> None:
    call = WaitingCall([Item("a", b"{}")], loop)
    decided = admit(call, waiting_events=events, waiting_bytes=size, is_away=is_away, is_flushing=is_flushing)
    assert decided is admission


def test_call_above_the_bound_may_wait_alone(loop, monkeypatch) -> None:
    monkeypatch.setattr(flush_plan, "MAX_WAITING_BYTES", 10)
    call = WaitingCall([Item("a", b"x" * 11)], loop)
    assert admit(call, waiting_events=0, waiting_bytes=0, is_away=False, is_flushing=True) is Admission.ENTER
    assert admit(call, waiting_events=1, waiting_bytes=1, is_away=False, is_flushing=True) is Admission.FULL


@pytest.mark.parametrize(
    ("events", "size", "is_worth"),
    [
        (0, 0, False),
        (WORTH_EVENTS - 1, WORTH_BYTES - 1, False),
        (WORTH_EVENTS, 0, True),
        (1, WORTH_BYTES, True),
    ],
)
def test_flush_that_need_not_wait_for_callers(events: int, size: int, is_worth: bool) -> None:
    assert is_worth_a_flush(events, size) is is_worth


def results(calls: Sequence[WaitingCall], appended: Appended) -> list[tuple[int, list[int], dict[int, str]]]:
    told = []
    for outcome in outcomes_of(calls, appended):
        assert isinstance(outcome, Appended)
        refused = {index: type(error).__name__ for index, error in outcome.refused.items()}
        told.append((outcome.count, list(outcome.already_stored), refused))
    return told


def test_each_call_gets_the_result_of_its_own_items(loop) -> None:
    calls = make(loop, "a abc b c")
    assert results(calls, Appended(6, (), [], {})) == [(1, [], {}), (3, [], {}), (1, [], {}), (1, [], {})]
    refused = {1: BacklogFull("full"), 3: JournalUnavailable("away", stored=None), 5: BacklogFull("full")}
    assert results(calls, Appended(3, (), [], refused)) == [
        (1, [], {}),
        (1, [], {0: "BacklogFull", 2: "JournalUnavailable"}),
        (1, [], {}),
        (0, [], {0: "BacklogFull"}),
    ]
    keyed = make(loop, "Ka Kb Kc")
    conflict = IdempotencyConflict("key: used", index=2)
    assert results(keyed, Appended(1, (), [0], {2: conflict})) == [
        (0, [0], {}),
        (1, [], {}),
        (0, [], {0: "IdempotencyConflict"}),
    ]
    assert outcomes_of(keyed, Appended(1, (), [0], {2: conflict}))[2].refused[0].index == 0, "of the call"


def test_single_call_gets_the_result_as_it_is(loop) -> None:
    """Where a conflict refuses all items of a call, its index names the one."""
    conflict = IdempotencyConflict("key: used", index=2)
    appended = Appended(0, (), [], dict.fromkeys(range(3), conflict))
    assert outcomes_of(make(loop, "!Kabc"), appended)[0].failure.index == 2


def test_errors_of_two_calls_are_two_objects(loop) -> None:
    """Each caller adds its message id, and Python its traceback."""
    error = JournalUnavailable("away", stored=None)
    first, second = outcomes_of(make(loop, "a b"), Appended(0, (), [], {0: error, 1: error}))
    assert first.refused[0] is not second.refused[0]
    assert str(first.refused[0]) == str(error)
    assert first.refused[0].stored is None

"""The judge of ``demo --once``: it must not call a loss, a repeat, a swap or a change a success."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.dev.tally import Tally

pytestmark = pytest.mark.unit


def text(seq: int, word: str = "x") -> str:
    return json.dumps({"seq": seq, "word": word})


def tally_of(published: list[tuple[str, int]], seen: list[tuple[str, int]]) -> Tally:
    tally = Tally()
    for channel, seq in published:
        tally.note_published(channel, text(seq))
    for channel, seq in seen:
        tally.note_seen(channel, text(seq))
    return tally


SENT = [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)]


@given(st.permutations(range(2)))
def test_channels_may_overtake_each_other(order):
    """Order is promised within a channel."""
    by_channel = [[one for one in SENT if one[0] == "ab"[index]] for index in order]
    verdict = tally_of(SENT, [one for part in by_channel for one in part]).verdict()
    assert verdict.ok
    assert (verdict.published, verdict.seen, verdict.channels) == (5, 5, 2)


@pytest.mark.parametrize(
    ("seen", "lost", "duplicates", "out_of_order"),
    [
        pytest.param(SENT[:-1], 1, 0, 0, id="the last is lost"),
        pytest.param(SENT[1:], 1, 0, 0, id="the first is lost"),
        pytest.param([], 5, 0, 0, id="all are lost"),
        pytest.param([*SENT, ("a", 2)], 0, 1, 0, id="twice"),
        pytest.param([("a", 2), ("a", 1), ("a", 3), ("b", 1), ("b", 2)], 0, 0, 1, id="swapped"),
        pytest.param([("a", 1), ("a", 3), ("a", 3), ("b", 1), ("b", 2)], 1, 1, 0, id="one for another"),
    ],
)
def test_each_fault_is_told_by_its_name(seen, lost, duplicates, out_of_order):
    """Counted apart, and never a success."""
    verdict = tally_of(SENT, seen).verdict()
    assert (verdict.lost, verdict.duplicates, verdict.out_of_order) == (lost, duplicates, out_of_order)
    assert not verdict.ok


def test_an_altered_event_is_no_success():
    """The number is right, the content is not."""
    tally = tally_of(SENT, SENT[:-1])
    tally.note_seen("b", text(2, "y"))
    verdict = tally.verdict()
    assert verdict.altered
    assert not verdict.ok


def test_an_event_on_another_channel_is_no_success():
    """What was for one channel came on another."""
    tally = tally_of([("a", 1), ("b", 1)], [])
    tally.note_seen("a", text(1))
    tally.note_seen("c", text(1))
    verdict = tally.verdict()
    assert verdict.lost == 1
    assert not verdict.ok


@given(st.permutations(range(1, 8)))
def test_any_order_but_the_right_one_is_noticed(numbers):
    """Every permutation of a channel's events is either the right one or not ok."""
    sent = [("a", seq) for seq in range(1, 8)]
    assert tally_of(sent, [("a", seq) for seq in numbers]).verdict().ok == (numbers == list(range(1, 8)))

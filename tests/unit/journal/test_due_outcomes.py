"""What is appended of what is due, in which order, and what follows from the answer."""

from __future__ import annotations

import pytest

from sockudo_publisher.errors import BacklogFull, IdempotencyConflict, JournalUnavailable
from sockudo_publisher.journal.pack import Item
from sockudo_publisher.journal.schedule.event import ScheduledItem, read_listed
from sockudo_publisher.journal.schedule.outcomes import (
    MAX_SKIPPED,
    ClaimResult,
    Heads,
    Placed,
    due_buckets,
    next_reports,
    order_due,
    outcome_of,
)

pytestmark = pytest.mark.unit


def event(name: str, due_ms: int, channel: str = "c") -> ScheduledItem:
    return ScheduledItem(name, name, due_ms, Item(channel, b"1"), "f")


def test_only_due_buckets_are_claimed_earliest_first() -> None:
    heads = Heads(1000, {3: 1001, 4: 1000, 5: 7, 9: 999})
    assert due_buckets(heads) == [5, 9, 4]
    assert due_buckets(Heads(0, {})) == []


def test_events_go_by_due_time_and_ties_keep_their_order() -> None:
    events = {1: [event("a", 5), event("b", 7), event("c", 7)], 0: [event("d", 6), event("e", 7)]}
    ready, waiting = order_due(events, ())
    assert [one.event.name for one in ready] == ["a", "d", "b", "c", "e"]
    assert waiting == []


def test_later_events_of_a_full_channel_wait_too() -> None:
    """Its lane may have room again in the middle of a pass: a later event must not overtake."""
    events = {1: [event("a", 5, "full"), event("b", 7, "free")]}
    ready, waiting = order_due(events, {"full"})
    assert [one.event.name for one in ready] == ["b"]
    assert waiting == [Placed(1, events[1][0])]


def test_unreadable_event_is_not_appended() -> None:
    broken = ScheduledItem("0 id", "id", 0, None)
    assert order_due({0: [broken, event("a", 1)]}, ())[0] == [Placed(0, event("a", 1))]


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (None, ClaimResult.STORED),
        (IdempotencyConflict("x"), ClaimResult.PARKED),
        (BacklogFull("x"), ClaimResult.WAITS),
        (JournalUnavailable("x", stored=False), ClaimResult.WAITS),
        (JournalUnavailable("x", stored=None), None),
    ],
)
def test_outcome_of_an_append(refusal: Exception | None, outcome: ClaimResult | None) -> None:
    """Of an unknown one nothing is reported: it stays claimed, so that no caller cancels what may be stored."""
    assert outcome_of(refusal) is outcome


def test_reports_pass_over_what_stays() -> None:
    found = [
        (Placed(1, event("a", 1)), ClaimResult.STORED),
        (Placed(1, event("b", 2)), ClaimResult.WAITS),
        (Placed(1, event("c", 3)), None),
        (Placed(1, event("d", 4)), ClaimResult.PARKED),
    ]
    reports = next_reports([1, 2], found, {1: 5}, claims=True)
    assert reports[1].outcomes == [(ClaimResult.STORED, "a"), (ClaimResult.WAITS, "b"), (ClaimResult.PARKED, "d")]
    assert (reports[1].skipped, reports[1].claims) == (7, True)
    assert (reports[2].outcomes, reports[2].skipped) == ([], 0)


def test_pass_over_a_full_bucket_ends() -> None:
    found = [(Placed(1, event("a", 1)), ClaimResult.WAITS)]
    assert not next_reports([1], found, {1: MAX_SKIPPED - 1}, claims=True)[1].claims
    assert not next_reports([1], [], {}, claims=False)[1].claims


def test_parked_score_is_read_from_both_protocols() -> None:
    for score in (b"inf", b"+inf"):
        assert read_listed(b"0000000000 an id", score, 0, b"17", b"", b"").is_parked
    shown = read_listed(b"0000000001 an id", b"17", 1, b"17", b'{"n":[1],"c":["c"]}', b"1")
    assert (shown.message_id, shown.due_ms, shown.is_claimed, shown.is_parked) == ("an id", 17, True, False)
    assert shown.item == Item("c", b"1")

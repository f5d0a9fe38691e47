"""What follows each outcome: one table per outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.delivery import backoff, decide
from sockudo_publisher.delivery.decide import (
    MISCONFIGURED_S,
    STUCK_WAIT_S,
    Bury,
    Hold,
    Learn,
    Pause,
    Progress,
    RetryHold,
    Settle,
    TryAgain,
)
from sockudo_publisher.delivery.outcome import MAX_RETRY_AFTER_S, Finding, Outcome
from sockudo_publisher.journal.app import shared
from tests.unit.delivery.decisions import WORDS, after, attempt

pytestmark = pytest.mark.unit


def test_longest_pause_is_one_that_a_server_may_ask_for() -> None:
    """With a minute for clocks: what lasts longer was not written by a worker."""
    assert shared.LONGEST_PAUSE_MS == MAX_RETRY_AFTER_S * 1000 + 60_000


# -- miscounted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "half"), [(2, 1), (3, 1), (8, 4), (500, 250)])
def test_too_many_receipts_for_a_batch_are_searched(count: int, half: int) -> None:
    """Nothing pauses: the server works."""
    step, progress = after(Outcome.MISCOUNTED, attempt(count))
    assert step == TryAgain(0.0)
    assert (progress.suspects, progress.max_items, progress.failures) == (count, half, 0)


def test_two_receipts_for_one_item_bury_it() -> None:
    """Something of it is out, whichever worker sends it."""
    step, progress = after(Outcome.MISCOUNTED, attempt(1, resent=True), Progress(suspects=1, max_items=1))
    assert step == Bury("miscounted", WORDS, maybe_delivered=True, attempts=1)
    assert not progress.is_searching


def test_item_named_by_its_bytes_needs_no_search() -> None:
    """What is before it goes first, at once; then it leaves, whatever is behind it."""
    step, progress = after(Outcome.MISCOUNTED, attempt(8), culprit=3)
    assert step == TryAgain(0.0)
    assert (progress.suspects, progress.max_items) == (4, 3)
    _, progress = after(Outcome.ACCEPTED, attempt(3, resent=True), progress)
    assert (progress.suspects, progress.max_items) == (1, 1)
    step, _ = after(Outcome.MISCOUNTED, attempt(8, resent=True), culprit=0)
    assert step == Bury("unreadable", WORDS, maybe_delivered=True, attempts=1)


def test_conflict_behind_an_odd_answer_may_be_ours() -> None:
    """What a 200 that fits no batch has delivered is not known; a conflict of a neighbour shows it."""
    _, progress = after(Outcome.MISCOUNTED, attempt(2), culprit=0)
    step, progress = after(Outcome.CONFLICT, attempt(1, resent=True), progress)
    assert step == Bury("conflict", WORDS, maybe_delivered=True, attempts=1)
    step, _ = after(Outcome.CONFLICT, attempt(1), progress)
    assert step == Bury("conflict", WORDS, maybe_delivered=False, attempts=1), "sent for the first time"


# -- accepted -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "count", "bad", "most"),
    [
        pytest.param(Progress(), 8, None, None, id="plain"),
        pytest.param(
            Progress(suspects=8, max_items=4, has_waited=True), 4, 4, 2, id="first half: the culprit is in the second"
        ),
        pytest.param(Progress(suspects=3, max_items=1), 1, 2, 1, id="one of three"),
        pytest.param(Progress(suspects=2, max_items=1), 1, 1, 1, id="the culprit is next, alone"),
        pytest.param(Progress(suspects=1, max_items=1), 1, None, 2, id="the culprit itself, freed: the search is over"),
        pytest.param(Progress(suspects=4, max_items=2), 6, None, 4, id="more than the prefix: the search is over"),
        pytest.param(Progress(has_waited=True), 8, None, None, id="the earlier request was only slow"),
        pytest.param(Progress(max_items=1), 1, None, 2, id="after a culprit: twice as many"),
        pytest.param(Progress(max_items=64), 64, None, 128, id="and again"),
        pytest.param(Progress(max_items=8), 3, None, 8, id="fewer than allowed: they say nothing of more"),
        pytest.param(Progress(max_items=1, unknowns=9, failures=9), 1, None, 2, id="the server is back: it grows"),
    ],
)
def test_accepted_settles_and_narrows(before: Progress, count: int, bad: int | None, most: int | None) -> None:
    """A settled prefix leaves the culprit's prefix shorter; without a search the next batch may be twice as large."""
    step, progress = after(Outcome.ACCEPTED, attempt(count), before)
    assert step == Settle()
    assert (progress.suspects, progress.max_items) == (bad, most)
    assert (progress.unknowns, progress.failures) == (0, 0)
    assert progress.is_searching == (bad is not None)


# -- stuck --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resent", [False, True], ids=["first send", "resend"])
@pytest.mark.parametrize("count", [1, 2, 500])
def test_first_stuck_answer_waits_once(count: int, resent: bool) -> None:
    """The earlier request may still be running, on a first send too; the wait belongs to the search."""
    step, progress = after(Outcome.STUCK, attempt(count, resent=resent))
    assert step == TryAgain(STUCK_WAIT_S)
    assert progress.has_waited
    assert progress.is_searching
    assert (progress.suspects, progress.max_items) == (None, None)


@pytest.mark.parametrize(("count", "half"), [(2, 1), (3, 1), (8, 4), (9, 4), (500, 250)])
@pytest.mark.parametrize("in_hold", [False, True], ids=["lane", "held queue"])
def test_second_stuck_answer_searches_at_once(count: int, half: int, in_hold: bool) -> None:
    """Half of the prefix is asked next, without another wait; a held queue may hold a second stuck item too."""
    step, progress = after(Outcome.STUCK, attempt(count, resent=True, in_hold=in_hold), Progress(has_waited=True))
    assert step == TryAgain(0.0)
    assert (progress.suspects, progress.max_items, progress.has_waited) == (count, half, True)


def test_first_stuck_answer_of_many_in_a_held_queue_waits_too() -> None:
    """A batch that follows a freed item may be cut as any other."""
    step, progress = after(Outcome.STUCK, attempt(7, resent=True, in_hold=True))
    assert step == TryAgain(STUCK_WAIT_S)
    assert progress.has_waited


def test_single_stuck_item_is_held() -> None:
    """Its channel waits; what follows it goes next, one item, which may be stuck too."""
    step, progress = after(Outcome.STUCK, attempt(1, resent=True), Progress(suspects=1, max_items=1, has_waited=True))
    assert step == Hold(1.0)
    assert not progress.is_searching
    assert progress.max_items == 1


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 1), (4, 1), (8, 2), (39, 9.75), (40, 10), (119, 10)])
def test_held_item_still_stuck_is_tried_at_growing_gaps(age_s: float, wait_s: float) -> None:
    """A quarter of its age, from 1 to 10 s, without the wait for a running request."""
    step, _ = after(Outcome.STUCK, attempt(1, resent=True, in_hold=True, age_s=age_s), Progress(max_items=1))
    assert step == RetryHold(wait_s)


def test_stuck_item_found_in_a_held_queue_waits_there() -> None:
    """It is held already."""
    step, _ = after(
        Outcome.STUCK, attempt(1, resent=True, in_hold=True), Progress(suspects=1, max_items=1, has_waited=True)
    )
    assert step == RetryHold(1.0)


def test_stuck_item_in_a_search_is_waited_for_then_searched() -> None:
    """Refused and stuck are different answers to the same question about a prefix."""
    _, searching = after(Outcome.REFUSED, attempt(8))
    step, waiting = after(Outcome.STUCK, attempt(4, resent=True), searching)
    assert step == TryAgain(STUCK_WAIT_S)
    step, progress = after(Outcome.STUCK, attempt(4, resent=True), waiting)
    assert step == TryAgain(0.0)
    assert (progress.suspects, progress.max_items) == (4, 2)


# -- refused, conflict --------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.CONFLICT])
@pytest.mark.parametrize(("count", "half"), [(2, 1), (3, 1), (500, 250)])
def test_refused_batch_is_searched_without_waiting(outcome: Outcome, count: int, half: int) -> None:
    """Refusals come at once: there is nothing to wait for."""
    step, progress = after(outcome, attempt(count))
    assert step == TryAgain(0.0)
    assert (progress.suspects, progress.max_items) == (count, half)
    assert progress.is_searching


@pytest.mark.parametrize("in_hold", [False, True], ids=["lane", "held queue"])
def test_single_refused_item_is_buried(in_hold: bool) -> None:
    """With the server's text and the number of attempts; never delivered."""
    tried = attempt(1, resent=True, in_hold=in_hold)
    step, progress = after(Outcome.REFUSED, tried, Progress(suspects=1, max_items=1, attempts=4))
    assert step == Bury("refused", WORDS, maybe_delivered=False, attempts=5)
    assert not progress.is_searching
    assert (progress.max_items, progress.attempts) == (1, 0)


def test_conflict_on_a_first_attempt_was_not_delivered() -> None:
    """Our bytes never left before: another program used the id."""
    step, _ = after(Outcome.CONFLICT, attempt(1))
    assert step == Bury("conflict", WORDS, maybe_delivered=False, attempts=1)


def test_conflict_found_by_a_search_was_not_delivered() -> None:
    """The attempts of the search itself were all answered: no earlier one ended unknown."""
    _, progress = after(Outcome.CONFLICT, attempt(2))
    step, _ = after(Outcome.CONFLICT, attempt(1, resent=True), progress)
    assert step == Bury("conflict", WORDS, maybe_delivered=False, attempts=2)


def test_conflict_after_unknown_may_have_been_delivered() -> None:
    """And so may what that attempt carried behind it."""
    _, progress = after(Outcome.UNKNOWN, attempt(3))
    _, progress = after(Outcome.CONFLICT, attempt(3, resent=True), progress)
    step, progress = after(Outcome.CONFLICT, attempt(1, resent=True), progress)
    assert step == Bury("conflict", WORDS, maybe_delivered=True, attempts=3)
    _, progress = after(Outcome.ACCEPTED, attempt(1, resent=True), progress)
    step, _ = after(Outcome.CONFLICT, attempt(1, resent=True), progress)
    assert isinstance(step, Bury)
    assert step.maybe_delivered


def test_conflict_on_anothers_attempt_may_have_been_delivered() -> None:
    """A holder that died says nothing about its attempt: it may have ended unknown."""
    step, _ = after(Outcome.CONFLICT, attempt(1, resent=True))
    assert isinstance(step, Bury)
    assert step.maybe_delivered


def test_conflict_on_a_new_batch_was_not_delivered() -> None:
    """What was never sent before has no history."""
    _, progress = after(Outcome.UNKNOWN, attempt(3))
    _, progress = after(Outcome.ACCEPTED, attempt(3, resent=True), progress)
    step, _ = after(Outcome.CONFLICT, attempt(1), progress)
    assert isinstance(step, Bury)
    assert not step.maybe_delivered


# -- too large ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "text", "limit", "events", "size"),
    [
        pytest.param(51, "Batch size (51) exceeds limit (50)", 50, 50, None, id="a named limit"),
        pytest.param(51, "Batch size is too large", None, 25, None, id="about the count, no number"),
        pytest.param(51, "Batch size (51) exceeds limit (60)", 60, 25, None, id="a limit that is no help"),
        pytest.param(51, "Failed to buffer the request body", None, None, 4000, id="about bytes"),
        pytest.param(2, "413 Request Entity Too Large", None, None, 4000, id="a proxy's page"),
    ],
)
@pytest.mark.parametrize("resent", [False, True], ids=["first send", "resend"])
def test_too_large_batch_teaches(
    count: int, text: str, limit: int | None, events: int | None, size: int | None, resent: bool
) -> None:
    """The named limit, else half; nothing was accepted, so a first attempt leaves no mark."""
    finding = Finding(Outcome.TOO_LARGE, text, limit=limit)
    step, progress = decide.decide(finding, attempt(count, resent=resent), Progress())
    assert step == Learn(events, size, unmark=not resent)
    assert not progress.is_searching
    assert progress.max_items == (max(1, count // 2) if size else None)


def test_learned_bytes_have_a_floor() -> None:
    """A limit below a kilobyte would make every event a batch of its own for an hour."""
    step, progress = after(Outcome.TOO_LARGE, attempt(3, size=900))
    assert step == Learn(None, 1024, unmark=True)
    assert progress.max_items == 1, "this batch shrinks by number"


def test_single_item_that_is_too_large_is_buried() -> None:
    """There is nothing left to shrink."""
    step, progress = after(Outcome.TOO_LARGE, attempt(1))
    assert step == Bury("too_large", WORDS, maybe_delivered=False, attempts=1)
    assert progress.max_items == 1


def test_too_large_in_a_search_keeps_the_search() -> None:
    """The culprit is still in the prefix."""
    _, progress = after(Outcome.TOO_LARGE, attempt(8, resent=True), Progress(suspects=16, max_items=8))
    assert (progress.suspects, progress.max_items) == (16, 4)


# -- the server does not answer, or takes nothing -------------------------------------------------------

SEARCHES = [
    pytest.param(Progress(), id="no search"),
    pytest.param(Progress(has_waited=True), id="waited"),
    pytest.param(Progress(suspects=8, max_items=4, has_waited=True), id="search"),
    pytest.param(Progress(suspects=1, max_items=1, has_waited=True), id="search at its end"),
]


@pytest.mark.parametrize("before", SEARCHES)
@pytest.mark.parametrize("resent", [False, True], ids=["first send", "resend"])
@pytest.mark.parametrize(
    ("outcome", "reason", "unmarks"),
    [
        (Outcome.UNKNOWN, "unknown", False),
        (Outcome.NOT_SENT, "unreachable", True),
        (Outcome.BUSY, "busy", True),
        (Outcome.MISCONFIGURED, "misconfigured", True),
    ],
)
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("in_hold", [False, True], ids=["lane", "held queue"])
def test_server_trouble_pauses_and_decides_about_no_item(
    outcome: Outcome, reason: str, unmarks: bool, resent: bool, before: Progress, count: int, in_hold: bool
) -> None:
    """Never a hold, a dead letter or a longer prefix; the marker goes only from what was certainly never sent."""
    step, progress = after(outcome, attempt(count, resent=resent, in_hold=in_hold), before)
    assert isinstance(step, Pause)
    assert (step.reason, step.message) == (reason, WORDS)
    assert step.unmark == (unmarks and not resent)
    assert step.is_loud == (outcome is Outcome.MISCONFIGURED)
    assert progress.suspects == before.suspects
    # An unknown request may be running still: a stuck item after it is waited for once more.
    assert progress.has_waited == (before.has_waited and outcome is not Outcome.UNKNOWN)
    assert progress.failures == 1


def test_unknown_after_unknown_shrinks_down_to_one() -> None:
    """From the second in a row on half is asked; one item alone stays one item, and is never condemned."""
    progress, count, counts = Progress(), 500, []
    for _ in range(14):
        step, progress = after(Outcome.UNKNOWN, attempt(count, resent=True), progress)
        assert isinstance(step, Pause)
        count = min(count, progress.max_items or count)
        counts.append(count)
    assert counts == [500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("answer", [Outcome.STUCK, Outcome.REFUSED, Outcome.CONFLICT, Outcome.TOO_LARGE])
def test_any_answer_ends_the_row_of_failures(answer: Outcome) -> None:
    """The server answers: a later unknown is the first in a row again."""
    before = Progress(unknowns=5, failures=7)
    _, progress = after(answer, attempt(8, resent=True), before)
    assert (progress.unknowns, progress.failures) == (0, 0)


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        pytest.param(1.0, 1.0, 1.0, id="a second"),
        pytest.param(17.0, 17.0, 17.0, id="obeyed as it is"),
        pytest.param(None, 1.0, 3.0, id="no wish: a second and the backoff"),
    ],
)
def test_busy_obeys_retry_after(wish: float | None, least: float, most: float) -> None:
    """All lanes of the app together."""
    step, _ = after(Outcome.BUSY, attempt(), Progress(failures=30), retry_after_s=wish)
    assert isinstance(step, Pause)
    assert least <= step.wait_s <= most


def test_misconfigured_asks_again_slowly_and_loudly() -> None:
    """A person has to act."""
    step, _ = after(Outcome.MISCONFIGURED, attempt())
    assert step == Pause("misconfigured", MISCONFIGURED_S, WORDS, unmark=True, is_loud=True)


@given(st.sampled_from([Outcome.UNKNOWN, Outcome.NOT_SENT]), st.integers(0, 60))
def test_backoff_grows_with_the_failures(outcome: Outcome, failures: int) -> None:
    """Between nothing and the bound of that failure."""
    step, progress = after(outcome, attempt(), Progress(failures=failures))
    assert isinstance(step, Pause)
    assert progress.failures == failures + 1
    assert 0 <= step.wait_s <= min(backoff.CAP_S, backoff.FIRST_S * 2**failures)


# -- over the end of a run ------------------------------------------------------------------------------


@pytest.mark.parametrize(("pauses", "most"), [(1, None), (2, 250), (3, 125), (9, 1), (10, 1), (5000, 1)], ids=str)
def test_run_after_unknown_pauses_goes_on_shrinking(pauses: int, most: int | None) -> None:
    """The pause in Redis counts what earlier runs, of any worker, met; a probe is as small as theirs would be."""
    progress = Progress.after_pauses("unknown", pauses, 500)
    assert (progress.max_items, progress.unknowns, progress.failures) == (most, pauses, pauses)
    assert not progress.is_searching


@pytest.mark.parametrize("reason", ["unreachable", "busy", "misconfigured"])
def test_run_after_other_pauses_keeps_the_size(reason: str) -> None:
    """Only an unknown fate has to do with the batch; the backoff goes on."""
    progress = Progress.after_pauses(reason, 7, 500)
    assert (progress.max_items, progress.unknowns, progress.failures) == (None, 0, 7)

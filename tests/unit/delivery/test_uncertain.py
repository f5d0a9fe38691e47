"""What becomes of the first events of an uncertain batch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.delivery.decide import Attempt
from sockudo_publisher.delivery.outcome import Finding, Outcome
from sockudo_publisher.delivery.uncertain import (
    RemoveFirst,
    SendFirst,
    SettleFirst,
    UncertainStep,
    count_possible_copies,
    decide_uncertain,
)
from sockudo_publisher.delivery.window import Policy, WindowState

pytestmark = pytest.mark.unit

NOW_MS = 1_000_000
PAST_MS, FUTURE_MS = NOW_MS - 1, NOW_MS + 1


def of(
    expires_ms: Sequence[int],
    recorded: Sequence[bool],
    state: WindowState = WindowState.LATE,
    *,
    is_forgetful: bool = False,
) -> UncertainStep:
    return decide_uncertain(
        expires_ms, recorded, state=state, now_ms=NOW_MS, policy=Policy(window_s=90.0), is_forgetful=is_forgetful
    )


@pytest.mark.parametrize(
    ("expires_ms", "recorded", "state", "expected"),
    [
        pytest.param([0, 0], [False, False], WindowState.LATE, SendFirst(2), id="resend-sends-all"),
        pytest.param([0, FUTURE_MS], [False, False], WindowState.LATE, SendFirst(2), id="what-expires-later-is-sent"),
        pytest.param([0, PAST_MS, 0], [False] * 3, WindowState.LATE, SendFirst(1), id="up-to-an-expired-one"),
        pytest.param([0, NOW_MS], [False] * 2, WindowState.LATE, SendFirst(1), id="expired-at-this-millisecond"),
        pytest.param(
            [PAST_MS, 0], [False] * 2, WindowState.LATE, RemoveFirst("expired_uncertain", "", keep=False), id="expired"
        ),
        pytest.param(
            [PAST_MS],
            [False],
            WindowState.TOO_LATE,
            RemoveFirst("expired_uncertain", "", keep=False),
            id="expired-under-park",
        ),
        pytest.param([0, 0, 0], [True, True, False], WindowState.LATE, SettleFirst(2), id="history-has-two"),
        pytest.param([0, 0], [True, True], WindowState.TOO_LATE, SettleFirst(2), id="history-has-all-under-park"),
        pytest.param([PAST_MS], [True], WindowState.LATE, SettleFirst(1), id="history-comes-before-expiry"),
        pytest.param([0, 0], [False, True], WindowState.LATE, SendFirst(1), id="up-to-a-recorded-one"),
        pytest.param([0, 0, PAST_MS], [False, True, False], WindowState.LATE, SendFirst(1), id="recorded-then-expired"),
    ],
)
def test_head_is_settled_left_or_sent(
    expires_ms: list[int], recorded: list[bool], state: WindowState, expected: UncertainStep
) -> None:
    assert of(expires_ms, recorded, state) == expected


def test_park_says_why_a_resend_may_repeat() -> None:
    over = of([0, 0], [False, False], WindowState.TOO_LATE)
    assert over == RemoveFirst(
        "uncertain",
        "not known to be delivered, and a resend might end after the server has forgotten the id (90 s)",
        keep=True,
    )
    forgotten = of([0, 0], [False, False], WindowState.TOO_LATE, is_forgetful=True)
    assert forgotten == RemoveFirst(
        "uncertain", "not known to be delivered, and the server does not remember ids", keep=True
    )


@given(
    items=st.lists(st.tuples(st.sampled_from([0, PAST_MS, FUTURE_MS]), st.booleans()), min_size=1, max_size=8),
    state=st.sampled_from([WindowState.LATE, WindowState.TOO_LATE]),
)
def test_items_go_one_way_each_and_only_those_that_may(items: list[tuple[int, bool]], state: WindowState) -> None:
    left = list(items)
    while left:
        match of([at for at, _ in left], [known for _, known in left], state):
            case SendFirst(count):
                assert state is WindowState.LATE
                assert not any(known or at == PAST_MS for at, known in left[:count])
            case SettleFirst(count):
                assert all(known for _, known in left[:count])
            case RemoveFirst(reason=reason):
                count = 1
                assert not left[0][1]
                assert (reason == "expired_uncertain") == (left[0][0] == PAST_MS)
        assert count > 0
        left = left[count:]


@pytest.mark.parametrize(
    ("outcome", "copies"),
    [
        (Outcome.ACCEPTED, 0),  # settle counts them
        (Outcome.UNKNOWN, 8),
        (Outcome.STUCK, 8),
        (Outcome.REFUSED, 7),
        (Outcome.CONFLICT, 7),
        (Outcome.MISCOUNTED, 8),  # there are receipts for all of it
        (Outcome.NOT_SENT, 0),
        (Outcome.BUSY, 0),
        (Outcome.TOO_LARGE, 0),
        (Outcome.MISCONFIGURED, 0),
    ],
)
def test_copies_of_a_late_batch(outcome: Outcome, copies: int) -> None:
    """As many as the answer leaves possible."""
    assert count_possible_copies(Finding(outcome), Attempt(8, 800, resent=True, in_hold=False, age_s=200.0)) == copies

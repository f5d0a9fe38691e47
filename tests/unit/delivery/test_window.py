"""Where a batch stands with the server's memory, at each edge of both policies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.delivery.window import MARGIN_S, Policy, WindowState, check_window

pytestmark = pytest.mark.unit

RESEND = Policy(window_s=120, delivery_timeout_s=30, on_uncertain="resend")
PARK = replace(RESEND, on_uncertain="park")
START_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("policy", "age_ms", "expected"),
    [
        pytest.param(RESEND, 0, WindowState.SAFE, id="resend: just sent"),
        pytest.param(RESEND, 85_001, WindowState.SAFE, id="resend: park would have given up"),
        pytest.param(RESEND, 120_000, WindowState.SAFE, id="resend: at the end"),
        pytest.param(RESEND, 120_001, WindowState.LATE, id="resend: a millisecond later"),
        pytest.param(RESEND, 10**9, WindowState.LATE, id="resend: days later"),
        pytest.param(PARK, 0, WindowState.SAFE, id="park: just sent"),
        pytest.param(PARK, 85_000, WindowState.SAFE, id="park: the last moment at which a resend ends inside"),
        pytest.param(PARK, 85_001, WindowState.TOO_LATE, id="park: a millisecond later"),
        pytest.param(PARK, 10**9, WindowState.TOO_LATE, id="park: days later"),
        pytest.param(RESEND, -50, WindowState.SAFE, id="resend: a clock that stepped back"),
        pytest.param(PARK, -50, WindowState.SAFE, id="park: a clock that stepped back"),
        pytest.param(replace(PARK, window_s=35), 0, WindowState.SAFE, id="park: the shortest window, at once"),
        pytest.param(replace(PARK, window_s=35), 1, WindowState.TOO_LATE, id="park: the shortest window, too late"),
    ],
)
def test_standing_of_a_resend(policy: Policy, age_ms: int, expected: WindowState) -> None:
    """Equal is inside."""
    assert check_window(resent=True, first_ms=START_MS, now_ms=START_MS + age_ms, policy=policy) is expected


@given(st.integers(0, 10**12), st.sampled_from([RESEND, PARK]))
def test_first_send_is_always_safe(age_ms: int, policy: Policy) -> None:
    """What was never sent is never uncertain, however long ago it was taken."""
    assert check_window(resent=False, first_ms=START_MS, now_ms=START_MS + age_ms, policy=policy) is WindowState.SAFE


@given(
    st.integers(0, 10**8),
    st.integers(1, 3600).flatmap(lambda timeout: st.tuples(st.just(timeout), st.integers(timeout + 6, 10**5))),
)
def test_park_starts_no_resend_that_could_end_past_the_window(age_ms: int, times: tuple[int, int]) -> None:
    """Start + delivery timeout + margin is inside; and what it starts, `resend` would call safe too."""
    timeout_s, window_s = times
    parked = Policy(window_s=window_s, delivery_timeout_s=timeout_s, on_uncertain="park")
    now_ms = START_MS + age_ms
    state = check_window(resent=True, first_ms=START_MS, now_ms=now_ms, policy=parked)
    assert (state is WindowState.SAFE) == (age_ms / 1000 + timeout_s + MARGIN_S <= window_s)
    if state is WindowState.SAFE:
        resend = replace(parked, on_uncertain="resend")
        assert check_window(resent=True, first_ms=START_MS, now_ms=now_ms, policy=resend) is WindowState.SAFE


@pytest.mark.parametrize("age_ms", [-50, 0, 1, 10**9])
def test_no_resend_is_safe_where_the_server_forgets(age_ms: int) -> None:
    """The window is nothing: uncertain at once, whatever the clock says; a first send is safe."""
    times = {"first_ms": START_MS, "now_ms": START_MS + age_ms, "is_forgetful": True}
    assert check_window(resent=True, policy=RESEND, **times) is WindowState.LATE
    assert check_window(resent=True, policy=PARK, **times) is WindowState.TOO_LATE
    assert check_window(resent=False, policy=PARK, **times) is WindowState.SAFE

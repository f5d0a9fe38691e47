"""The way of an event on a quiet lane, from what Redis has seen; and what the page says of it."""

from __future__ import annotations

import pytest

from benchmarks.cold import ARRIVED, HOPS, Cold, hops_of
from benchmarks.report import Facts, Results, page, rows

pytestmark = pytest.mark.unit

APPEND, RING, HAS_RING, LEASE, TAKE = (name for name, _ in HOPS)


def commands(*times_ms: tuple[float, int]) -> list[tuple[float, str]]:
    """(milliseconds, number of the hop) as Redis' commands."""
    return [(10 + ms / 1000, HOPS[hop][1].format(queue="sockudo") + " 2 ...") for ms, hop in times_ms]


def rounded(hops: dict[str, float]) -> dict[str, float]:
    return {name: round(ms, 3) for name, ms in hops.items()}


def test_each_hop_is_timed_since_the_one_before() -> None:
    seen = [*commands((1, 0), (1.5, 1), (3, 2), (5, 3), (6, 4)), (10.0055, "PING")]
    assert rounded(hops_of(seen, "sockudo", 10.0, 10.009)) == {
        APPEND: 1,
        RING: 0.5,
        HAS_RING: 1.5,
        LEASE: 2,
        TAKE: 1,
        ARRIVED: 3,
    }


def test_commands_of_other_events_are_not_its_own() -> None:
    """Those before the call, after the arrival, and of another queue."""
    seen = [
        *commands((-5, 0), (-4, 1), (1, 0), (1.2, 0)),
        (10.002, "LPUSH sockudo.other x"),
        *commands((2.5, 1), (20, 3)),
    ]
    assert rounded(hops_of(seen, "sockudo", 10.0, 10.009)) == {APPEND: 1, RING: 1.5, ARRIVED: 6.5}


def test_hop_that_redis_has_not_seen_is_left_out() -> None:
    """A lane that is watched needs no doorbell: its time is part of the next hop."""
    assert rounded(hops_of(commands((1, 0), (2, 4)), "sockudo", 10.0, 10.004)) == {APPEND: 1, TAKE: 1, ARRIVED: 2}
    assert rounded(hops_of([], "sockudo", 10.0, 10.004)) == {ARRIVED: 4}


def measured(direct: float, cold: float) -> Cold:
    sides = {"direct": [direct] * 32, "warm": [direct + 1] * 32, "cold": [cold] * 32, "rung": [9.0] * 32}
    return Cold(ms=sides, hops_ms={APPEND: [1.0] * 32, ARRIVED: [3.0] * 32})


@pytest.mark.parametrize(("cold", "verdict"), [(6.0, "met"), (8.5, "**missed**")])
def test_quiet_lane_is_compared_with_a_direct_call(cold: float, verdict: str) -> None:
    (row,) = rows(Results(cold=measured(3.0, cold)))
    assert row.verdict == verdict
    assert f"+{cold - 3.0:.1f} ms" in row.measured


def test_page_shows_the_sides_and_the_steps() -> None:
    facts = Facts(
        **{"date": "d", "command": "c", "machine": "m", "versions": {}, "plan": "quick", "driver": "d"},
        **{"item_bytes": 1, "data_bytes": 1, "channels": 1, "spins_ms": [1.0], "load": 0.0, "seconds": 1.0},
    )
    text = page(Results(cold=measured(3.0, 6.0)), facts)
    assert "| `publish.delay`, quiet | 6.0 | 6.0 |" in text
    assert "| `publish.delay`, by its doorbell | 9.0 | 9.0 |" in text
    assert f"| {ARRIVED} | 3.0 | 3.0 |" in text

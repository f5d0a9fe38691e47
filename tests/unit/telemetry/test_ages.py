"""Ages of events in buckets: each entry is one observation with the weight of its events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.telemetry.ages import BOUNDS_S, percentile_s, weigh_ages

pytestmark = pytest.mark.unit


def test_entry_counts_with_its_events() -> None:
    ages = weigh_ages(10_000, [9_000, 9_990], [3, 500])
    assert ages.counts[BOUNDS_S.index(0.01)] == 500
    assert ages.counts[BOUNDS_S.index(1.0)] == 3
    assert sum(ages.counts) == 503
    assert ages.total_s == pytest.approx(500 * 0.01 + 3 * 1.0)


@pytest.mark.parametrize("bound", BOUNDS_S[2:])
def test_bound_belongs_to_its_bucket(bound: float) -> None:
    at = BOUNDS_S.index(bound)
    assert weigh_ages(10**9, [10**9 - int(bound * 1000)], [1]).counts[at] == 1
    assert weigh_ages(10**9, [10**9 - int(bound * 1000) - 1], [1]).counts[at + 1] == 1


def test_clock_that_was_set_back_counts_as_no_time() -> None:
    ages = weigh_ages(1_000, [5_000], [2])
    assert ages.counts[0] == 2
    assert ages.total_s == 0


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 100)), max_size=30))
def test_no_event_is_lost_between_buckets(entries: list[tuple[int, int]]) -> None:
    entries.sort()
    ages = weigh_ages(10**7, [at for at, _ in entries], [events for _, events in entries])
    assert sum(ages.counts) == sum(events for _, events in entries)
    assert len(ages.counts) == len(BOUNDS_S) + 1
    assert ages.total_s == pytest.approx(sum((10**7 - at) * events for at, events in entries) / 1000)
    for at, events in entries:  # each is in the bucket of its own age
        alone = weigh_ages(10**7, [at], [events]).counts
        assert ages.counts[alone.index(events)] >= events


def test_percentiles_lie_in_their_bucket() -> None:
    counts = weigh_ages(10**6, [10**6 - 700, 10**6 - 20], [10, 90]).counts
    assert 0.01 < percentile_s(counts, 0.5) <= 0.025
    assert 0.5 < percentile_s(counts, 0.95) <= 1.0
    assert percentile_s([0] * (len(BOUNDS_S) + 1), 0.5) == BOUNDS_S[-1]


def test_percentile_beyond_the_buckets_is_the_last_bound() -> None:
    assert percentile_s(weigh_ages(10**9, [0], [5]).counts, 0.5) == BOUNDS_S[-1]

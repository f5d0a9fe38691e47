"""The part of the quiet lanes that a worker goes on watching."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from sockudo_publisher.workerapp import quiet_lanes
from sockudo_publisher.workerapp.quiet_lanes import FRESH_S, forget, is_kept, keep, part_of

pytestmark = pytest.mark.unit

APP = "a-test"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    forget(APP)


@pytest.mark.parametrize("lanes", [[0], list(range(16)), [5, 3, 4], list(range(40, 47))])
@pytest.mark.parametrize("workers", [1, 2, 3, 16, 20])
def test_each_lane_is_of_one_worker(lanes: list[int], workers: int) -> None:
    parts = [part_of(lanes, (index, workers), 64) for index in range(workers)]
    assert sorted(chain.from_iterable(parts)) == sorted(lanes)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1, "an even share"


def test_part_is_bounded() -> None:
    assert part_of(range(1000), (0, 1), 64) == frozenset(range(64))
    assert part_of(range(16), (0, 1), 0) == frozenset()


def test_worker_that_does_not_drain_has_none() -> None:
    assert part_of(range(16), None, 64) == frozenset()


def test_lane_is_kept_until_the_sweep_renews_it_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(quiet_lanes.time, "monotonic", lambda: now)
    assert not is_kept(APP, 1), "before the first sweep, and in a child of a pool"
    keep(APP, frozenset({1, 2}))
    assert [is_kept(APP, lane) for lane in (0, 1, 2)] == [False, True, True]
    assert not is_kept("another", 1)
    now += FRESH_S
    assert not is_kept(APP, 1)
    keep(APP, frozenset({2}))
    assert [is_kept(APP, lane) for lane in (1, 2)] == [False, True]
    forget(APP)
    assert not is_kept(APP, 2)

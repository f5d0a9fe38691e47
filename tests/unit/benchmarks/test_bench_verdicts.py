"""What the benchmark's page says of a target."""

from __future__ import annotations

import pytest

from benchmarks.client import Called
from benchmarks.coroutines import Coroutines
from benchmarks.drained import POOLS, Drained
from benchmarks.imports import COMMANDS, Imported
from benchmarks.ratios import spread
from benchmarks.report import Results, at_least, at_most, rows

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        pytest.param([3.6, 3.7, 4.0], "met", id="all"),
        pytest.param([2.0, 3.7, 4.0], "met by the median, not by every pair", id="most"),
        pytest.param([2.0, 3.0, 4.0], "**missed** by the median, met by some pairs", id="few"),
        pytest.param([2.0, 3.0, 3.4], "**missed**", id="none"),
    ],
)
def test_pairs_that_disagree_are_told(values, verdict):
    """A median on the right side of a target is not enough to call it met."""
    assert at_least("", "", spread(values), 3.5, "").verdict == verdict
    assert at_most("", "", spread([-value for value in values]), -3.5, "").verdict == verdict


def drained(ours, ceiling, per_event=(100.0, 200.0)):
    """One round, with the two pools of the task per event."""
    rates = {"ours": [ours], "ceiling 500": [ceiling]}
    rates |= {f"per_event {pool}": [rate] for pool, rate in zip(POOLS, per_event, strict=True)}
    rates |= {f"in_batches {pool}": [1000.0] for pool in POOLS}
    return Results(drained=Drained(rates=rates))


def test_a_ceiling_that_is_passed_counts_as_none():
    """More than the ceiling shows that the driver was held up, not that the worker is fast."""
    row = rows(drained(70_000.0, 50_000.0))[0]
    assert row.verdict == "**missed**"
    assert "not valid" in row.measured


def test_a_peer_is_taken_at_its_better_pool():
    """The faster pool of the peer is what a target compares with."""
    row = rows(drained(20_000.0, 30_000.0, per_event=(100.0, 400.0)))[1]
    assert row.measured.startswith("50x")
    assert row.verdict == "**missed**"


def test_the_client_has_to_be_faster_than_both_peers():
    """A row for each call and peer; slower than one of them is a miss of that row alone."""
    sides = {"ours": [500.0, 510.0], "pusher": [800.0, 816.0], "sockudo-http-python": [400.0, 408.0]}
    found = rows(Results(client=Called(cpu_us={"trigger": sides, "trigger_batch": {**sides, "ours": [100.0, 102.0]}})))
    assert [row.median_meets for row in found] == [True, False, True, True]
    assert [row.measured.split("x")[0] for row in found] == ["1.60", "0.80", "8.00", "4.00"]


def test_imports_are_compared_with_what_they_need():
    """Differences and one ratio, each by pair; each command beside `import redis`."""
    cpu_ms = {"nothing": [10.0], "package": [50.0], "requests": [90.0], "client": [140.0]}
    cpu_ms |= {"libraries": [200.0], "first delay": [240.0], "redis": [100.0]}
    cpu_ms |= {name: [180.0] for name in COMMANDS} | {"status": [251.0]}
    found = rows(Results(imports=Imported(cpu_ms)))
    assert [row.measured.split(" ")[0] for row in found] == [
        *("40", "50", "1.20x"),
        *("151" if name == "status" else "80" for name in COMMANDS),
    ]
    assert [row.median_meets for row in found] == [False, True, True, *(name != "status" for name in COMMANDS)]


def test_coroutines_have_a_row_for_each_target():
    """Six targets; each is met or missed by its own figures."""
    measured = Coroutines(
        rates={
            (side, callers): [rate] for side, rate in (("adelay", 9.0), ("to_thread", 1.5)) for callers in (100, 1000)
        },
        p50_ms={"delay": [0.2], "adelay": [0.3]},
        stall_ms={"adelay": [25.0], "idle": [4.0]},
        frozen_s=[0.9],
        frozen_stall_ms=[3.0],
        back=[0.5],
    )
    verdicts = [row.verdict for row in rows(Results(coroutines=measured))]
    assert verdicts == ["met", "**missed**", "met", "**missed**", "met", "**missed**"]

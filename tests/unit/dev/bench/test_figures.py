"""From times to output: statistics, tables, the shape of the JSON."""

from __future__ import annotations

import json

import pytest

from sockudo_publisher.dev.bench.figures import (
    RATES,
    TIMES,
    Samples,
    describe_verdict,
    percentile,
    rates,
    ratio,
    times,
    values,
)
from sockudo_publisher.dev.bench.plan import Plan
from sockudo_publisher.dev.tally import Verdict

pytestmark = pytest.mark.unit

FINE = Verdict(published=10, seen=10, channels=2, lost=0, duplicates=0, out_of_order=0, altered=False)
NOT = "Not each of the 10 events arrived exactly once"


def samples() -> Samples:
    """Three rounds, the second on a machine twice as slow."""
    found = Samples()
    for slow in (1, 2, 1):
        found.call_us["delay"].append([100.0 * slow, 200.0 * slow, 300.0 * slow])
        found.call_us["trigger"].append([1000.0 * slow, 1000.0 * slow])
        found.latency_ms["delay"].append([3.0 * slow])
        found.latency_ms["trigger"].append([2.0 * slow])
        found.rates["publish_many"].append(100_000 / slow)
        found.rates["drained"].append(50_000 / slow)
        found.rates["trigger"].append(1_000 / slow)
        found.rates["trigger_batch"].append(25_000 / slow)
        found.rates["trigger_batch_with_ids"].append(20_000 / slow)
    return found


@pytest.mark.parametrize(
    ("numbers", "share", "found"),
    [
        ([7.0], 0.95, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        (list(range(1, 101)), 0.95, 95),
        (list(range(1, 21)), 0.95, 19),
        (list(range(1, 20)), 0.95, 19),
        ([1.0, 2.0], 0.0, 1.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_a_percentile_is_one_of_the_numbers(numbers, share, found):
    """By nearest rank: nothing is made up between two measurements."""
    assert percentile(numbers, share) == found


def test_no_numbers_have_no_percentile():
    """Rather than a zero that looks like a measurement."""
    with pytest.raises(ValueError, match="none"):
        percentile([], 0.5)


def test_a_ratio_is_of_pairs():
    """A round in which everything is slow does not move it."""
    assert ratio([100.0, 900.0, 100.0], [10.0, 90.0, 10.0]) == 10.0
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_programs_get_figures_ratios_and_a_verdict():
    """The whole shape: it is what docs/cli.md promises."""
    result = json.loads(json.dumps(values(samples(), FINE, Plan(events=300, channels=2, bytes=100))))
    assert result == {
        "ok": True,
        "load": {"events": 300, "channels": 2, "bytes": 100, "rounds": 3},
        "arrived": {
            "published": 10,
            "seen": 10,
            "lost": 0,
            "repeated": 0,
            "out_of_order": 0,
            "altered": False,
        },
        "call_us": {"delay": {"p50": 200.0, "p95": 600.0}, "trigger": {"p50": 1000.0, "p95": 2000.0}},
        "latency_ms": {"delay": {"p50": 3.0, "p95": 6.0}, "trigger": {"p50": 2.0, "p95": 4.0}},
        "events_per_s": {
            "drained": {"median": 50_000, "least": 25_000, "most": 50_000},
            "publish_many": {"median": 100_000, "least": 50_000, "most": 100_000},
            "trigger": {"median": 1_000, "least": 500, "most": 1_000},
            "trigger_batch": {"median": 25_000, "least": 12_500, "most": 25_000},
            "trigger_batch_with_ids": {"median": 20_000, "least": 10_000, "most": 20_000},
        },
        "ratios": {
            "delay_to_trigger": 0.2,
            "delay_to_trigger_latency": 1.5,
            "publish_many_to_trigger": 100.0,
            "publish_many_to_trigger_batch": 4.0,
            "publish_many_to_trigger_batch_with_ids": 5.0,
            "drained_to_trigger": 50.0,
            "drained_to_trigger_batch": 2.0,
            "drained_to_trigger_batch_with_ids": 2.5,
        },
    }


def test_people_get_times_with_the_direct_call_beside():
    """A row a side; what a ratio belongs to stands in our row."""
    rows = times(samples())
    assert rows == [
        ("publish.delay, a call", "200 µs", "600 µs", "0.20"),
        ("trigger, a call", "1,000 µs", "2,000 µs", ""),
        ("publish.delay, call to subscriber, 20/s", "3.0 ms", "6.0 ms", "1.50"),
        ("trigger, call to subscriber, 20/s", "2.0 ms", "4.0 ms", ""),
    ]
    assert {len(row) for row in rows} == {len(TIMES)}


@pytest.mark.parametrize(("here", "who"), [(False, "one worker"), (True, "the workers")])
def test_people_get_rates_and_whose_they_are(here, who):
    """At a deployment the number of workers is unknown."""
    rows = rates(samples(), here=here)
    assert rows == [
        ("publish_many, stored", "100,000", "50,000-100,000", "100.0", "4.0", "5.0"),
        (f"drained by {who}", "50,000", "25,000-50,000", "50.0", "2.0", "2.5"),
        ("trigger, one by one", "1,000", "500-1,000", "", "", ""),
        ("trigger_batch of 100", "25,000", "12,500-25,000", "", "", ""),
        ("the same, with ids", "20,000", "10,000-20,000", "", "", ""),
    ]
    assert {len(row) for row in rows} == {len(RATES)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "Each of the 10 events arrived exactly once, in order."),
        ({"lost": 2}, f"{NOT}: 2 lost."),
        ({"duplicates": 1, "out_of_order": 3}, f"{NOT}: 1 repeated, 3 out of order."),
        ({"altered": True}, f"{NOT}: some altered."),
    ],
    ids=["fine", "lost", "repeated and swapped", "altered"],
)
def test_it_says_whether_each_event_arrived_once(wrong, said):
    """And if not, what happened to how many."""
    verdict = Verdict(**{**vars(FINE), **wrong})
    assert describe_verdict(verdict) == said
    assert verdict.ok is (not wrong)

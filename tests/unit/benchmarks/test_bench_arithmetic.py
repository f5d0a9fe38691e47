"""The arithmetic of the benchmark: rates over the middle of a run, ratios of pairs."""

from __future__ import annotations

import pytest

from benchmarks.rates import at_count, middle_rate
from benchmarks.ratios import of_pairs, percentile, spread

pytestmark = pytest.mark.unit


def test_the_start_and_the_end_of_a_run_do_not_count():
    """Slow first and last tenths leave the rate of the middle as it is."""
    samples = [(0.0, 0.0), (5.0, 100.0), (6.0, 900.0), (20.0, 1000.0)]
    assert middle_rate(samples, 1000) == pytest.approx(800.0)


def test_a_count_between_two_samples_lies_on_a_straight_line():
    """Half of the way in events is half of the way in time."""
    assert at_count([(1.0, 0.0), (3.0, 10.0)], 5) == pytest.approx(2.0)


def test_a_count_that_was_never_reached_is_an_error():
    """A run that was cut short has no rate."""
    with pytest.raises(ValueError, match="never reached"):
        at_count([(0.0, 0.0), (1.0, 5.0)], 6)


def test_samples_that_begin_too_late_are_refused():
    """Without its start a run would look faster than it was."""
    with pytest.raises(ValueError, match="after a tenth"):
        middle_rate([(0.0, 200.0), (1.0, 1000.0)], 1000)


def test_a_ratio_is_taken_within_each_pair():
    """A machine that slows down for one pair slows both of its sides: the ratio stays."""
    ratio = of_pairs([100.0, 10.0, 90.0], [50.0, 5.0, 30.0])
    assert (ratio.middle, ratio.low, ratio.high, ratio.count) == (2.0, 2.0, 3.0, 3)


def test_pairs_of_unequal_number_are_refused():
    """A side that missed a round would be paired with another round's."""
    with pytest.raises(ValueError, match="zip"):
        of_pairs([1.0, 2.0], [1.0])


def test_nothing_measured_is_an_error():
    """No values have neither a median nor a percentile."""
    with pytest.raises(ValueError, match="none"):
        spread([])
    with pytest.raises(ValueError, match="none"):
        percentile([], 0.5)


def test_a_percentile_is_one_of_the_values():
    """Nearest rank, the most at the end."""
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 51.0, 96.0, 100.0]

"""When canaries are planted and asked, and what their answers mean."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.canaries.schedule import ages_to_plant, beat_s, canaries_after_trouble, due_canaries, is_askable
from sockudo_publisher.canaries.values import Beat, Canary, CanaryAnswer, MemoryReport
from sockudo_publisher.canaries.verdict import (
    ENOUGH,
    advice,
    capacity,
    current_report,
    judge_answers,
    peak_rate,
    summary,
)

pytestmark = pytest.mark.unit

NOW_MS = 1_800_000_000_000
WINDOW_S = 120.0

windows = st.floats(6, 10**6)


def answer(age_s: float, remembered: bool = True, ago_s: float = 1.0) -> CanaryAnswer:
    return CanaryAnswer("id", int(age_s * 1000), remembered, NOW_MS - int(ago_s * 1000))


def judged(*answers: CanaryAnswer, before: MemoryReport | None = None) -> MemoryReport:
    return judge_answers(answers, NOW_MS, WINDOW_S, before or MemoryReport())


# -- the schedule -------------------------------------------------------------------------------------


@given(windows)
def test_ten_canaries_and_more_are_spread_over_a_window(window_s: float) -> None:
    """Young ones every few seconds, old ones at twelve ages up to nine tenths of the window, none beyond."""
    beats = round(window_s / beat_s(window_s))
    if beats > 10_000:
        beats, window_s = 24, 120.0
    ages = [age for beat in range(beats) for age in ages_to_plant(beat, window_s)]
    old = sorted({round(age / window_s, 6) for age in ages if age > beat_s(window_s)})
    assert max(old) == pytest.approx(0.9)
    assert len(old) >= 10
    assert all(later - earlier < 0.1 for earlier, later in itertools.pairwise(old))
    assert Counter(ages)[beat_s(window_s)] >= beats


def test_documented_share_of_the_young_is_that_of_the_schedule() -> None:
    """docs/reliability.md says how many of a default window's canaries are young."""
    text = " ".join((Path(__file__).parents[3] / "docs" / "reliability.md").read_text(encoding="utf-8").split())
    ages = [age for beat in range(24) for age in ages_to_plant(beat, WINDOW_S)]
    assert f"Of the {len(ages)} canaries of a window, {ages.count(5.0)} are repeated after five seconds" in text
    assert len(set(ages) - {5.0}) == 12
    assert "The others are repeated at twelve ages all over the window" in text


def test_full_memory_is_asked_within_two_beats() -> None:
    """What is planted now is asked at the next beat: ten seconds with the default window."""
    assert beat_s(WINDOW_S) == 5.0
    assert all(min(ages_to_plant(beat, WINDOW_S)) == 5.0 for beat in range(100))


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 200_000)), max_size=20))
def test_due_are_those_whose_age_has_come(times: list[tuple[int, int]]) -> None:
    """Planted plus age is not later than now."""
    canaries = [Canary(str(n), NOW_MS - ago, ask) for n, (ago, ask) in enumerate(times)]
    due = {one.id for one in due_canaries(canaries, NOW_MS)}
    assert due == {str(n) for n, (ago, ask) in enumerate(times) if ask <= ago}


def test_canary_that_the_server_may_have_forgotten_is_not_asked() -> None:
    """Its holder was away: the answer would say nothing."""
    assert is_askable(Canary("a", NOW_MS - 108_000, 0), NOW_MS, WINDOW_S)
    assert not is_askable(Canary("a", NOW_MS - 115_000, 0), NOW_MS, WINDOW_S)


@pytest.mark.parametrize(
    ("ages_s", "trouble_s", "asked"),
    [
        pytest.param([50, 40, 30, 20, 10], 15, [20, 30, 40], id="the youngest that are older than the trouble"),
        pytest.param([10, 5, 2, 1], 15, [2, 5, 10], id="none is: the oldest of those planted in it"),
        pytest.param([118, 119, 200], 15, [], id="all too old to mean anything"),
        pytest.param([], 15, [], id="none"),
    ],
)
def test_who_is_asked_after_trouble(ages_s: list[int], trouble_s: int, asked: list[int]) -> None:
    """Ids that the server knew before its memory may have been lost."""
    canaries = [Canary(str(age), NOW_MS - age * 1000, 0) for age in ages_s]
    chosen = canaries_after_trouble(canaries, NOW_MS, NOW_MS - trouble_s * 1000, WINDOW_S)
    assert [int(one.id) for one in chosen] == asked


# -- the verdict --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "verdict", "remembered_s"),
    [
        pytest.param([], "unknown", 0, id="nothing asked"),
        pytest.param([answer(5)] * (ENOUGH - 1), "unknown", 5, id="one too few"),
        pytest.param([answer(age) for age in range(1, ENOUGH + 1)], "remembers", 10, id="enough"),
        pytest.param(
            [*[answer(5)] * 100, answer(30, False)], "forgets", 5, id="one of a hundred forgotten, an old one"
        ),
        pytest.param(
            [*[answer(5)] * 100, answer(5, False)], "forgets", 0, id="one of a hundred forgotten, a young one"
        ),
        pytest.param([answer(50), answer(30, False)], "forgets", 0, id="an older one was remembered: it was lost"),
        pytest.param([answer(30, False), answer(60, False)], "forgets", 0, id="all forgotten: it was lost"),
        pytest.param([answer(5, False)], "forgets", 0, id="the first forgotten"),
        pytest.param([*[answer(5)] * 20, answer(121, False)], "remembers", 5, id="forgotten when it may be"),
        pytest.param([*[answer(5)] * 20, answer(9, False, ago_s=120)], "remembers", 5, id="a window ago"),
        pytest.param([*[answer(5)] * 20, answer(9, False, ago_s=119)], "forgets", 0, id="within the window"),
    ],
)
def test_verdict(answers: list[CanaryAnswer], verdict: str, remembered_s: float) -> None:
    """One forgotten in a window is enough; for a good word, ten have to be remembered."""
    report = judged(*answers)
    assert (report.verdict, report.remembered_s) == (verdict, remembered_s)


def test_answers_older_than_the_window_say_nothing() -> None:
    """Neither good nor bad."""
    assert judged(*[answer(5, ago_s=120)] * 20) == replace(judged(), verdict="unknown")
    assert judged(*[answer(5, ago_s=119)] * 20).asked == 20


def test_forgotten_id_counts_for_a_whole_window() -> None:
    """Also when its answer is not kept any more, and not longer."""
    report = judged(answer(40, False, ago_s=10), answer(5, False, ago_s=20))
    assert report.forgets_until_ms == NOW_MS + 110_000
    assert (report.asked, report.forgotten, report.forgotten_from_s) == (2, 2, 5)
    good = [CanaryAnswer("id", 5000, True, NOW_MS + 109_000)] * 20
    assert judge_answers(good, NOW_MS + 109_999, WINDOW_S, report).verdict == "forgets"
    later = judge_answers(good, NOW_MS + 110_000, WINDOW_S, report)
    assert (later.verdict, later.forgets_until_ms) == ("remembers", 0)


@pytest.mark.parametrize("ahead_ms", [3_600_000, 10**13 - NOW_MS])
def test_time_in_the_future_is_a_window_at_most(ahead_ms: int) -> None:
    """A clock was set back, or another program wrote it: the server would be taken to forget for as long."""
    before = MemoryReport("forgets", forgets_until_ms=NOW_MS + ahead_ms, window_s=WINDOW_S)
    report = judged(before=before)
    assert (report.verdict, report.forgets_until_ms) == ("forgets", NOW_MS + 120_000)
    assert judge_answers([], NOW_MS + 120_000, WINDOW_S, report).verdict == "unknown"
    assert judged(answer(5, remembered=False, ago_s=-ahead_ms / 1000)).verdict == "unknown"


def test_report_of_workers_that_are_gone_says_nothing_any_more() -> None:
    """A window old, or never made."""
    report = judged(answer(5, False))
    assert current_report(report, NOW_MS + 120_000) is report
    assert current_report(report, NOW_MS + 120_001).verdict == "unknown"
    assert current_report(MemoryReport(), NOW_MS) == MemoryReport()


# -- the rate and the advice --------------------------------------------------------------------------


def test_rate_is_that_of_the_busiest_beat_of_the_window() -> None:
    """A burst counts until it is a window old; a counter that fell, or none before, is no rate."""
    first = Beat(1, NOW_MS, (), settled=10_000, before=0, before_ms=0, peak_rate=0, peak_ms=0)
    assert peak_rate(first, WINDOW_S) == (0, NOW_MS)
    burst = replace(first, before=0, before_ms=NOW_MS - 5000)
    assert peak_rate(burst, WINDOW_S) == (2000, NOW_MS)
    calm = replace(burst, before=9_950, peak_rate=2000.0, peak_ms=NOW_MS - 119_000)
    assert peak_rate(calm, WINDOW_S) == (2000, NOW_MS - 119_000)
    assert peak_rate(replace(calm, peak_ms=NOW_MS - 121_000), WINDOW_S) == (10, NOW_MS)
    assert peak_rate(replace(burst, before=20_000), WINDOW_S) == (0, NOW_MS)


@given(st.floats(0, 10**6), windows)
def test_capacity_has_room_for_a_window_twice(rate: float, window_s: float) -> None:
    """And is a round number, ten times the server's default at least."""
    room = capacity(rate, window_s)
    assert room >= max(100_000, rate * window_s * 2)
    assert room <= max(100_000, rate * window_s * 2 * 1.1 + 1)
    assert len(str(room).rstrip("0")) <= 2


@pytest.mark.parametrize(
    ("answers", "first"),
    [
        pytest.param([*[answer(5)] * 11, answer(6, False)], "[cache.memory] max_capacity = 480000", id="young"),
        pytest.param([*[answer(5)] * 11, answer(10, False)], "[cache.memory] max_capacity = 480000", id="late, young"),
        pytest.param([answer(5), answer(50), answer(30, False)], "[cache.memory] max_capacity", id="any age"),
        pytest.param([*[answer(5)] * 11, answer(11, False)], "[idempotency] ttl_seconds = 120", id="old"),
        pytest.param([answer(5), answer(63), answer(62, False)], "[idempotency] ttl_seconds = 120", id="at its border"),
    ],
)
def test_advice_begins_with_what_is_wrong(answers: list[CanaryAnswer], first: str) -> None:
    """Who forgets the young is full; who forgets only the old remembers for too short a time."""
    text = advice(replace(judged(*answers), rate=2000.0))
    assert text.startswith(f"set {first}")
    assert "max_capacity = 480000" in text, "the other one is named too"
    assert "ttl_seconds" in text
    assert text.endswith("After a restart of Sockudo or of its cache this passes within 240 s")


def test_advice_for_a_short_time_names_both_causes() -> None:
    """Whole seconds, as the server takes them."""
    report = replace(judged(*[answer(5)] * 11, answer(45), answer(54, False)), window_s=119.5)
    text = advice(report)
    assert "ttl_seconds = 120" in text
    assert "remembered after 45.0 s, and forgotten after 54.0 s" in text
    assert "maxmemory-policy noeviction" in text


def test_advice_names_the_setting_and_value_for_the_rate() -> None:
    """Nothing is advised while nothing was forgotten."""
    forgets = replace(judged(*[answer(5)] * 11, answer(5, False)), rate=2000.0)
    text = advice(forgets)
    assert "[cache.memory] max_capacity = 480000" in text
    assert "2,000 events/s over 120 s" in text
    assert 'driver = "redis"' in text
    assert "1 of 12 were forgotten" in summary(forgets)
    remembers = judged(*[answer(100)] * 12)
    assert advice(remembers) == ""
    assert summary(remembers) == "the server remembers ids for 100 s at least (12 asked)"
    assert "events/s" not in advice(replace(forgets, rate=0.0))
    assert advice(MemoryReport()) == ""
    assert "not known yet" in summary(MemoryReport())

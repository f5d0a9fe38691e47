"""The waits: their ranges, their spread, their caps."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockudo_publisher.delivery.backoff import (
    CAP_S,
    FIRST_S,
    HOLD_CAP_S,
    HOLD_FIRST_S,
    backoff_s,
    hold_retry_s,
    probe_timeout_s,
)

pytestmark = pytest.mark.unit


@given(st.integers(-3, 10**6))
def test_backoff_is_between_nothing_and_its_bound(failures: int) -> None:
    """Doubled from 0.2 s, capped; a huge number of failures is no error."""
    bound = min(CAP_S, FIRST_S * 2 ** (max(1, min(failures, 64)) - 1))
    assert 0 <= backoff_s(failures) <= bound


@pytest.mark.parametrize("failures", [1, 2, 3, 4, 40])
def test_backoff_has_full_jitter(failures: int) -> None:
    """Workers that failed together do not come back together: the whole range is used, evenly."""
    bound = min(CAP_S, FIRST_S * 2 ** (failures - 1))
    waits = [backoff_s(failures) / bound for _ in range(2000)]
    for low in (0.0, 0.25, 0.5, 0.75):
        share = sum(low <= wait <= low + 0.25 for wait in waits) / len(waits)
        # 2,000 draws: the standard deviation of a quarter's share is 0.0097; ten of them never happen.
        assert share == pytest.approx(0.25, abs=0.097)


@pytest.mark.parametrize(("delivery_timeout_s", "quick_s"), [(30.0, 5.0), (5.0, 5.0), (0.9, 0.9)])
def test_three_of_four_probes_are_quick(delivery_timeout_s: float, quick_s: float) -> None:
    """A server that needs longer is given the whole timeout by the fourth, so that its pause ends."""
    timeouts = [probe_timeout_s(pauses, delivery_timeout_s) for pauses in range(1, 9)]
    assert timeouts == [quick_s, quick_s, quick_s, delivery_timeout_s] * 2


@given(st.floats(0, 1e9))
def test_hold_retry_is_a_quarter_of_the_age_within_its_bounds(age_s: float) -> None:
    """From 1 s to 10 s."""
    assert hold_retry_s(age_s) == pytest.approx(min(HOLD_CAP_S, max(HOLD_FIRST_S, age_s / 4)))


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_hold_retry_never_falls_with_age(one: float, other: float) -> None:
    """The gaps grow."""
    assert hold_retry_s(min(one, other)) <= hold_retry_s(max(one, other))


def test_attempts_of_a_held_item_are_bounded_in_a_window() -> None:
    """Each question costs the server a second of waiting."""
    age_s, questions = 0.0, 0
    while age_s < 120:
        age_s += hold_retry_s(age_s) + 1.06
        questions += 1
    assert 15 <= questions <= 25


LOADED_BY_FAILURE = """
import sys
import sockudo_publisher.delivery.drain, sockudo_publisher.workerapp.run_drain
from sockudo_publisher.delivery.backoff import backoff_s, hold_retry_s
hold_retry_s(1)
assert "tenacity" not in sys.modules
backoff_s(1)
assert "tenacity" in sys.modules
"""

FORKED_WHILE_LOADING = """
import builtins, os, sys, threading
from sockudo_publisher.delivery import backoff
begun = threading.Event()
original = builtins.__import__
def slow(name, *args, **kwargs):
    if name == "tenacity.wait" and not begun.is_set():
        begun.set()
        threading.Event().wait(0.2)
    return original(name, *args, **kwargs)
builtins.__import__ = slow
thread = threading.Thread(target=backoff.backoff_s, args=(1,))
thread.start()
begun.wait()
child = os.fork()
assert backoff._waits, "the fork waited"
if not child:
    backoff.backoff_s(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
"""


@pytest.mark.parametrize("source", [LOADED_BY_FAILURE, FORKED_WHILE_LOADING], ids=["by a failure", "not by a fork"])
def test_tenacity_is_loaded_by_the_first_failure(source: str) -> None:
    """Not by a worker's start; and a fork waits for it."""
    environ = {**os.environ, "SOCKUDO_URL": "http://key:secret@127.0.0.1:9/apps/app"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", source], env=environ, check=True, timeout=120)

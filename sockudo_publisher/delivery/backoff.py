"""How long to wait: exponential with full jitter, capped (tenacity computes it)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final, cast

from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential

__all__ = ["backoff_s", "hold_retry_s"]

#: Seconds: the bound of the first wait, doubled with each further one, up to the cap. The cap is
#: what a returning server may stay unnoticed: all lanes flow within two seconds.
FIRST_S: Final = 0.2
CAP_S: Final = 1.5

#: Seconds between two attempts at a stuck item: the first, and the longest.
HOLD_FIRST_S: Final = 1.0
HOLD_CAP_S: Final = 10.0

_wait = wait_random_exponential(multiplier=FIRST_S, max=CAP_S)


def backoff_s(failures: int) -> float:
    """Seconds to wait after ``failures`` (1, 2, ...) in a row: between 0 and min(cap, 0.2 * 2^(n-1))."""
    state = cast(RetryCallState, SimpleNamespace(attempt_number=max(1, min(failures, 32))))
    return _wait(state)


def hold_retry_s(age_s: float) -> float:
    """Seconds until a stuck item is tried again: a quarter of its age, from 1 up to 10.

    The age is in the journal, so the gaps grow over deaths of the holder too.
    """
    return min(HOLD_CAP_S, max(HOLD_FIRST_S, age_s / 4))

"""How long to wait: exponential with full jitter, capped (tenacity computes it)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final, cast

from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential

__all__ = ["QUICK_S", "backoff_s", "hold_retry_s", "probe_timeout_s"]

#: Seconds: the bound of the first wait, doubled with each further one, up to the cap. The cap is
#: what a returning server may stay unnoticed: all lanes flow within two seconds.
FIRST_S: Final = 0.2
CAP_S: Final = 1.5

#: Seconds between two attempts at a stuck item: the first, and the longest.
HOLD_FIRST_S: Final = 1.0
HOLD_CAP_S: Final = 10.0

#: Seconds that a question to a server in trouble, or one of the beat's, may take: events of a few bytes.
QUICK_S: Final = 5.0

#: Every so many probes in a row one takes its time.
PATIENT_EVERY: Final = 4

_wait = wait_random_exponential(multiplier=FIRST_S, max=CAP_S)


def backoff_s(failures: int) -> float:
    """Seconds to wait after ``failures`` (1, 2, ...) in a row: between 0 and min(cap, 0.2 * 2^(n-1))."""
    state = cast(RetryCallState, SimpleNamespace(attempt_number=max(1, min(failures, 32))))
    return _wait(state)


def probe_timeout_s(pauses: int, delivery_timeout_s: float) -> float:
    """Seconds that a canary may take after ``pauses`` (1, 2, ...) in a row.

    Short, because a way that swallows requests is noticed to be open again only by the next one; but
    every fourth has the whole timeout, because a server may need it, and must not be paused for ever.
    """
    quick_s = min(QUICK_S, delivery_timeout_s)
    return quick_s if pauses % PATIENT_EVERY else delivery_timeout_s


def hold_retry_s(age_s: float) -> float:
    """Seconds until a stuck item is tried again: a quarter of its age, from 1 up to 10.

    The age is in the journal, so the gaps grow over deaths of the holder too.
    """
    return min(HOLD_CAP_S, max(HOLD_FIRST_S, age_s / 4))

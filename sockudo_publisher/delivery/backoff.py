"""How long to wait: exponential with full jitter, capped (tenacity computes it)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final, cast

from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential

__all__ = ["QUICK_S", "backoff_s", "hold_retry_s", "probe_timeout_s"]

#: Seconds: the bound of the first wait, doubled with each further one, up to the cap. After a return of the server all
#: lanes flow within RETURN_S; the cap leaves the rest of it to the probe and to the doorbells.
FIRST_S: Final = 0.2
CAP_S: Final = 1.5
RETURN_S: Final = 2.0
assert FIRST_S < CAP_S < RETURN_S, "a server that is back is noticed in time"

#: Seconds between two attempts at a stuck item: the first, and the longest.
HOLD_FIRST_S: Final = 1.0
HOLD_CAP_S: Final = 10.0
assert HOLD_FIRST_S < HOLD_CAP_S, "the gaps grow"

#: Seconds that the request of a canary may take: an event of a few bytes.
QUICK_S: Final = 5.0

#: Of this number of probes in a row, the last has the whole delivery timeout.
PATIENT_EVERY: Final = 4

_wait = wait_random_exponential(multiplier=FIRST_S, max=CAP_S)


def backoff_s(failures: int) -> float:
    """Seconds to wait after ``failures`` (1, 2, ...) in a row: between 0 and min(cap, 0.2 * 2^(n-1))."""
    state = cast(RetryCallState, SimpleNamespace(attempt_number=max(1, min(failures, 32))))
    return _wait(state)


def probe_timeout_s(pauses: int, delivery_timeout_s: float) -> float:
    """Seconds that a canary may take after ``pauses`` (1, 2, ...) in a row.

    Short, because a network that drops requests answers only the next one after it works again. Every fourth has the
    whole timeout, because a slow server may need it and must not stay paused for ever.
    """
    quick_s = min(QUICK_S, delivery_timeout_s)
    return quick_s if pauses % PATIENT_EVERY else delivery_timeout_s


def hold_retry_s(age_s: float) -> float:
    """Seconds until a stuck item is tried again: a quarter of its age, from 1 up to 10.

    The age is in the journal, so the gaps go on growing when the holder dies.
    """
    return min(HOLD_CAP_S, max(HOLD_FIRST_S, age_s / 4))

"""How long to wait: exponential with full jitter, capped. tenacity computes it, and is loaded by the first failure."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

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

#: Maximum seconds that a fork waits for a thread that loads tenacity, and between two checks.
LOAD_S: Final = 1.0
CHECK_EVERY_S: Final = 0.002

#: tenacity's function once it is loaded, and the threads that load it.
_waits: list[Callable[[Any], float]] = []
_loading: list[int] = []


def _load() -> Callable[[Any], float]:
    _loading.append(threading.get_ident())
    try:
        from tenacity.wait import wait_random_exponential

        _waits.append(wait_random_exponential(multiplier=FIRST_S, max=CAP_S))
    finally:
        _loading.remove(threading.get_ident())
    return _waits[0]


def _wait_for_load() -> None:
    """Before a fork: in the middle of an import it would leave the module locked in the child, for ever."""
    own, until = threading.get_ident(), time.monotonic() + LOAD_S
    while any(one != own for one in tuple(_loading)) and time.monotonic() < until:
        time.sleep(CHECK_EVERY_S)


os.register_at_fork(before=_wait_for_load, after_in_child=_loading.clear)


def backoff_s(failures: int) -> float:
    """Seconds to wait after ``failures`` (1, 2, ...) in a row: between 0 and min(cap, 0.2 * 2^(n-1))."""
    wait = _waits[0] if _waits else _load()
    return wait(SimpleNamespace(attempt_number=max(1, min(failures, 32))))


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

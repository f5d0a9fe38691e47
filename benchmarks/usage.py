"""What processes use, from ``/proc``: CPU seconds and resident memory. Without ``/proc``: nothing is known."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_s", "rss_bytes", "spin_ms"]

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds (user and system) that these processes have used so far; ended ones count as nothing."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total * _TICK_S


def rss_bytes(pids: Sequence[int]) -> int:
    """Resident bytes of these processes together."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return total


def spin_ms() -> float:
    """Milliseconds of a fixed piece of Python work: what it varies by is the machine's noise."""
    started = time.perf_counter()
    total = 0
    for number in range(400_000):
        total += number
    return (time.perf_counter() - started) * 1000

"""Bounds on time beside other load: a program that waits too long always does, a busy machine only now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pytest

__all__ = ["BUSY_S", "in_time", "replace_time"]

T = TypeVar("T")

#: Seconds that other load may add to a wait that cannot be tried again. A wait without its bound lasts far longer.
BUSY_S = 8.0


def in_time(attempt: Callable[[], T], seconds_of: Callable[[T], float], bound_s: float, attempts: int = 5) -> T:
    """What the first attempt gave that took less than the bound. Fails if all of them took longer."""
    took: list[float] = []
    for _ in range(attempts):
        result = attempt()
        took.append(seconds_of(result))
        if took[-1] < bound_s:
            return result
    raise AssertionError(f"none of {attempts} attempts took less than {bound_s} s: {took}")


def replace_time(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **functions: Callable[..., Any]) -> None:
    """Replace functions of `time` for one module alone: the whole process has only one `time.sleep`."""
    own = {name: getattr(time, name) for name in dir(time) if not name.startswith("_")}
    monkeypatch.setattr(module, "time", SimpleNamespace(**{**own, **functions}))

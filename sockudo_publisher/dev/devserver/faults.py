"""Faults on request: what goes wrong with the next requests that publish. Thread-safe.

By Python (``server.faults.lose_answers(3)``), by HTTP (``POST /dev/faults``) and from the server's page. A fault with a
count is for the next requests, in the order in which the faults were given; one without a count stays until ``clear``,
and is for the requests that no other fault is for.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["ORDERS", "Fault", "FaultName", "Faults", "ServerControl"]

FaultName = Literal[
    "hang", "delay", "lose_requests", "lose_answers", "stop_in_batch", "reset", "answer", "garbage", "fail_item"
]

#: Requests of one fault; seconds of one wait; faults that may wait; ids of a memory.
MAX_COUNT = 1_000_000
MAX_SECONDS = 3_600.0
MAX_FAULTS = 1_000
MAX_IDS = 100_000_000
#: Seconds by which the clock may be wrong.
MAX_SKEW_S = 366 * 24 * 3600.0
#: The statuses of ``answer``, which are no success.
MIN_STATUS, MAX_STATUS = 400, 599


@dataclass(frozen=True)
class Fault:
    """What happens to one request."""

    name: FaultName
    seconds: float | None = None
    status: int = 0
    retry_after: int | None = None
    item: int = 0


class ServerControl(Protocol):
    """What the server does at once for some faults."""

    def forget_ids(self) -> None:
        """Empty the dedup memory."""

    def shrink_memory(self, capacity: int) -> None:
        """Keep at most this number of ids."""

    def skew_clock(self, seconds: float) -> None:
        """Be ahead by this time."""

    def refuse(self, seconds: float | None) -> None:
        """Refuse connections, for a time or until :meth:`accept`."""

    def accept(self) -> None:
        """Accept connections again."""


@dataclass
class _Waiting:
    fault: Fault
    left: int | None


class Faults:
    """The faults that wait, and those that are done at once. Every method raises ``ValueError`` out of range."""

    def __init__(self, control: ServerControl) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    # -- of the next requests -----------------------------------------------------------------------

    def hang(self, count: int | None = 1, *, seconds: float | None = None) -> None:
        """Do nothing until the client goes away; with ``seconds``, drop the connection after them."""
        self._add(Fault("hang", seconds=_seconds(seconds)), count)

    def delay(self, seconds: float, count: int | None = 1) -> None:
        """Wait, then handle the request as usual."""
        self._add(Fault("delay", seconds=_seconds(seconds)), count)

    def lose_requests(self, count: int | None = 1) -> None:
        """Read the request, do nothing, and close the connection."""
        self._add(Fault("lose_requests"), count)

    def lose_answers(self, count: int | None = 1) -> None:
        """Handle the request, and close the connection instead of answering."""
        self._add(Fault("lose_answers"), count)

    def stop_in_batch(self, after: int = 1, count: int | None = 1) -> None:
        """Publish ``after`` items of a batch, keep the claim of the next one, and close the connection."""
        self._add(Fault("stop_in_batch", item=_whole("after", after, 0, MAX_COUNT)), count)

    def reset(self, count: int | None = 1) -> None:
        """Reset the connection (RST) before the request is handled."""
        self._add(Fault("reset"), count)

    def answer(self, status: int, count: int | None = 1, *, retry_after: int | None = None) -> None:
        """Do nothing, and answer with this status (400 to 599), and ``Retry-After`` in seconds."""
        status = _whole("status", status, MIN_STATUS, MAX_STATUS)
        retry_after = None if retry_after is None else _whole("retry_after", retry_after, 0, MAX_COUNT)
        self._add(Fault("answer", status=status, retry_after=retry_after), count)

    def garbage(self, count: int | None = 1) -> None:
        """Handle the request, and answer 200 with a body that is not JSON."""
        self._add(Fault("garbage"), count)

    def fail_item(self, index: int = 0, count: int | None = 1, *, status: int = 500) -> None:
        """Answer ``status`` at the item of a batch with this index (from 0); the items before it are published."""
        status = _whole("status", status, MIN_STATUS, MAX_STATUS)
        self._add(Fault("fail_item", item=_whole("index", index, 0, MAX_COUNT), status=status), count)

    # -- at once ------------------------------------------------------------------------------------

    def refuse(self, seconds: float | None = None) -> None:
        """Refuse new connections, for ``seconds`` or until :meth:`clear`. Those that exist stay."""
        self._control.refuse(_seconds(seconds))

    def forget_ids(self) -> None:
        """Forget every id: the next repeat is delivered again."""
        self._control.forget_ids()

    def shrink_memory(self, capacity: int) -> None:
        """Remember at most this number of ids; a full memory keeps no new one."""
        self._control.shrink_memory(_whole("capacity", capacity, 0, MAX_IDS))

    def skew_clock(self, seconds: float) -> None:
        """Let the server's clock be ahead by this time (negative: behind)."""
        if not isinstance(seconds, int | float) or not -MAX_SKEW_S <= seconds <= MAX_SKEW_S:
            raise ValueError(f"seconds: expected a number within {MAX_SKEW_S:g} either way")
        self._control.skew_clock(float(seconds))

    def clear(self) -> None:
        """Remove all faults that wait, and accept connections. The memory and the clock stay as they are."""
        with self._lock:
            self._waiting.clear()
        self._control.accept()

    # -- for the server -----------------------------------------------------------------------------

    def take(self) -> Fault | None:
        """The fault of the next request."""
        with self._lock:
            for waiting in sorted(self._waiting, key=lambda one: one.left is None):
                if waiting.left is not None:
                    waiting.left -= 1
                    if not waiting.left:
                        self._waiting.remove(waiting)
                return waiting.fault
        return None

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """The faults that wait, as JSON."""
        with self._lock:
            return [
                {"fault": one.fault.name, "count": one.left}
                | {name: value for name, value in vars(one.fault).items() if name != "name" and value}
                for one in self._waiting
            ]

    def add(self, order: Mapping[str, Any]) -> None:
        """The fault that ``POST /dev/faults`` names: ``{"fault": "answer", "status": 503, "count": 2}``."""
        if not isinstance(order, Mapping) or not isinstance(order.get("fault"), str):
            raise ValueError(  # noqa: TRY004 -- an order comes as JSON
                'expected {"fault": NAME, ...}, NAME one of ' + ", ".join(sorted(ORDERS))
            )
        name, options = order["fault"], {key: value for key, value in order.items() if key != "fault"}
        allowed = ORDERS.get(name)
        if allowed is None:
            raise ValueError("fault: unknown, expected one of " + ", ".join(sorted(ORDERS)))
        unknown = sorted(set(options) - set(allowed))
        if unknown:
            raise ValueError(f"{name}: unknown option, expected {', '.join(allowed) or 'none'}")
        method: Callable[..., None] = getattr(self, name)
        try:
            method(**options)
        except TypeError:
            raise ValueError(f"{name}: an option is missing, expected {', '.join(allowed)}") from None

    def _add(self, fault: Fault, count: int | None) -> None:
        left = None if count is None else _whole("count", count, 1, MAX_COUNT)
        with self._lock:
            if len(self._waiting) >= MAX_FAULTS:
                raise ValueError(f"faults: {MAX_FAULTS} wait already")
            self._waiting.append(_Waiting(fault, left))


#: The options of each fault, by its name.
ORDERS: Mapping[str, tuple[str, ...]] = {
    "hang": ("count", "seconds"),
    "delay": ("seconds", "count"),
    "lose_requests": ("count",),
    "lose_answers": ("count",),
    "stop_in_batch": ("after", "count"),
    "reset": ("count",),
    "answer": ("status", "count", "retry_after"),
    "garbage": ("count",),
    "fail_item": ("index", "count", "status"),
    "refuse": ("seconds",),
    "forget_ids": (),
    "shrink_memory": ("capacity",),
    "skew_clock": ("seconds",),
    "clear": (),
}


def _whole(name: str, value: Any, least: int, largest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= largest:
        raise ValueError(f"{name}: expected a whole number from {least} to {largest}")
    return value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"seconds: expected a number from 0 to {MAX_SECONDS:g}")
    if not 0 <= value <= MAX_SECONDS:
        raise ValueError(f"seconds: expected a number from 0 to {MAX_SECONDS:g}")
    return float(value)

"""Named places where a test can kill or freeze this process.

``SOCKUDO_FAULTPOINT="taken"`` or ``"taken:3"`` (the third time) makes :func:`crash_point` end the process with SIGKILL,
as a crash would: no ``finally``, no flush. ``"taken:3:stop"`` freezes it once with SIGSTOP, until SIGCONT. Without the
variable, as in production, ``crash_point`` does nothing.

Besides the steps of an event (``POINTS``), every script of the journal has two points, such as ``"before take"`` and
``"after take"``: Redis has run nothing of the script, or all of it (:mod:`.journal.redis.link`).
"""

from __future__ import annotations

import os
import signal
import threading

__all__ = ["IS_ARMED", "POINTS", "crash_point"]

#: Every point, in the order in which an event passes them.
POINTS = (
    "encoded",  # producer: the item's bytes are final, nothing is stored
    "appended",  # producer: stored, the doorbell not yet rung
    "rung",  # producer: the doorbell is rung, the call has not returned
    "scheduled",  # producer: the event waits until it is due, the call has not returned
    "claimed",  # worker: due events are claimed, none of them is appended
    "leased",  # worker: has the lease of the lane, nothing taken
    "taken",  # worker: the batch is marked, nothing sent
    "posted",  # worker: the server has answered, nothing settled
    "settled",  # worker: settled, the next batch taken
    "held",  # worker: an item moved to its channel's hold
    "buried",  # worker: an item moved to the dead letters
    "reported",  # worker: the receivers of a dead letter have run, the mark has not moved
)


def _kill_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _freeze_thread() -> None:
    # Signal this thread: a SIGSTOP for the process may stop another thread first, and this one would pass the point.
    # Not for gevent, whose greenlets share a thread.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


_wanted, _count, _action, *_ = *os.environ.get("SOCKUDO_FAULTPOINT", "").split(":"), "", ""
_act = {"": _kill_process, "stop": _freeze_thread}[_action]
_left = int(_count or "1")
_lock = threading.Lock()


def _count_down(point: str) -> None:
    global _left  # noqa: PLW0603 -- one countdown per process
    if point != _wanted:
        return
    with _lock:
        _left -= 1
        if _left == 0:
            _act()


def _do_nothing(point: str) -> None:
    pass


#: Whether a crash point is set for this process: never in production.
IS_ARMED = bool(_wanted)

crash_point = _count_down if IS_ARMED else _do_nothing
